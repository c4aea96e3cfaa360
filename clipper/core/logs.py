"""Logging: one line per record on stderr, as text for people or as JSON for machines.

A record's `extra` fields become members of its JSON object. Whatever the locale, a character that
the stream cannot show is escaped, so that logging never breaks what it reports on.
"""

import io
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from clipper.core.escapes import one_line

# A record's own attributes; whatever else it carries came as `extra`.
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_SERVER_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


def configure(
    log_format: Literal["text", "json"],
    level: str,
    stream: TextIO | None = None,
    *,
    speaker: str = "",
) -> None:
    """Send every logger's records to the stream (stderr), replacing what was configured before.

    Records of other libraries below INFO, and the HTTP server's line per request, are left out.
    `speaker` says which process speaks, where several write to one stream.
    """
    stream = stream or sys.stderr
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(stream)
    make = JsonFormatter if log_format == "json" else TextFormatter
    handler.setFormatter(make(speaker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    number = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(number, logging.INFO))
    logging.getLogger("clipper").setLevel(number)
    _route_server_loggers(number)


def _route_server_loggers(level: int) -> None:
    for name in _SERVER_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").setLevel(max(level, logging.WARNING))


class TextFormatter(logging.Formatter):
    """`2026-11-22T06:16:21.123Z INFO clipper.daemon: message`, then any traceback.

    A speaker stands before the logger: `... INFO worker 1 clipper.daemon: message`.
    """

    def __init__(self, speaker: str = "") -> None:
        super().__init__()
        self._speaker = f"{speaker} " if speaker else ""

    def format(self, record: logging.LogRecord) -> str:
        message = one_line(record.getMessage())
        line = f"{_instant(record)} {record.levelname} {self._speaker}{record.name}: {message}"
        return "\n".join([line, *_details(self, record)])


class JsonFormatter(logging.Formatter):
    """One JSON object in ASCII: time, level, logger, message, the extra fields, any traceback.

    A speaker is its `process`.
    """

    def __init__(self, speaker: str = "") -> None:
        super().__init__()
        self._speaker = speaker

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._speaker:
            fields["process"] = self._speaker
        own = _OWN_ATTRIBUTES | fields.keys()
        fields |= {key: value for key, value in vars(record).items() if key not in own}
        if details := _details(self, record):
            fields["traceback"] = "\n".join(details)
        return json.dumps(fields, default=str, skipkeys=True)


def _instant(record: logging.LogRecord) -> str:
    instant = datetime.fromtimestamp(record.created, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _details(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """The traceback and the stack of the record, where it has them."""
    details = []
    if record.exc_info:
        details.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        details.append(formatter.formatStack(record.stack_info))
    return details
