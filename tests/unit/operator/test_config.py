"""The operator's environment: what is handed on to the pods, and every fault at once."""

from __future__ import annotations

import pytest

from collegium_core.settings import SettingsError
from collegium_operator.config import load_config

ENVIRONMENT = {"POD_NAMESPACE": "learning", "COLLEGIUM_IMAGE": "collegium:1", "POD_NAME": "operator-0"}


def test_defaults() -> None:
    """Namespace and image are all that must be said."""
    config = load_config(ENVIRONMENT)
    assert ("learning", "operator-0", "collegium", (), "collegium:1", 300.0) == (
        config.namespace,
        config.identity,
        config.release,
        config.watched,
        config.image,
        config.resync_seconds,
    )


def test_settings_are_handed_on_and_secrets_are_not() -> None:
    """Pods get every setting of the platform that is no secret and not their own affair."""
    config = load_config(
        {
            **ENVIRONMENT,
            "COLLEGIUM_STORE": "opensearch",
            "COLLEGIUM_MAX_BODY_BYTES": "1MiB",
            "COLLEGIUM_PUBLIC_URL": "",
            "COLLEGIUM_REDIS_URL": "redis://:hunter2@x",
            "COLLEGIUM_PORT": "1",
            "COLLEGIUM_DATA_DIR": "/x",
            "PATH": "/bin",
        }
    )
    assert {"COLLEGIUM_STORE": "opensearch", "COLLEGIUM_MAX_BODY_BYTES": "1MiB"} == config.environment


def test_every_fault_at_once() -> None:
    """One start tells everything that is wrong, by the variable's name."""
    with pytest.raises(SettingsError) as error:
        load_config(
            {
                "COLLEGIUM_IMAGE_PULL_POLICY": "Sometimes",
                "COLLEGIUM_API_REPLICAS": "many",
                "COLLEGIUM_RESYNC_SECONDS": "0",
                "COLLEGIUM_API_RESOURCES": "[]",
            }
        )
    assert {
        "POD_NAMESPACE",
        "COLLEGIUM_IMAGE",
        "COLLEGIUM_IMAGE_PULL_POLICY",
        "COLLEGIUM_API_REPLICAS",
        "COLLEGIUM_RESYNC_SECONDS",
        "COLLEGIUM_API_RESOURCES",
    } == {fault.path for fault in error.value.faults}


def test_lists() -> None:
    """Namespaces and pull secrets are separated by commas or white space."""
    config = load_config({**ENVIRONMENT, "COLLEGIUM_WATCH_NAMESPACES": "a, b", "COLLEGIUM_IMAGE_PULL_SECRETS": "c d,e"})
    assert (("a", "b"), ("c", "d", "e")) == (config.watched, config.image_pull_secrets)
