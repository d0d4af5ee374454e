"""Manifests: the custom resources as people write them, read from YAML or from Kubernetes, and what follows from them.

One source for the CustomResourceDefinitions, the operator and the reconciler of one machine.
"""

from __future__ import annotations

from collegium_core.manifests.desired import (
    CredentialFault,
    CredentialMaker,
    CredentialMemory,
    credential_faults,
    desired_record,
    reuse,
)
from collegium_core.manifests.documents import (
    Manifest,
    ManifestError,
    SecretManifest,
    TenantManifest,
    parse_documents,
    transition_errors,
)
from collegium_core.manifests.folder import manifest_files, read_folder
from collegium_core.manifests.spec import GROUP, VERSION, TenantSpec

__all__ = [
    "GROUP",
    "VERSION",
    "CredentialFault",
    "CredentialMaker",
    "CredentialMemory",
    "Manifest",
    "ManifestError",
    "SecretManifest",
    "TenantManifest",
    "TenantSpec",
    "credential_faults",
    "desired_record",
    "manifest_files",
    "parse_documents",
    "read_folder",
    "reuse",
    "transition_errors",
]
