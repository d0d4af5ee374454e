"""What every tier shares: the real services, the summary, and no sockets for the unit tier."""

from __future__ import annotations

import pytest

from collegium_testing.summary import Summary, tier_of

pytest_plugins = ["collegium_testing.services.fixtures", "collegium_testing.installation"]


def pytest_configure(config: pytest.Config) -> None:
    """Add the section on tiers to the end of the run."""
    config.pluginmanager.register(Summary(), "collegium-summary")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Close the sockets for unit tests; an event loop's own pair is a Unix socket and stays open."""
    for item in items:
        if tier_of(item.path) == "unit":
            item.add_marker(pytest.mark.disable_socket)
