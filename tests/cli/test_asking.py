"""What `who` and `history` make of careless words."""

from datetime import UTC, datetime

import pytest
import typer

from bridge.cli.history import PAGE, again
from bridge.cli.who import time_of

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize("words", ["", " ", "-5m"])
def test_an_empty_time_is_not_now(words: str) -> None:
    assert time_of(None, NOW, "--at") == NOW
    with pytest.raises(typer.BadParameter, match="is no time"):
        time_of(words, NOW, "--at")


def test_the_command_for_the_next_page_asks_the_same() -> None:
    assert again(None, PAGE, None) == ""
    assert again("2026-11-23 10:00", 5, "east") == " --since '2026-11-23 10:00' --limit 5 --cluster east"
