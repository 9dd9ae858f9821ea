"""Where the service's messages and events go, and what they look like."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from serving.records import events
from serving.records.request_record import RequestRecord

LogFormat = Literal["text", "json"]


class JsonLines(logging.Formatter):
    """A message as one line of JSON: `time`, `level`, `logger`, `message`, `request_id`, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request_id := RequestRecord.current_id()) is not None:
            line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(log_format: LogFormat) -> None:
    """Messages to stderr, for a person or a program; events to stdout, each one line of JSON."""
    # What no line holds is not looked up for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    messages = logging.StreamHandler()
    messages.setFormatter(
        JsonLines() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[messages])
    # It has a message for each question to Qdrant.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(logging.Formatter("%(message)s"))
    for logger in (events.LOGGER, events.REQUESTS):
        logger.handlers = [lines]
        logger.setLevel(logging.INFO)
        logger.propagate = False
