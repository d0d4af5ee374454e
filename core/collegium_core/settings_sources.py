"""Where the texts of settings stand besides the environment: ``.env``, the TOML file, files of secrets.

Readers add each fault they see to a list and go on, so that one start tells of all of them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from collegium_core.errors import FieldError
from collegium_core.settings_values import Setting

__all__ = ["read_dotenv", "read_secret", "read_toml"]


def read_secret(path: Path, name: str) -> str:
    """Return the stripped text of the file at *path*, which the variable *name* names.

    :raises ValueError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as fault:
        raise ValueError(f"{name} names {path}, which cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name} names {path}, which is not UTF-8 text") from None


def read_dotenv(path: Path, names: Sequence[str], faults: list[FieldError]) -> dict[str, str]:
    """Return the variables in the ``.env`` file at *path*; only lines of ours, named *names*…, are held to its form."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as fault:
        faults.append(FieldError(".env", f"cannot be read: {getattr(fault, 'strerror', None) or 'not UTF-8 text'}"))
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        # Lines of other programs' making are none of our business; only our own names must be readable.
        match = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", line)
        if match is None:
            continue
        name, text = match.groups()
        if text[:1] in {'"', "'"}:
            quoted = re.fullmatch(r"""("[^"]*"|'[^']*')(?:\s+#.*)?""", text)
            if quoted is None:
                if name.startswith(tuple(names)):
                    faults.append(FieldError(f".env:{number}", f"the quotes around {name}'s value do not match"))
                continue
            text = quoted[1][1:-1]
        else:
            text = re.sub(r"(^|\s+)#.*$", "", text)
        found[name] = text
    return found


def read_toml(path: Path, settings: Sequence[Setting], faults: list[FieldError]) -> dict[str, str]:
    """Return the texts in the TOML file at *path* by the name of each of *settings*.

    Any spelling of a name will do: ``MAX_BODY_BYTES``, ``max_body_bytes``, ``MaxBodyBytes``.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        faults.append(FieldError(str(path), f"cannot be read: {fault.strerror}"))
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        faults.append(FieldError(str(path), f"is not TOML: {fault}"))
        return {}
    spellings = {_plain(name): setting.name for setting in settings for name in (setting.name, *setting.aliases)}
    found: dict[str, str] = {}
    for key, value in document.items():
        name = spellings.get(_plain(key))
        where = f"{key} in {path.name}"
        if "." in key or isinstance(value, dict):
            faults.append(FieldError(where, "no setting can be given for a single tenant: all are the platform's"))
        elif name is None:
            faults.append(FieldError(where, f"is no setting of this version{_similar(key, spellings)}"))
        elif name in found:
            faults.append(FieldError(where, f"{name} stands in the file twice"))
        elif (text := _toml_text(value)) is None:
            faults.append(FieldError(where, "must be a string, a number or a list of strings"))
        else:
            found[name] = text
    return found


def _toml_text(value: object) -> str | None:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None


def _plain(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def _similar(key: str, spellings: Mapping[str, str]) -> str:
    import difflib  # noqa: PLC0415 - needed for one error message only

    near: Iterator[str] = (spellings[match] for match in difflib.get_close_matches(_plain(key), spellings, n=1))
    return next((f"; did you mean {name}?" for name in near), "")
