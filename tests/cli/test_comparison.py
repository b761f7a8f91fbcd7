"""What was refused is set aside in plans and reports as the worker sets it aside; and tables, drawn on a terminal."""

import sys

import pytest

from bridge.cli.comparison import compare
from bridge.cli.output import Output
from bridge.cli.reporting import device_report
from bridge.clock import SystemClock
from bridge.delivery.worker import Worker
from bridge.model.intent import Ports
from bridge.model.policy import PortRange
from bridge.policy.guard import GuardLimits
from bridge.report.evidence import Witness
from bridge.state.batch import DesiredObject
from bridge.state.database import Database
from bridge.state.report_store import ReportStore
from tests.cli.site import BANK, HTTPS, RULES, SOURCE, Site
from tests.delivery.memory import MemoryAdapter, MemoryDevice
from tests.state.builders import at, batch


def test_what_the_device_refuses_is_quarantined_and_not_planned_again(site: Site, database: Database) -> None:
    site.desire("10.64.0.1")
    device = MemoryDevice(refuses={HTTPS: "no such ports"})
    adapter = MemoryAdapter(device, "edge")
    worker = Worker(adapter, site.stores.delivery, SystemClock(), database.installation())
    while worker.turn(1) == 0:
        pass
    assert {SOURCE, BANK} <= device.objects.keys()

    reports = ReportStore(database)
    compared = compare(adapter, "memory", site.stores.delivery, reports, GuardLimits())
    assert compared.plan is not None
    assert compared.plan.empty
    found = device_report(compared, Witness(database, at(60)))
    assert HTTPS in {one.key for one in found.quarantined}
    assert {one.message for one in found.quarantined if one.key == HTTPS} == {"no such ports"}
    assert found.differences == ()

    changed = batch(5)
    changed.desired = [DesiredObject("edge", HTTPS, Ports(HTTPS, (PortRange(8443, 8443),)), "2")]
    site.stores.commit(changed)
    again = compare(adapter, "memory", site.stores.delivery, reports, GuardLimits())
    assert again.plan is not None
    assert HTTPS in {step.key for step in again.plan.steps}


def test_a_terminal_gets_whole_names(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    Output().table("[bold]x", ("object", "why"), [(str(RULES), "[shop/pay] :smile: \x1b[2J" + "z" * 50)])
    shown = capsys.readouterr().out
    flat = "".join(shown.split())
    assert "[bold]x" in flat
    assert all(piece in flat for piece in ("[shop/pay]", ":smile:", "\\x1b[2J"))
    assert flat.count("z") == 50
    assert "…" not in shown
