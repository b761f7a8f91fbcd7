"""The log of the process: structlog on standard error, as text or JSON, with secrets taken out on the way."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from bridge.cli.redaction import HIDDEN, redacted

_SECRET = re.compile(
    r"password|passwd|secret|token|authorization|credential|cookie|api_?key|private_?key", re.IGNORECASE
)


def configure(level: str, form: str) -> None:
    """Log from this level on, as "text" or "json". Other libraries' logs join ours, from WARNING on unless we debug."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=str)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    for ours in ("bridge", "adapters"):
        logging.getLogger(ours).setLevel(logging.DEBUG)


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Take secrets out: the values of fields that are named like one, and what looks like one inside any text."""
    return {key: _field(key, value) for key, value in event.items()}


def _field(key: object, value: Any) -> Any:  # noqa: ANN401 (whatever is logged)
    if isinstance(key, str) and _SECRET.search(key) and isinstance(value, str | bytes | Mapping | list | tuple):
        return HIDDEN
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {inner: _field(inner, one) for inner, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_field("", one) for one in value]
    return value
