"""The log: for people, or one JSON object a line with the request's id, which is the same on every tier."""

import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from splitnet.config import LogFormat
from splitnet.telemetry.events import Events, RequestEnd

logger = logging.getLogger(__name__)


# Of what a caller chose, a line shows so much: an id or a name may be megabytes.
_LONGEST_ID = 80
_LONGEST_REASON = 500
# A line names so many requests; more are named in further lines.
_MOST_IDS = 64


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    Keys: `time` (RFC 3339, UTC), `level`, `logger`, `message`; `request_id` and others where a record's `extra`
    has `request_id` and `fields`; `error` with the traceback where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of `record`, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", ""):
            line["request_id"] = request_id[:_LONGEST_ID]
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """A line for people; the request's id follows in brackets where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's own name)
        """Return the line of `record`, without a traceback."""
        request_id = getattr(record, "request_id", "")
        line = super().formatMessage(record)
        # One line stays one line, whoever chose what is in it.
        line = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in line)
        return line + (f" [{_shown(request_id)}]" if request_id else "")


class RequestLog(Events):
    """Writes a line at each request's end: at INFO, or at WARNING where it failed for a fault of ours."""

    def request_end(self, end: RequestEnd) -> None:
        """Log the end of a request."""
        level = logging.WARNING if end.status in ("INTERNAL", "UNKNOWN") else logging.INFO
        if not logger.isEnabledFor(level):
            return
        fields = {
            "model": end.model,
            "plan": end.plan,
            "version": end.version,
            "status": end.status,
            "milliseconds": round(end.seconds * 1e3, 3),
            "samples": end.samples,
            "exits": dict(Counter(end.exits)),
            "fallbacks": dict(Counter(reason for reason in end.fallbacks if reason)),
        } | ({"reason": end.error[:_LONGEST_REASON]} if end.error else {})
        extra = {"request_id": end.request_id, "fields": fields}
        logger.log(level, "%s %s in %.1f ms", end.model, end.status, end.seconds * 1e3, extra=extra)


def log_standing(message_id: str, request_ids: Sequence[str]) -> None:
    """Log which requests a message to the tier above stands for, so that each of their ids leads to its id.

    Args:
        message_id: by which the tiers above know it.
        request_ids: by which this tier and those below know the requests; cut as any id that a line shows.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    for start in range(0, len(request_ids), _MOST_IDS):
        ids = [each[:_LONGEST_ID] for each in request_ids[start : start + _MOST_IDS]]
        extra = {"request_id": message_id, "fields": {"stands_for": ids}}
        logger.info("it stands for the requests %s", ", ".join(ids), extra=extra)


def _shown(request_id: str) -> str:
    return ascii(request_id[:_LONGEST_ID])[1:-1]


def start_logging(*, verbose: bool, log_format: LogFormat = "text") -> None:
    """Log to standard error: what needs attention, or everything of note with `verbose`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])
    # They tell of every rewriting of a graph, a hundred lines a model.
    for name in ("onnx_ir", "onnxscript"):
        logging.getLogger(name).setLevel(logging.WARNING)
