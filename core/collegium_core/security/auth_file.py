"""Ralph's ``auth.json``: a list of users with a bcrypt hash, scopes, an agent, and possibly a tenant (``target``)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec

from collegium_core.errors import FieldError
from collegium_core.files import write_whole
from collegium_core.lrs.actors import check_actor
from collegium_core.lrs.faults import Faults
from collegium_core.lrs.statement import Actor
from collegium_core.security.credentials import credential_from_hash
from collegium_core.settings import SettingsError
from collegium_core.tenancy.record import Credential

__all__ = ["AuthUser", "Entry", "check_agent", "load_auth_file", "parse_auth_file", "write_entry"]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One element of the list, in Ralph's order. ``target`` names the tenant that the user is bound to."""

    agent: dict[str, Any]
    scopes: Annotated[list[str], msgspec.Meta(min_length=1)]
    hash: str
    username: str
    target: str | None = None


class AuthUser(msgspec.Struct, frozen=True):
    """A user of the file as a credential. Without a ``target`` it belongs to no tenant by name."""

    target: str | None
    credential: Credential


def check_agent(agent: dict[str, Any]) -> list[FieldError]:
    """Return what keeps *agent* from being an xAPI Agent (xAPI-Data 4.2.2.1)."""
    faults = Faults()
    try:
        actor = msgspec.convert(agent, Actor)
    except msgspec.ValidationError as fault:
        return [FieldError("agent", str(fault))]
    if actor.object_type == "Group":
        faults.add("agent", "must be an Agent, not a Group")
    check_actor(actor, "agent", faults)
    return faults.found


def parse_auth_file(data: bytes, source: str) -> list[AuthUser]:
    """Return the users in *data*; *source* names the file in messages. Members that are null count as absent.

    :raises SettingsError: names every entry that cannot be used.
    """
    users: list[AuthUser] = []
    faults: list[FieldError] = []
    seen: set[tuple[str, str | None]] = set()
    for number, raw in enumerate(_elements(data, source)):
        place = f"{source}[{number}]"
        try:
            entry = msgspec.json.decode(raw, type=Entry)
            agent = {name: value for name, value in entry.agent.items() if value is not None}
            credential = credential_from_hash(entry.username, entry.username, entry.hash, entry.scopes, agent)
        except msgspec.MsgspecError as fault:
            faults.append(FieldError(place, str(fault)))
            continue
        except ValueError as fault:
            faults.append(FieldError(place, f"the entry of {_raw_name(raw)!r}: {fault}"))
            continue
        faults += (FieldError(f"{place}.{fault.path}", fault.detail) for fault in check_agent(agent))
        key = (entry.username, entry.target or None)
        if key in seen:
            faults.append(FieldError(place, f"{entry.username!r} stands in the file twice for the same tenant"))
        seen.add(key)
        users.append(AuthUser(entry.target or None, credential))
    if faults:
        raise SettingsError(faults)
    return users


def load_auth_file(path: Path) -> list[AuthUser]:
    """Return the users in the file at *path*; none where there is no such file.

    :raises SettingsError: the file cannot be read or used.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as fault:
        raise SettingsError([FieldError(str(path), f"cannot be read: {fault.strerror}")]) from None
    return parse_auth_file(data, str(path))


def write_entry(path: Path, entry: Entry) -> None:
    """Add *entry* to the file at *path*, in the place of one with the same user name and tenant; keep all others.

    The file is replaced as a whole or not at all; a new one can be read by its owner alone.

    :raises SettingsError: what is there is no such list, or the file cannot be written.
    """
    try:
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            elements = _elements(path.read_bytes() if path.exists() else b"", str(path))
            encoded = msgspec.Raw(msgspec.json.encode(entry))
            identities = [_identity(element) for element in elements]
            if (identity := _identity(encoded)) in identities:
                elements[identities.index(identity)] = encoded
            else:
                elements.append(encoded)
            write_whole(path, msgspec.json.format(msgspec.json.encode(elements), indent=2) + b"\n")
    except OSError as fault:
        raise SettingsError([FieldError(str(path), f"cannot be written: {fault.strerror}")]) from None


def _elements(data: bytes, source: str) -> list[msgspec.Raw]:
    if not data.strip():
        return []
    try:
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise SettingsError([FieldError(source, f"is no JSON list of users: {fault}")]) from None


class _Identity(msgspec.Struct, frozen=True):
    """What makes two entries the same user."""

    username: str = ""
    target: str | None = None


def _identity(raw: msgspec.Raw) -> tuple[str, str | None] | None:
    """Return what identifies the entry; None for one that is of another make and stays as it is."""
    try:
        identity = msgspec.json.decode(raw, type=_Identity)
    except msgspec.MsgspecError:
        return None
    return identity.username, identity.target or None


def _raw_name(raw: msgspec.Raw) -> str:
    """Return the user name in *raw*, for a message."""
    identity = _identity(raw)
    return identity[0] if identity else ""


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep others that write a file of *folder* this way waiting."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
