"""The log: Redis streams, claims, rings, leases and the watermark."""

from collegium_core.streams.connection import Connection, partition_of, tenant_key
from collegium_core.streams.log import (
    CONSUMERS,
    Appended,
    Backlog,
    DeadLetter,
    Full,
    PendingBatch,
    ReceivedStatement,
    RedisClock,
    StaleLookup,
    Taken,
    TenantLog,
)
from collegium_core.streams.ring import Acknowledged, Lease, Ring, Work

__all__ = [
    "CONSUMERS",
    "Acknowledged",
    "Appended",
    "Backlog",
    "Connection",
    "DeadLetter",
    "Full",
    "Lease",
    "PendingBatch",
    "ReceivedStatement",
    "RedisClock",
    "Ring",
    "StaleLookup",
    "Taken",
    "TenantLog",
    "Work",
    "partition_of",
    "tenant_key",
]
