"""``collegium demo``: made-up statements, sent to a platform or printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from collegium_workers.transfer.options import platform_options, run

if TYPE_CHECKING:
    from collegium_workers.transfer.target import Where

__all__ = ["demo"]


@click.command()
@click.option("--statements", type=click.IntRange(0), default=2000, show_default=True, help="How many.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same statements.")
@click.option("--tenant", "-t", default="default", show_default=True, help="The tenant that gets them.")
@click.option("--stdout", "to_stdout", is_flag=True, help="Print them as lines of JSON, whatever runs.")
@platform_options
def demo(statements: int, seed: int, tenant: str, where: Where, *, to_stdout: bool) -> None:
    """Make lifelike statements: videos watched, quizzes taken, courses completed.

    They go to the platform that runs on the data folder or is named by --url; where there is none they are printed, one
    a line. The same seed sent twice adds nothing.
    """
    from collegium_workers.transfer.demo_run import print_demo, send_demo  # noqa: PLC0415 - not needed for --help
    from collegium_workers.transfer.target import running_platform  # noqa: PLC0415 - same

    target = None if to_stdout else running_platform(where)
    if target is not None:
        run(send_demo(target, tenant, statements=statements, seed=seed))
        return
    if sys.stdout.isatty() and not to_stdout:
        raise click.ClickException(
            "no platform runs on the data folder: start collegium up, name --data or --url, or print with --stdout"
        )
    print_demo(statements, seed)
