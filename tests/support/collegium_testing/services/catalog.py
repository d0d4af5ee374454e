"""Everything that the tests can use on this machine, in the order in which it is made."""

from __future__ import annotations

from collegium_testing.services.component import Component
from collegium_testing.services.kubernetes import ControlPlaneBinary, Kwok, Tools
from collegium_testing.services.opensearch import OpenSearchHome
from collegium_testing.services.shim import DiskShim
from collegium_testing.services.toolchains import JavaRuntime
from collegium_testing.services.valkey import Redis7

__all__ = ["COMPONENTS"]

COMPONENTS: tuple[Component, ...] = (
    Redis7(),
    DiskShim(),
    Tools(),
    JavaRuntime(),
    OpenSearchHome(),
    Kwok(),
    ControlPlaneBinary(),
)
"""Short work first, so that a network that is away shows early."""
