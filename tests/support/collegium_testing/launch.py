"""Becomes a command that dies with its parent: ``python -I -S launch.py PARENT_PID UID|- COMMAND…``.

Run as a file, never imported. The parent-death signal has to be asked for in the child, after it has dropped its
rights (dropping them takes the signal away) and before the command starts; doing that in a small program of its own
rather than in ``preexec_fn`` keeps Python code out of a fork of a process that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop to the user asked for, tie this process to its parent, become the command."""
    parent, user, *command = sys.argv[1:]
    if user != "-":
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            sys.exit("the parent ended before its child began")
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the command is what this file is for
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
