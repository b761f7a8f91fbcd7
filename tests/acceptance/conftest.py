"""Prints line → test → result once the tests of this folder have run (`make acceptance`), with one process or several."""

from dataclasses import dataclass
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_LINE = "acceptance"


@dataclass(slots=True)
class Row:
    """One line that one test stands for; `order` is the test's place in its file's collection."""

    order: int
    line: str
    test: str
    result: str = ""


class Table:
    """Gathers reports, which xdist sends here from its workers, into rows."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what one phase of a test came to; the first phase that did not pass decides."""
        for name, value in report.user_properties:
            if name == _LINE and isinstance(value, (list, tuple)):
                order, line = value
                row = self._rows.setdefault((line, report.nodeid), Row(int(order), str(line), report.nodeid))
                if row.result in ("", "passed"):
                    row.result = _told(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table, in the order of the tests' folder."""
        if not self._rows:
            return
        terminalreporter.section("acceptance")
        terminalreporter.write_line("| line | test | result |\n| --- | --- | --- |")
        for row in sorted(self._rows.values(), key=lambda row: row.order):
            test = row.test.split("@")[0].removeprefix("tests/acceptance/")
            terminalreporter.write_line(f"| {row.line} | {test} | {row.result} |")


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that hears of all tests prints."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Table(), "acceptance-table")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send the lines along with each report, the way that xdist carries too. A test without a line does not belong here."""
    for order, item in enumerate(items):
        markers = list(item.iter_markers(_LINE))
        if not markers and item.path.is_relative_to(_HERE):
            raise pytest.UsageError(f'{item.nodeid} names no line: mark it acceptance("<the line of the issue>")')
        for marker in markers:
            item.user_properties.append((_LINE, [order, *marker.args]))


def _told(report: pytest.TestReport) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return f"skipped: {report.longrepr[2].removeprefix('Skipped: ')}"
    return report.outcome
