"""What people write down: the specs of the custom resources as structs, the one source of schema, defaults and docs.

Bounds, enumerations, defaults and descriptions stand here once; :mod:`collegium_core.manifests.schema` turns them into
the CustomResourceDefinition, :mod:`collegium_core.manifests.validation` holds local files to the same schema. What a
schema cannot say stands in :mod:`collegium_core.manifests.rules`.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from collegium_core.tenancy.record import Placement, TenantState

__all__ = [
    "GROUP",
    "VERSION",
    "Account",
    "Agent",
    "ApiSpec",
    "Authentication",
    "BasicAuthentication",
    "DeletionPolicy",
    "Mode",
    "SecretReference",
    "StorageSpec",
    "TenantSpec",
    "WorkersSpec",
]

GROUP: Final = "collegium.dev"
VERSION: Final = "v1alpha1"

_IRI: Final = r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>]+$"
_LABEL: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
_SUBDOMAIN: Final = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_SCOPE: Final = r"^[A-Za-z][A-Za-z0-9_./:-]*$"


class DeletionPolicy(enum.StrEnum):
    """What happens to a tenant's data when its Tenant is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class Mode(enum.StrEnum):
    """Whether a tenant uses the platform's pods or has pods of its own."""

    SHARED = "Shared"
    DEDICATED = "Dedicated"


class _Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """The settings that every part of a spec shares."""


class SecretReference(_Part, frozen=True):
    """A Secret in the namespace of the object that names it."""

    name: Annotated[
        str, Meta(min_length=1, max_length=253, pattern=_SUBDOMAIN, description="Name of a Secret in this namespace.")
    ]


class BasicAuthentication(_Part, frozen=True):
    """A user name with a password, or with the bcrypt hash of one."""

    secret_ref: Annotated[
        SecretReference,
        Meta(
            description="Secret of type kubernetes.io/basic-auth with `username` and `password`; instead of `password`"
            " a bcrypt `hash` may stand."
        ),
    ]


class Account(_Part, frozen=True):
    """An account on a system (xAPI-Data 4.2.2.4)."""

    home_page: Annotated[
        str, Meta(min_length=1, max_length=2048, pattern=_IRI, description="IRI of the system that the account is on.")
    ]
    name: Annotated[str, Meta(min_length=1, max_length=256, description="Name or id of the account there.")]


class Agent(_Part, frozen=True, rename={"object_type": "objectType"}):
    """An xAPI Agent with exactly one inverse functional identifier (xAPI-Data 4.2.2.1)."""

    object_type: Annotated[str, Meta(extra_json_schema={"enum": ["Agent"]}, description="Always `Agent`.")] = "Agent"
    name: Annotated[str, Meta(max_length=256, description="Full name.")] | None = None
    mbox: (
        Annotated[
            str,
            Meta(max_length=320, pattern=r"^mailto:[^\s@<>]+@[^\s@<>]+$", description="E-mail address with `mailto:`."),
        ]
        | None
    ) = None
    mbox_sha1sum: (
        Annotated[
            str, Meta(max_length=40, pattern=r"^[0-9a-fA-F]{40}$", description="Hex SHA-1 of a `mailto:` address.")
        ]
        | None
    ) = None
    openid: Annotated[str, Meta(max_length=2048, pattern=_IRI, description="OpenID of the agent.")] | None = None
    account: Annotated[Account, Meta(description="Account on a system.")] | None = None


class Authentication(_Part, frozen=True):
    """One credential of a tenant."""

    name: Annotated[
        str, Meta(min_length=1, max_length=63, pattern=_LABEL, description="Name of this credential in the tenant.")
    ]
    basic: Annotated[BasicAuthentication, Meta(description="HTTP Basic authentication.")]
    scopes: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=64, pattern=_SCOPE)]],
        Meta(
            min_length=1,
            max_length=32,
            description="What this credential may do; `all` holds every scope but `authority/write` and `tenant/admin`."
            " A scope that is not known grants nothing.",
            extra_json_schema={"x-kubernetes-list-type": "set"},
        ),
    ] = field(default_factory=lambda: ["all"])
    agent: (
        Annotated[
            Agent,
            Meta(
                description="Agent that is set as authority of statements; left out, it is an account made from the"
                " user name."
            ),
        ]
        | None
    ) = None


class StorageSpec(_Part, frozen=True):
    """Where the tenant's documents live."""

    placement: Annotated[
        Placement,
        Meta(
            description="`Dedicated`: indices of its own; `Pooled`: shared indices with routing. Cannot be changed."
            " Where `storage` is left out the platform's setting decides once."
        ),
    ]


class ApiSpec(_Part, frozen=True):
    """How the tenant's requests are served."""

    mode: Annotated[
        Mode, Meta(description="`Shared`: by the platform's pods; `Dedicated`: by pods that serve this tenant alone.")
    ] = Mode.SHARED


class WorkersSpec(_Part, frozen=True):
    """How the tenant's statements are indexed."""

    mode: Annotated[
        Mode, Meta(description="`Shared`: by the platform's pods; `Dedicated`: by pods that index this tenant alone.")
    ] = Mode.SHARED


class TenantSpec(_Part, frozen=True):
    """The desired state of one tenant."""

    name: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=64,
                description="Name in the API's paths, any script; `metadata.name` where left out. Compared in NFKC and"
                " case-folded. Cannot be changed.",
            ),
        ]
        | None
    ) = None
    state: Annotated[
        TenantState,
        Meta(description="`Active`; `ReadOnly`: writes are answered 403; `Suspended`: everything is answered 403."),
    ] = TenantState.ACTIVE
    deletion_policy: Annotated[
        DeletionPolicy,
        Meta(
            description="What becomes of the data when this object is deleted: `Retain` closes the door and keeps it,"
            " `Delete` drops it."
        ),
    ] = DeletionPolicy.RETAIN
    authentication: Annotated[
        list[Authentication],
        Meta(
            max_length=32,
            description="Who may call this tenant.",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = field(default_factory=list)
    storage: Annotated[StorageSpec, Meta(description="Where the documents live.")] | None = None
    api: Annotated[ApiSpec, Meta(description="How requests are served.")] = field(default_factory=ApiSpec)
    workers: Annotated[WorkersSpec, Meta(description="How statements are indexed.")] = field(
        default_factory=WorkersSpec
    )
