"""What the operator reports in a Tenant's ``status``: the shape of the subresource and of its conditions."""

from __future__ import annotations

import enum
from typing import Annotated

from msgspec import Meta, Struct, field

from collegium_core.tenancy.record import Placement

__all__ = ["Condition", "ConditionStatus", "CredentialStatus", "PodsStatus", "TenantStatus"]


class ConditionStatus(enum.StrEnum):
    """The three values of a Kubernetes condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class _Part(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The settings that every part of a status shares; fields of a newer version are passed over."""


class Condition(_Part, frozen=True):
    """One condition, the fields of ``metav1.Condition``."""

    type: Annotated[str, Meta(min_length=1, max_length=63)]
    status: ConditionStatus
    reason: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$")]
    last_transition_time: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    message: Annotated[str, Meta(max_length=1024)] = ""
    observed_generation: Annotated[int, Meta(ge=0)] = 0


class CredentialStatus(_Part, frozen=True):
    """A credential that was resolved, and the version of the Secret that it came from."""

    name: Annotated[str, Meta(max_length=63)]
    secret_resource_version: Annotated[str, Meta(max_length=64)]


class PodsStatus(_Part, frozen=True):
    """How many pods serve this tenant: wanted and ready."""

    desired: Annotated[int, Meta(ge=0)] = 0
    ready: Annotated[int, Meta(ge=0)] = 0


class TenantStatus(_Part, frozen=True):
    """The observed state of one tenant."""

    observed_generation: Annotated[
        int, Meta(ge=0, description="Generation of the spec that this status speaks of.")
    ] = 0
    slug: Annotated[str, Meta(max_length=63, description="The tenant's part in index, key and folder names.")] = ""
    endpoint: Annotated[str, Meta(max_length=2048, description="Base URL or path of the tenant's LRS.")] = ""
    placement: Annotated[Placement, Meta(description="Where the documents live.")] | None = None
    credentials: Annotated[
        list[CredentialStatus],
        Meta(
            max_length=32,
            description="Credentials that work.",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = field(default_factory=list)
    api: Annotated[PodsStatus, Meta(description="Pods that serve the API.")] | None = None
    workers: Annotated[PodsStatus, Meta(description="Pods that index.")] | None = None
    conditions: Annotated[
        list[Condition],
        Meta(
            max_length=16,
            description="Latest observations.",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = field(default_factory=list)
