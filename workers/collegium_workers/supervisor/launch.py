"""Become another program that the kernel ends when its supervisor dies.

Run by path (``python -I -S launch.py PARENT SIGNAL PROGRAM ARGUMENTS…``), before anything else of the project is
imported: the death signal is set in a fresh interpreter, not between fork and exec, where other threads may hold locks.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> None:
    """Ask for *signal* at the death of *parent*, then replace this process: ``[parent, signal, program, …]``."""
    parent, signal, *command = arguments
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, int(signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != int(parent):
        # It died before the request was made, so the signal will never come.
        raise SystemExit(1)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted; the supervisor built the command


if __name__ == "__main__":
    main(sys.argv[1:])
