"""What commands print: plain text or JSON on standard output, problems on standard error.

Nothing that is printed is ever taken for markup, and no control character of somebody else's text reaches a terminal.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Format(StrEnum):
    """How a command answers."""

    TEXT = "text"
    JSON = "json"


def plain(text: str) -> str:
    """The text in one line, with what a terminal would obey made visible."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in " ".join(text.split("\n")))


def complain(text: str) -> None:
    """Say on standard error why it did not work; lines stay lines."""
    for line in text.splitlines():
        print(plain(line), file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's answer goes."""

    format: Format = Format.TEXT

    @property
    def json(self) -> bool:
        """Whether the answer is one JSON document."""
        return self.format is Format.JSON

    def document(self, value: Any) -> None:  # noqa: ANN401 (any JSON value)
        """Print a JSON document."""
        print(json.dumps(value, indent=2, ensure_ascii=False))

    def line(self, text: str = "") -> None:
        """Print one line."""
        print(plain(text))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table: drawn and folded to the width of a terminal, else in plain columns of full length."""
        cells = [[plain(cell) for cell in row] for row in rows]
        if sys.stdout.isatty():
            _drawn(title, columns, cells)
        else:
            _columned(title, columns, cells)


def _drawn(title: str, columns: Sequence[str], cells: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console(markup=False, highlight=False, emoji=False).print(table)


def _columned(title: str, columns: Sequence[str], cells: list[list[str]]) -> None:
    lines = [[column.upper() for column in columns], *cells]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    if title:
        print(plain(title))
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print()
