"""The worker roles by name; what a role needs is loaded when it is asked for."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collegium_workers.runner import Role

__all__ = ["ROLES", "load_role"]

ROLES: Final[Mapping[str, str]] = {"index": "collegium_workers.index.role:INDEX"}
"""What ``--role`` may name, and where it is. ``collegium up`` runs a process for each."""


def load_role(name: str) -> Role:
    """Return the role *name*.

    :raises KeyError: there is none of that name.
    """
    role: Role = pkgutil.resolve_name(ROLES[name])
    return role
