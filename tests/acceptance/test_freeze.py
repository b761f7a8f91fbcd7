"""Freeze windows, on devices of every kind: edits wait, workloads do not, everybody is told, and the end comes by itself."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from bridge.cli.comparison import compare
from bridge.cli.status import standing
from bridge.dialects.dialect import NATIVE, load
from bridge.model.plan import HoldKind
from bridge.model.policy import Validity
from bridge.policy.compile import Target
from bridge.policy.freeze import Freeze
from bridge.policy.guard import GuardLimits
from bridge.report.destination import destination
from bridge.report.evidence import Witness
from bridge.report.sender import source
from bridge.report.trace import Site, Tracer
from bridge.state.delivery_store import DeliveryStore
from bridge.state.report_store import ReportStore
from bridge.state.trace_store import TraceStore
from tests.acceptance.site import eventually
from tests.acceptance.stand import Stand, passes, stand
from tests.soak.meaning import CLUSTER, DENY, GOVERNANCE

EDGE = "edge"  # the device in the freeze
WAS, NEW, OTHER, PICKED = "192.0.2.1", "198.51.100.1", "203.0.113.1", "203.0.113.9"
FIRST, SECOND = "10.244.7.1", "10.244.7.2"
FROZEN: dict[tuple[str, str], bool] = {
    (SECOND, WAS): True,
    (SECOND, NEW): False,
    (SECOND, OTHER): True,
    (SECOND, PICKED): True,
    (FIRST, WAS): False,
    (FIRST, PICKED): False,
}
EDITED = {
    (SECOND, WAS): False,
    (SECOND, NEW): True,
    (SECOND, OTHER): False,
    (SECOND, PICKED): False,
    (FIRST, WAS): False,
    (FIRST, NEW): False,
}


class Freezing:
    """A site whose edge is in a freeze of an hour, with policy edited and workloads moved meanwhile."""

    def __init__(self, site: Stand) -> None:
        self.site = site
        made = site.made
        made.team("shop", FIRST, to=f"{WAS}/32")
        made.external("shop", "other", f"{OTHER}/32")
        made.service_rule("shop", "web", "other")
        made.external("shop", "third", f"{PICKED}/32")
        self.pick("web")
        site.start()
        site.await_all({(FIRST, WAS): True, (FIRST, NEW): False, (FIRST, OTHER): True, (FIRST, PICKED): True})
        site.stop()
        now = site.clock.now()
        times = Validity(now - timedelta(minutes=1), now + timedelta(hours=1))
        site.freezes = {EDGE: (Freeze("year end", times),)}
        site.start()
        made.external("shop", "provider", f"{NEW}/32")
        made.store.delete("serviceegressrules", "shop", "web-other")
        made.service_rule("shop", "web", "provider", "Allow", priority=10)
        self.pick("audit")
        made.pod("shop", "web-1", SECOND)
        made.delete_pod("shop", "web-0")
        site.await_all(EDITED, EDGE)
        site.await_one(EDGE, FROZEN)

    def pick(self, app: str) -> None:
        """A rule about the pods of this label: in the freeze each device counts those of its own version."""
        source = {"podSelector": {"matchLabels": {"app": app}}}
        self.site.made.namespace_rule("shop", "picked", "third", "Allow", **{"from": source})

    @property
    def reports(self) -> ReportStore:
        return ReportStore(self.site.database)

    def edge(self) -> dict[str, Any]:
        """What `status` says of the device."""
        found = standing(self.site.database, self.site.clock.now())
        return next(one for one in found["devices"] if one["name"] == EDGE)

    def told(self, kind: str, name: str) -> dict[str, Any]:
        """What an object says of the device."""
        status = self.site.made.store.get(kind, "shop", name).get("status", {})
        return next((one for one in status.get("devices", ()) if one["name"] == EDGE), {})

    def programmed(self, kind: str, name: str) -> tuple[str, str]:
        conditions = self.site.made.store.get(kind, "shop", name).get("status", {}).get("conditions", ())
        return next(((one["status"], one["reason"]) for one in conditions if one["type"] == "Programmed"), ("", ""))


@pytest.fixture(scope="module")
def freezing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Freezing]:
    with stand(tmp_path_factory.mktemp("freeze")) as made:
        yield Freezing(made)


@pytest.mark.acceptance(
    "trust: freeze windows: no edit reaches a device in a freeze, and membership there goes on exactly"
)
def test_members_go_on(freezing: Freezing) -> None:
    """Others have the edits at once; on the edge the new pod is in, and the one that went has left nothing behind."""
    site = freezing.site
    moments, _ = site.post(EDGE).track.take()
    assert moments
    assert all(not passes(one, SECOND, NEW) and not passes(one, FIRST, NEW) for one in moments)
    assert not passes(site.post(EDGE).now(), FIRST, WAS)


@pytest.mark.acceptance(
    "trust: freeze windows: what waits is told on the objects, in status, in reports and as a held list"
)
def test_told(freezing: Freezing) -> None:
    def held() -> bool:
        return freezing.told("externalservices", "provider").get("state") == "Held"

    eventually("the object says that it is held", held)
    assert "year end" in freezing.told("externalservices", "provider")["message"]
    eventually("and so its condition", lambda: freezing.programmed("externalservices", "provider") == ("False", "Held"))
    (freeze,) = freezing.edge()["freezes"]
    assert freeze["windows"] == ["year end"]
    assert {edit.split(": ")[1] for edit in freeze["edits"]} == {
        "ExternalService shop/provider",
        "NamespaceEgressRule shop/picked",
        "ServiceEgressRule shop/web-other",
        "ServiceEgressRule shop/web-provider",
    }
    reported = Witness(freezing.site.database, freezing.site.clock.now()).evidence(EDGE, {})
    assert [one.digest for one in reported.frozen] == [freeze["digest"]]
    (listed,) = [one for one in reported.held if one.state == "held"]
    assert (listed.kind, listed.digest) == ("freeze", freeze["digest"])
    assert {part.kind for part in listed.held} == {HoldKind.EDIT}


@pytest.mark.acceptance("trust: freeze windows: plan, report and trace agree with what the device really does")
def test_plan_and_trace(freezing: Freezing) -> None:
    site = freezing.site
    post = site.post(EDGE)
    with closing(post.factory.open(post.config())) as adapter:
        found = compare(adapter, "bigip", DeliveryStore(site.database), freezing.reports, GuardLimits())
    assert found.plan is not None
    assert found.plan.empty
    targets = tuple(Target(one.name, one.factory.capabilities(one.config()), DENY) for one in site.posts)
    with TraceStore(site.database).reading() as reading:
        where = {CLUSTER: Site(GOVERNANCE, targets, load([NATIVE]))}
        for to, edge, others in ((WAS, "Allow", "Deny"), (NEW, "Deny", "Allow"), (PICKED, "Allow", "Deny")):
            tracer = Tracer(reading, where, None, site.clock.now())
            told = tracer.trace(source(SECOND), destination(f"{to}:443/tcp"))
            said = {device: one.verdict for each in told.answers for one in each.decisions for device in one.devices}
            assert said.pop(EDGE) == edge, told
            assert set(said.values()) == {others}, told
            assert told.agrees, told.headline
            assert any("frozen until" in note for note in told.notes)


@pytest.mark.acceptance("trust: freeze windows: a restart in the middle changes nothing on the device")
def test_restart(freezing: Freezing) -> None:
    site = freezing.site
    before = freezing.edge()["freezes"]
    site.stop()
    site.post(EDGE).track.take()
    site.start()
    site.made.pod("shop", "web-2", "10.244.7.3")
    site.await_one(EDGE, {**FROZEN, ("10.244.7.3", WAS): True})
    assert freezing.edge()["freezes"] == before


@pytest.mark.acceptance("trust: freeze windows: the list of edits is released by a Decision with a name and a reason")
def test_release(freezing: Freezing) -> None:
    site = freezing.site
    digest = freezing.edge()["freezes"][0]["digest"]
    spec = {"device": EDGE, "digest": digest, "verdict": "Release", "by": "ann", "reason": "reviewed"}
    site.made.put("Decision", "", "now", spec)
    site.await_all(EDITED)
    assert freezing.edge()["freezes"][0]["edits"] == []
    eventually(
        "the decision is done",
        lambda: site.made.store.get("decisions", None, "now").get("status", {}).get("state") == "Done",
    )


@pytest.mark.acceptance("trust: freeze windows: at its end all flows by itself, without a restart")
def test_the_end(freezing: Freezing) -> None:
    site = freezing.site
    site.made.external("shop", "provider", f"{OTHER}/32")
    edited = {(SECOND, NEW): False, (SECOND, OTHER): True, (FIRST, OTHER): False}
    site.await_all(edited, EDGE)
    site.await_one(EDGE, EDITED)
    site.clock.ahead = timedelta(hours=2)
    site.await_all(edited)
    eventually("nobody is told of a freeze any more", lambda: freezing.edge()["freezes"] == [])
    eventually("the object is programmed", lambda: freezing.programmed("externalservices", "provider")[0] == "True")
