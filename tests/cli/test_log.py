"""The log: text or JSON on standard error, without secrets."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from bridge.cli.log import configure, redact
from bridge.cli.redaction import redacted


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    log = structlog.get_logger("bridge.delivery.worker")
    log.debug("not this")
    log.info("applying", device="edge", steps=3, password="hunter2", url="postgresql://u:hunter2@db/x")
    logging.getLogger("apscheduler").warning("late by %s, Authorization: Bearer hunter2hunter2", 3)
    logging.getLogger("httpx").info("not this either")
    ours, theirs = _lines(capsys)
    assert (ours["event"], ours["level"], ours["device"], ours["steps"]) == ("applying", "info", "edge", 3)
    assert (ours["password"], ours["url"]) == ("***", "postgresql://u:***@db/x")
    assert theirs["event"] == "late by 3, Authorization: Bearer ***"


def test_an_exception_is_told_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    try:
        int("https://u:hunter2@edge/")
    except ValueError:
        structlog.get_logger().exception("delivery failed")
    (line,) = _lines(capsys)
    assert "ValueError" in line["exception"]
    assert "hunter2" not in json.dumps(line)


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning", "text")
    structlog.get_logger().info("not this")
    structlog.get_logger().warning("lease lost", name="edge", token="hunter2")
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "lease lost" in captured.err
    assert "hunter2" not in captured.out + captured.err


def test_what_is_named_like_a_secret_is_hidden_at_any_depth() -> None:
    event = redact(
        None, "info", {"event": "x", "headers": {"X-F5-Auth-Token": "hunter2", "n": 1}, "list": [{"secret": "a"}]}
    )
    assert event == {"event": "x", "headers": {"X-F5-Auth-Token": "***", "n": 1}, "list": [{"secret": "***"}]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"password": "hunter2"}', '{"password": "***"}'),
        ("password=hunter2&user=u", "password=***&user=u"),
        ("Basic aHVudGVyMjpodW50ZXI=", "Basic ***"),
        ("https://edge/mgmt", "https://edge/mgmt"),
        ("token expired", "token expired"),
    ],
)
def test_inside_text(text: str, shown: str) -> None:
    assert redacted(text) == shown
