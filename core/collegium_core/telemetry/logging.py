"""One stream of log lines on standard error: structlog's and the standard library's, JSON or for people, no secrets.

Event names are static and data are keywords: ``log.info("bulk_indexed", tenant=slug, statements=50)``.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final, Literal

import msgspec
import structlog

__all__ = ["configure", "redact"]

HIDDEN: Final = "***"
_DEPTH: Final = 6
_ROUTED: Final = ("asyncio", "kopf", "py.warnings", "uvicorn", "uvicorn.access", "uvicorn.error")
# Libraries that write a line per request at "info"; what they do is in our own lines and metrics.
_TALKATIVE: Final = ("aiohttp.access", "botocore", "kubernetes", "opensearch", "urllib3")

_SECRET_NAME: Final = re.compile(
    r"(?:.*[_-])?(?:authorization|cookie|credentials?|key|passphrase|passwd|password|secret|token)", re.IGNORECASE
)
_SECRET_TEXT: Final = re.compile(
    r"(?P<url>://)[^/\s@'\"]+@"  # user information of a URL
    r"|(?P<scheme>\b(?:basic|bearer)\s+)(?=\S*(?-i:[A-Z0-9=]))[A-Za-z0-9+/=._~-]{4,}"
    r"|(?P<key>\bck_)[A-Za-z0-9_-]{20,}"
    r"|(?P<bcrypt>\$2[abxy]\$\d\d\$)[./A-Za-z0-9]{20,}",
    re.IGNORECASE,
)

EventDict = MutableMapping[str, Any]


def configure(level: str, format: Literal["json", "console"], process: str) -> None:  # noqa: A002 - the setting's word
    """Write all log lines of this process from *level* up as *format* to standard error, each with ``process``.

    Lines of the standard library's loggers go the same way. May be called again; the last call holds.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]

    def name_process(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        name_process,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _redact_event,
        _render_json if format == "json" else _render_console,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=_StderrLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(processors)]
    root.setLevel(threshold)
    for name in _ROUTED:
        routed = logging.getLogger(name)
        routed.handlers.clear()
        routed.propagate = True
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING) if threshold > logging.DEBUG else threshold)
    logging.captureWarnings(capture=True)


def redact(value: object, *, depth: int = _DEPTH) -> object:
    """Return *value* with ``***`` in the place of secrets: under telling names, and in texts by their form."""
    if isinstance(value, str):
        return _SECRET_TEXT.sub(_mask, value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return redact(bytes(value).decode("utf-8", "replace"))
    if depth > 0 and isinstance(value, Mapping):
        return {key: redact_named(str(key), item, depth=depth - 1) for key, item in value.items()}
    if depth > 0 and isinstance(value, (list, tuple, set, frozenset)):
        return [redact(item, depth=depth - 1) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redact(repr(value))


def redact_named(name: str, value: object, *, depth: int = _DEPTH) -> object:
    """Return *value* as :func:`redact` does, or ``***`` where *name* says that it is a secret."""
    if isinstance(value, (str, bytes)) and value and _SECRET_NAME.fullmatch(name):
        return HIDDEN
    return redact(value, depth=depth)


def _mask(match: re.Match[str]) -> str:
    if match["url"]:
        return f"://{HIDDEN}@"
    return (match["scheme"] or match["key"] or match["bcrypt"]) + HIDDEN


def _redact_event(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {name: redact_named(name, value) for name, value in event.items()}


_ENCODER: Final = msgspec.json.Encoder(enc_hook=repr)


def _render_json(_logger: object, _method: str, event: EventDict) -> str:
    ordered = {name: event.pop(name) for name in ("timestamp", "level", "process", "event") if name in event}
    ordered.update(event)
    try:
        return _ENCODER.encode(ordered).decode()
    except (UnicodeEncodeError, OverflowError, RecursionError):
        # A lone surrogate or an integer beyond 64 bits: the line matters more than its exact form.
        return _ENCODER.encode({name: ascii(value) for name, value in ordered.items()}).decode()


def _render_console(logger: object, method: str, event: EventDict) -> str:
    return _CONSOLE(logger, method, event)


_CONSOLE: Final = structlog.dev.ConsoleRenderer(
    colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=28
)


class _StderrLogger:
    """Writes whole lines to whatever standard error is at that moment."""

    def __init__(self, *_arguments: object) -> None:
        pass

    def msg(self, line: str) -> None:
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # nobody reads any more; there is no place left to say so

    debug = info = warning = error = critical = exception = fatal = log = msg


class _Bridge(logging.Handler):
    """Sends the standard library's records through structlog's processors."""

    def __init__(self, processors: Sequence[structlog.typing.Processor]) -> None:
        super().__init__()
        self._processors = processors
        self._logger = _StderrLogger()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: Any = {"event": record.getMessage(), "logger": record.name}
            if record.exc_info:
                event["exc_info"] = record.exc_info
            method = record.levelname.lower()
            for processor in self._processors:
                event = processor(self._logger, method, event)
            self._logger.msg(event)
        except Exception as fault:  # noqa: BLE001 - logging's own rule: a fault in a handler never reaches the caller
            # The library's own report would print the record's arguments, secrets and all.
            self._logger.msg(f"log line of {record.name} lost: {type(fault).__name__}")
