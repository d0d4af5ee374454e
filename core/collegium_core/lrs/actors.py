"""The rules of Agents and Groups (xAPI-Data 2.4.2, 2.4.9)."""

from __future__ import annotations

from msgspec import UNSET

from collegium_core.lrs.faults import Faults, shown
from collegium_core.lrs.statement import Actor, Object
from collegium_core.lrs.syntax import is_iri, is_mbox, is_sha1

__all__ = ["check_actor", "check_authority"]


def check_actor(actor: Actor | Object, where: str, faults: Faults) -> None:  # noqa: C901 - one question per identifier
    """Note what is wrong with an Agent or a Group at the path *where*."""
    identifiers = 0
    if (account := actor.account) is not UNSET:
        identifiers = 1
        if not is_iri(account.home_page):
            faults.add(f"{where}.account.homePage", f"{shown(account.home_page)} is not an absolute IRI")
    if (mbox := actor.mbox) is not UNSET:
        identifiers += 1
        if not is_mbox(mbox):
            faults.add(f"{where}.mbox", f"{shown(mbox)} is not mailto: and an e-mail address")
    if (digest := actor.mbox_sha1sum) is not UNSET:
        identifiers += 1
        if not is_sha1(digest):
            faults.add(f"{where}.mbox_sha1sum", f"{shown(digest)} is not 40 hexadecimal digits")
    if (openid := actor.openid) is not UNSET:
        identifiers += 1
        if not is_iri(openid):
            faults.add(f"{where}.openid", f"{shown(openid)} is not an absolute URI")
    if identifiers > 1:
        faults.add(where, "has more than one of mbox, mbox_sha1sum, openid, account")
    if actor.object_type == "Group":
        _check_members(actor, where, faults, identified=identifiers > 0)
        return
    if not identifiers:
        faults.add(where, "an Agent needs one of mbox, mbox_sha1sum, openid, account")
    if actor.member is not UNSET:
        faults.add(f"{where}.member", "is for Groups; an Agent has none, and a Group needs its objectType")


def check_authority(authority: Actor, where: str, faults: Faults) -> None:
    """Note what is wrong with an authority: an Agent, or a Group of an OAuth consumer and its user."""
    check_actor(authority, where, faults)
    if authority.object_type != "Group":
        return
    if any(x is not UNSET for x in (authority.mbox, authority.mbox_sha1sum, authority.openid, authority.account)):
        faults.add(where, "a Group as authority must not have an identifier of its own")
    if authority.member is UNSET or len(authority.member) != 2:
        faults.add(f"{where}.member", "a Group as authority must have exactly two members")


def _check_members(group: Actor | Object, where: str, faults: Faults, *, identified: bool) -> None:
    if not group.member:  # absent or empty
        if not identified:
            faults.add(f"{where}.member", "is required: a Group without an identifier is its members")
        return
    for index, member in enumerate(group.member):
        path = f"{where}.member[{index}]"
        if member.object_type == "Group":
            faults.add(path, "a Group's members must be Agents")
        else:
            check_actor(member, path, faults)
