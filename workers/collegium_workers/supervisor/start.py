"""From options to a running platform and back to an exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from collegium_core.settings import load
from collegium_core.telemetry import logging
from collegium_workers.supervisor.console import HumanVoice, JsonVoice, Voice
from collegium_workers.supervisor.lock import DataFolderError, DataLock, prepare_folder
from collegium_workers.supervisor.logstream import LogStream
from collegium_workers.supervisor.service import Plan, StartError, run
from collegium_workers.supervisor.valkey import ValkeyError

__all__ = ["start"]


def start(given: Mapping[str, str], *, manifests: Path | None, api_replicas: int, demo: int, as_json: bool) -> int:
    """Run the platform until a signal ends it; return the exit code: 0 after a drained stop, 1 when it cannot run.

    :param given: settings from the command line, by variable; they win over the environment.
    :raises SettingsError: the settings cannot be used.
    """
    environ = {**os.environ, **given}
    if not as_json and sys.stderr.isatty():
        environ.setdefault("COLLEGIUM_LOG_FORMAT", "console")
    settings = load(environ)
    voice: Voice = JsonVoice() if as_json else HumanVoice()
    logging.configure(settings.log_level, settings.log_format, "supervisor")
    try:
        prepare_folder(settings.data_dir)
        with DataLock(settings.data_dir) as lock, LogStream(sys.stderr, settings.log_format) as log:
            plan = Plan(settings=settings, manifests=manifests, api_replicas=api_replicas, demo=demo)
            asyncio.run(run(plan, lock, log, voice))
    except (DataFolderError, StartError, ValkeyError) as error:
        voice.failed(str(error))
        return 1
    return 0
