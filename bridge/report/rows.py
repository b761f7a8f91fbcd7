"""Reports as CSV: one row for each item of each object, for spreadsheets and for `join`."""

import csv
import io
from collections.abc import Iterable, Iterator

from bridge.report.about import About
from bridge.report.model import DeviceReport, Item, ItemState, ObjectReport, Report

COLUMNS = (
    "device",
    "cluster",
    "scope",
    "namespace",
    "name",
    "kind",
    "item",
    "stands_for",
    "workload",
    "state",
    "proven_at",
)
# A spreadsheet takes a cell that begins so for a formula; an apostrophe before it makes it text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")  # noqa: RUF001


def csv_text(report: Report) -> str:
    """The whole report, RFC 4180, with a line of names. A device that could not be read is one row of kind `device`, state `unknown`."""
    written = io.StringIO(newline="")
    lines = csv.writer(written, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    for device in report.by_device:
        lines.writerows([harmless(cell) for cell in row] for row in _rows(device))
    return written.getvalue()


def harmless(cell: str) -> str:
    """The cell in one line of printable text that no spreadsheet calculates."""
    text = cell
    if not cell.isprintable():
        text = "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in cell)
    return f"'{text}" if cell.lstrip(" ").startswith(_FORMULA) else text


def _rows(device: DeviceReport) -> Iterator[tuple[str, ...]]:
    if device.error:
        yield (device.device, "", "", "", "", "device", device.error, "", "", "unknown", "")
        return
    for one in device.objects:
        proven = one.verified_at.isoformat() if one.verified_at else ""
        for item in one.items or _nothing_in(one):
            yield _row(device, one, item, proven)
    known = {one.object for one in device.objects}
    for aside in device.quarantined:
        if aside.object not in known:
            yield _row(device, aside, Item("", ItemState.QUARANTINED), "")


def _nothing_in(one: ObjectReport) -> Iterable[Item]:
    """An empty object is still there, or should be."""
    if one.missing:
        yield Item("", ItemState.MISSING)
    elif one.extra:
        yield Item("", ItemState.EXTRA)
    else:
        yield Item("")


def _row(device: DeviceReport, one: About, item: Item, proven: str) -> tuple[str, ...]:
    who = (item.stands_for, item.workload)
    return (
        device.device,
        one.cluster,
        one.scope,
        one.namespace,
        one.name,
        one.kind,
        item.item,
        *who,
        item.state.value,
        proven,
    )
