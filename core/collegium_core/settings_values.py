"""What a setting's text may look like: one reader per kind, each with the sentence that helps when it is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from collegium_core.tenancy.names import is_slug

__all__ = ["Kind", "Setting", "hide_credentials", "read_value"]

Kind = Literal["text", "url", "path", "integer", "bytes", "seconds", "choice", "origins", "prefix", "slug"]

_SIZE: Final = re.compile(r"(\d{1,15})\s*([a-z]*)", re.IGNORECASE)
_UNITS: Final = {
    "": 1,
    "b": 1,
    **{f"{letter}{ending}": 1000**power for power, letter in enumerate("kmgt", 1) for ending in ("", "b")},
    **{f"{letter}{ending}": 1024**power for power, letter in enumerate("kmgt", 1) for ending in ("i", "ib")},
}
_SERVICE_LINK: Final = re.compile(r"tcp://[^/]+:\d+")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_SHOWN: Final = 60


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table of settings.

    ``default`` is text in the same spelling as a value from the environment; ``default_note`` says in words what stands
    in its place where it is derived. ``choices`` maps each accepted spelling (lower case) to the value that it means.
    ``secret`` values come from ``NAME_FILE`` too and are never printed. ``ralph`` is the name without ``RALPH_`` under
    which Ralph knows the same thing; ``aliases`` are further spellings in the TOML file.
    """

    name: str
    kind: Kind
    default: str
    help: str
    default_note: str = ""
    secret: bool = False
    plain: bool = False
    ralph: str = ""
    aliases: tuple[str, ...] = ()
    choices: Mapping[str, str] = {}
    schemes: tuple[str, ...] = ()
    minimum: float = 0
    maximum: float = 2**53


def read_value(setting: Setting, text: str) -> object:
    """Return *text* as the value of *setting*; an empty text is the kind's empty value where there is one.

    :raises ValueError: the text is no such value. The message holds the text only where the setting is no secret.
    """
    if "${" in text:
        raise ValueError("holds ${…}, which is not expanded")
    try:
        return _READERS[setting.kind](setting, text.strip())
    except _NotOfKindError as fault:
        given = "" if setting.secret else f", not {text[:_SHOWN]!r}"
        raise ValueError(f"must be {fault}{given}") from None


def hide_credentials(url: str) -> str:
    """Return *url* without its user information and query, the parts that may hold a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    host = parts.netloc.rpartition("@")
    netloc = f"***@{host[2]}" if host[1] else parts.netloc
    return urlunsplit((parts.scheme, netloc, parts.path, "***" if parts.query else "", ""))


class _NotOfKindError(Exception):
    """Completes the sentence "must be …"."""


def _text(_setting: Setting, text: str) -> str:
    return text


def _url(setting: Setting, text: str) -> str:
    if not text:
        return ""
    expected = "a URL that begins with " + " or ".join(f"{scheme}://" for scheme in setting.schemes)
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it is what validates it
    except ValueError:
        raise _NotOfKindError(expected) from None
    local = parts.scheme in {"file", "unix"}
    if parts.scheme not in setting.schemes or not (parts.path if local else parts.hostname):
        raise _NotOfKindError(expected)
    return text if local else text.rstrip("/")


def _path(_setting: Setting, text: str) -> Path:
    if "\0" in text:
        raise _NotOfKindError("a path")
    return Path(text).expanduser()


def _integer(setting: Setting, text: str) -> int:
    if _SERVICE_LINK.match(text):
        # A Kubernetes Service named "collegium" puts COLLEGIUM_PORT=tcp://… into every pod beside it.
        raise _NotOfKindError(
            "an integer (this is a Kubernetes service link: set enableServiceLinks: false in the pod)"
        )
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII) or not setting.minimum <= int(text) <= setting.maximum:
        raise _NotOfKindError(f"an integer from {setting.minimum:.0f} to {setting.maximum:.0f}")
    return int(text)


def _bytes(setting: Setting, text: str) -> int:
    found = _SIZE.fullmatch(text)
    size = int(found[1]) * _UNITS.get(found[2].lower(), 0) if found else 0
    if not setting.minimum <= size <= setting.maximum:
        limits = f"from {setting.minimum:.0f} to {setting.maximum:.0f} bytes"
        raise _NotOfKindError(f"a size such as 16MiB, 500kB or 1048576, {limits}")
    return size


def _seconds(setting: Setting, text: str) -> float:
    if (
        not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII)
        or not setting.minimum <= float(text) <= setting.maximum
    ):
        raise _NotOfKindError(f"a number of seconds from {setting.minimum:g} to {setting.maximum:g}")
    return float(text)


def _choice(setting: Setting, text: str) -> str:
    value = setting.choices.get(text.lower())
    if value is None:
        raise _NotOfKindError("one of " + ", ".join(dict.fromkeys(setting.choices.values())))
    return value


def _origins(_setting: Setting, text: str) -> tuple[str, ...]:
    if text.startswith("["):  # the JSON list that Ralph's variable holds
        try:
            items = msgspec.json.decode(text, type=list[str])
        except msgspec.MsgspecError:
            raise _NotOfKindError("a list of origins") from None
    else:
        items = [item for item in re.split(r"[,\s]+", text) if item]
    for item in items:
        if item != "*" and not re.fullmatch(r"https?://(\[[0-9a-f:.]+\]|[^/\s:@?#]+)(:\d{1,5})?", item, re.IGNORECASE):
            raise _NotOfKindError("origins such as https://lms.example.org, or *, separated by commas or white space")
    return tuple(dict.fromkeys(items))


def _prefix(_setting: Setting, text: str) -> str:
    path = "/" + text.strip("/") if text.strip("/") else ""
    if not _PREFIX.fullmatch(path) or any(part in {".", ".."} for part in path.split("/")):
        raise _NotOfKindError("a path such as /lrs")
    return path


def _slug(_setting: Setting, text: str) -> str:
    if not is_slug(text):
        raise _NotOfKindError("a tenant's slug, as `collegium tenant list` and a Tenant's status give it")
    return text


_READERS: Final[Mapping[Kind, Callable[[Setting, str], object]]] = {
    "text": _text,
    "url": _url,
    "path": _path,
    "integer": _integer,
    "bytes": _bytes,
    "seconds": _seconds,
    "choice": _choice,
    "origins": _origins,
    "prefix": _prefix,
    "slug": _slug,
}
