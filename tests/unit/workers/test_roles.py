"""The table of worker roles."""

from __future__ import annotations

import subprocess
import sys

import pytest

from collegium_workers.roles import ROLES, load_role


@pytest.mark.parametrize("name", ROLES)
def test_every_role_is_where_the_table_says(name: str) -> None:
    """And consumes the log under its own name."""
    assert name == load_role(name).consumer


def test_an_unknown_role() -> None:
    """Nothing is imported by a name that the table does not hold."""
    with pytest.raises(KeyError):
        load_role("os:system")


def test_the_table_loads_no_role() -> None:
    """The command line knows the names without the libraries behind them."""
    program = "import sys, collegium_workers.command; print('collegium_workers.runner' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert "False" == done.stdout.strip()
