"""Who waits for the firewalls, and for which groups: decided with the batch that records the address."""

from dataclasses import replace

import pytest

from bridge.intake.cluster_index import ClusterIndex
from bridge.intake.recorder import Recorder
from bridge.model.gate import CONDITION, GateReason
from bridge.model.identity import Scope
from bridge.model.observed import Change, Event, Observed, Pod, resource_of
from bridge.state.batch import Batch, GateStart, Recorded
from tests.intake.fold import EDGE, GOVERNANCE
from tests.intake.objects import external, namespace, service, service_rule
from tests.state.builders import at, pod

NOTHING = Recorded(0, "", {}, {}, {}, {}, {}, {})
ONE, TWO = "10.0.0.1", "10.0.0.2"
UNGATED = replace(GOVERNANCE, ungated=frozenset({"kube-system", "bridge"}))


def gated(name: str, *addresses: str, **more: object) -> Pod:
    """A pod with the gate."""
    made = pod(name, *addresses, namespace=str(more.pop("namespace", "shop")))
    return replace(made, gates=(CONDITION,), **more)  # type: ignore[arg-type]


class Site:
    """One cluster, recorded step by step."""

    def __init__(self, *first: Observed, gates: dict[str, bool] | None = None) -> None:
        recorded = replace(NOTHING, gates=gates or {})
        self.index = ClusterIndex(UNGATED, recorded)
        self.recorder = Recorder("east", UNGATED, [EDGE], self.index, recorded)
        self.time = 0
        policy = (service("web", app="web"), external(), service_rule("out", "web"))
        self.index.take([Event(Change.UPSERT, resource_of(one), one) for one in (*first, *policy)], at(0))
        self.begin = self.recorder.first(at(0))

    def step(self, *values: Observed, gone: tuple[Observed, ...] = ()) -> Batch:
        """What is recorded of these changes."""
        self.time += 1
        events = [Event(Change.UPSERT, resource_of(one), one) for one in values]
        events += [Event(Change.DELETED, resource_of(one), one) for one in gone]
        self.index.take(events, at(self.time))
        return self.recorder.next(at(self.time))


def only(made: Batch) -> GateStart:
    """The one gate of a batch."""
    (start,) = made.gates
    return start


def test_a_pod_waits_for_the_groups_of_its_address_once_it_has_one() -> None:
    site = Site(namespace("shop"))
    assert site.step(gated("web-1")).gates == []
    start = only(site.step(gated("web-1", ONE)))
    assert not start.open
    assert start.reason == ""
    assert {need.address for need in start.needs} == {ONE}
    assert {need.key.scope for need in start.needs} == {Scope.SERVICE}
    assert site.step(gated("web-1", ONE, phase="Running", resource_version="8")).gates == []


def test_all_addresses_count_and_a_new_one_is_waited_for_too() -> None:
    site = Site(namespace("shop"))
    assert {need.address for need in only(site.step(gated("web-1", ONE))).needs} == {ONE}
    assert {need.address for need in only(site.step(gated("web-1", ONE, "fd00::1"))).needs} == {ONE, "fd00::1"}


def test_the_annotation_asks_for_it_too() -> None:
    site = Site(namespace("shop"))
    asking = replace(pod("web-1", ONE), annotations={CONDITION: "wanted"})
    assert not only(site.step(asking)).open
    assert site.step(replace(pod("web-2", TWO), annotations={CONDITION: "later"})).gates == []
    assert site.step(pod("web-3", "10.0.0.3")).gates == []


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (gated("dns", ONE, namespace="kube-system"), GateReason.NEVER_GATED),
        (gated("bridge-1", namespace="bridge"), GateReason.NEVER_GATED),
        (gated("web-1", ONE, namespace="free"), GateReason.NOT_GOVERNED),
        (gated("agent", "172.18.0.1", host_network=True), GateReason.HOST_NETWORK),
    ],
)
def test_who_need_not_wait(one: Pod, reason: GateReason) -> None:
    spaces = (namespace("shop"), namespace("kube-system"), namespace("bridge"), namespace("free", governed=False))
    start = only(Site(*spaces).step(one))
    assert (start.open, start.reason, start.told) == (True, reason, False)


def test_a_namespace_that_was_not_seen_yet_may_be_governed() -> None:
    site = Site(namespace("other"))
    start = only(site.step(gated("web-1", ONE)))
    assert (start.open, start.reason) == (False, GateReason.UNKNOWN)
    start = only(site.step(namespace("shop")))
    assert (start.open, start.reason) == (False, "")
    assert start.needs


def test_who_shares_an_address_waits_until_it_is_its_own() -> None:
    site = Site(namespace("shop"), replace(pod("web-1", ONE), started=at(10)))
    start = only(site.step(gated("web-2", ONE, started=at(1))))
    assert (start.open, start.reason) == (False, GateReason.CONFLICT)
    start = only(site.step(gone=(pod("web-1", ONE),)))
    assert (start.pod.name, start.reason) == ("web-2", "")
    assert start.needs


def test_a_pod_that_says_so_itself_is_taken_at_its_word() -> None:
    site = Site(namespace("shop"))
    site.step(gated("web-1", ONE))
    made = site.step(gated("web-1", ONE, programmed=True))
    assert (made.gates, made.gates_opened) == ([], ["uid-web-1"])
    assert site.step(gated("web-1", ONE)).gates == []  # whatever it says later
    start = only(site.step(gated("web-2", TWO, programmed=True)))
    assert (start.open, start.told) == (True, True)


def test_who_is_gone_is_forgotten() -> None:
    site = Site(namespace("shop"))
    site.step(gated("web-1", ONE))
    site.step(gated("web-2", TWO))
    assert site.step(gone=(gated("web-1", ONE),)).gates_gone == ["uid-web-1"]
    assert site.step(gated("web-2", TWO, phase="Succeeded")).gates_gone == ["uid-web-2"]
    assert site.step(gone=(gated("web-2", TWO),)).gates_gone == []


def test_after_a_start_everybody_who_waits_is_looked_at_again() -> None:
    known = {"uid-web-1": True, "uid-web-2": False, "uid-web-3": True, "uid-web-4": False}
    site = Site(namespace("shop"), gated("web-1", ONE), gated("web-2", TWO), gated("new", "10.0.0.9"), gates=known)
    assert {one.pod.name for one in site.begin.gates} == {"web-1", "new"}
    assert set(site.begin.gates_gone) == {"uid-web-3", "uid-web-4"}
