"""Freezes: edits wait, members do not, and in the end everything is as if there had been none."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bridge.dialects.dialect import Dialects
from bridge.intake.policies import NATIVE
from bridge.intake.rehearsal import Rehearsal
from bridge.intake.snapshot import ClusterSnapshot, PlannedDevice, read, write
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.decisions import Settled
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, RuleList
from bridge.model.observed import Change, Node, Observed, Order, PolicyObject, Resource
from bridge.model.plan import HoldKind
from bridge.model.policy import (
    AddressSource,
    DefaultAction,
    Defaults,
    Governance,
    Ref,
    UnknownAddresses,
    Validity,
    View,
)
from bridge.model.resolution import Resolution
from bridge.policy.compile import Target
from bridge.policy.freeze import Freeze
from bridge.policy.guard import GuardLimits
from bridge.state.batch import Batch, Recorded
from tests.delivery.sequences import STATES, Picture
from tests.dialects import ces_objects
from tests.intake.fold import EDGE, GOVERNANCE, Bench, Record, event
from tests.intake.objects import external, namespace, pod, policy, service, service_rule
from tests.state.builders import at

RULE = Ref("ServiceEgressRule", "shop", "pay-out")


def window(begin: int, end: int, name: str = "year end") -> Freeze:
    """From one second of the bench to another."""
    return Freeze(name, Validity(at(begin), at(end)))


def frozen(begin: int, end: int, target: Target = EDGE) -> Target:
    return replace(target, freezes=(window(begin, end),))


OTHER = replace(EDGE, name="core")


class Clocked(Record):
    """A record that knows up to when it is whole."""

    def recorded(self) -> Recorded:
        return replace(super().recorded(), seen_at=self.last)


class Site(Bench):
    """A cluster that is recorded at times of our own."""

    def __init__(self, *targets: Target, dialects: Dialects = NATIVE, governance: Governance = GOVERNANCE) -> None:
        super().__init__(*targets, record=Clocked(), dialects=dialects, governance=governance)

    def change(self, *targets: Target) -> None:
        """Another process begins, with other settings."""
        self._targets = targets
        self.restart()

    def show(self, before: Picture, after: Picture) -> None:
        """Everything that happens between two states, in one batch."""
        gone = [event(Change.DELETED, one) for key, one in before.items() if key not in after]
        self.take([*gone, *(event(Change.UPSERT, one) for key, one in after.items() if before.get(key) != one)])
        self._now -= 1
        self.commit()

    def at(self, second: int) -> "Site":
        assert second > self._now, "time does not go back"
        self._now = second - 1
        return self

    def pass_to(self, second: int) -> Batch:
        """Nothing happens but the hour."""
        self.at(second)
        return self.commit()


def start(*targets: Target) -> Site:
    site = Site(*targets)
    site.see(namespace(), service("pay", app="pay"), pod("pay-1", "10.0.0.1"), external(), service_rule())
    return site


def holds(record: Record, device: str) -> dict[ObjectKey, DeviceObject | frozenset[str]]:
    """What a device is to hold: fixed objects, and the members of groups."""
    return {
        key: frozenset(record.members[record.counted[name, key]]) if body is None else body
        for (name, key), body in record.bodies.items()
        if name == device
    }


PAY = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "pay")


def of_policy(value: Observed) -> bool:
    return isinstance(value, PolicyObject)


def fresh(values: Iterable[Observed], *targets: Target, dialects: Dialects = NATIVE) -> Record:
    """The same objects, recorded by somebody who never heard of a freeze."""
    bench = Bench(*(targets or (EDGE,)), dialects=dialects)
    bench.see(*values)
    return bench.record


def now(site: Bench) -> list[Observed]:
    return [*site.record.pods.values(), *site.record.objects.values()]


def as_of(site: Bench, policy: Iterable[Observed]) -> list[Observed]:
    """Who is there now, under the policy of another time."""
    return [*(one for one in now(site) if not of_policy(one)), *policy]


def accepted(site: Bench) -> list[Observed]:
    return [one.accepted for one in site.record.verdicts.values() if one.accepted is not None]


def said(site: Bench, ref: Ref, device: str = "edge") -> tuple[str, str]:
    one = site.record.placements[ref, device]
    return one.reason, one.message


def order(verdict: str, digest: str, device: str = "edge", name: str = "d1") -> Order:
    spec = {"device": device, "digest": digest, "verdict": verdict, "by": "ann", "reason": "reviewed"}
    return Order(Resource.DECISIONS, f"uid-{name}", name, "1", spec)


def test_an_edit_waits_for_the_end_of_the_freeze_and_members_do_not() -> None:
    site = start(frozen(100, 200))
    before = holds(site.record, "edge")
    site.at(110).see(external("bank", "192.0.2.77"), service_rule(action="Deny", generation=2))
    assert holds(site.record, "edge") == before
    assert said(site, RULE) == (
        "Held",
        "frozen until 2026-03-01T12:03:20Z (year end): generation 2 waits; generation 1 stays in force there",
    )
    site.at(120).see(pod("pay-2", "10.0.0.2"))
    site.at(130).see(pod("pay-1", "10.0.0.1"), change=Change.DELETED)
    assert holds(site.record, "edge") == {**before, PAY: frozenset({"10.0.0.2"})}
    batch = site.pass_to(200)
    assert batch.thawed == ["edge"]
    assert {one.cause for one in batch.desired} >= {f"{RULE} after the freeze year end"}
    assert holds(site.record, "edge") == holds(fresh(now(site)), "edge")
    assert site.record.destination("bank") == {"192.0.2.77"}
    assert said(site, RULE) == ("", "")
    assert site.record.lists == {}


def test_what_is_new_and_what_is_deleted_waits_too_and_is_listed() -> None:
    site = start(frozen(100, 200))
    before = holds(site.record, "edge")
    site.at(110).see(service_rule("pay-more", generation=3))
    site.at(120).see(service_rule(), change=Change.DELETED)
    assert holds(site.record, "edge") == before
    assert said(site, Ref("ServiceEgressRule", "shop", "pay-more"))[1].endswith(
        "generation 3 is new, and not in force there yet"
    )
    assert said(site, RULE)[1].endswith("it was deleted, and stays in force there")
    told = site.record.lists["edge"]
    assert [one.reason.split(": ")[1] for one in told.edits] == ["ServiceEgressRule shop/pay-more", str(RULE)]
    assert {one.kind for one in told.edits} == {HoldKind.EDIT}
    site.pass_to(200)
    assert holds(site.record, "edge") == holds(fresh(now(site)), "edge")


def test_an_edit_that_is_taken_back_in_the_freeze_is_no_edit() -> None:
    site = start(frozen(100, 200))
    site.at(110).see(service_rule(action="Deny", generation=2))
    assert "edge" in site.record.lists
    site.at(120).see(service_rule(generation=3))
    assert site.record.lists == {}
    assert said(site, RULE) == ("", "")


def test_of_two_devices_one_is_frozen_and_each_counts_the_members_of_its_own_version() -> None:
    group = policy("AddressGroup", "web", podSelector={"matchLabels": {"app": "pay"}})
    site = start(frozen(100, 200), OTHER)
    site.see(group, pod("cart-1", "10.0.0.9"))
    key = ObjectKey(Kind.GROUP, "east", Scope.ADDRESS_GROUP, "", "web")
    site.at(110).see(policy("AddressGroup", "web", podSelector={"matchLabels": {"app": "cart"}}, generation=2))
    assert holds(site.record, "edge")[key] == frozenset({"10.0.0.1"})
    assert holds(site.record, "core")[key] == frozenset({"10.0.0.9"})
    site.at(120).see(pod("pay-2", "10.0.0.2"), pod("cart-2", "10.0.0.10"))
    assert holds(site.record, "edge")[key] == frozenset({"10.0.0.1", "10.0.0.2"})
    assert holds(site.record, "core")[key] == frozenset({"10.0.0.9", "10.0.0.10"})
    site.at(130).see(pod("pay-1", "10.0.0.1"), pod("cart-1", "10.0.0.9"), change=Change.DELETED)
    assert holds(site.record, "edge")[key] == frozenset({"10.0.0.2"})
    assert holds(site.record, "core")[key] == frozenset({"10.0.0.10"})
    site.pass_to(200)
    assert holds(site.record, "edge")[key] == holds(site.record, "core")[key] == frozenset({"10.0.0.10"})
    assert key in site.record.members
    assert all(not one.part for one in site.record.members), "nothing is counted apart any more"


def test_who_leaves_in_the_very_batch_that_parts_a_group_leaves_both() -> None:
    site = start(frozen(100, 200), OTHER)
    site.see(policy("AddressGroup", "web", podSelector={"matchLabels": {"app": "pay"}}))
    edit = policy("AddressGroup", "web", podSelector={"matchLabels": {"app": "cart"}}, generation=2)
    moved = replace(pod("pay-1", "10.0.0.1"), labels={"app": "cart"})
    batch = site.at(110).see(edit, moved)
    kept = ObjectKey(Kind.GROUP, "east", Scope.ADDRESS_GROUP, "", "web", "kept.edge")
    assert [(one.group, one.address) for one in batch.left if one.group == kept] == [(kept, "10.0.0.1")]
    assert site.record.members[kept] == set()


def test_a_restart_in_the_freeze_goes_on_with_its_policy() -> None:
    site = start(frozen(100, 200))
    site.at(110).see(service_rule(action="Deny", generation=2))
    held, before = site.record.lists["edge"], holds(site.record, "edge")
    site.restart()
    batch = site.at(120).commit()
    assert not batch.desired
    assert not batch.desired_gone
    assert (site.record.lists["edge"], holds(site.record, "edge")) == (held, before)
    site.at(130).see(external("bank", "192.0.2.9", generation=2))
    assert holds(site.record, "edge") == before
    site.pass_to(200)
    assert holds(site.record, "edge") == holds(fresh(now(site)), "edge")


@pytest.mark.parametrize("down_at", [90, 150])
def test_a_freeze_that_begins_or_is_set_while_nobody_is_there_keeps_what_was_in_force(down_at: int) -> None:
    """The window is in force already when it is first heard of: nothing that reached the device is taken back."""
    site = start()
    site.at(down_at).see(service_rule(action="Deny", generation=2))
    before = holds(site.record, "edge")
    site.change(frozen(100, 200))
    site.at(160).see(service_rule(generation=3))
    assert holds(site.record, "edge") == before
    site.pass_to(200)
    assert holds(site.record, "edge") == holds(fresh(now(site)), "edge") != before


def test_a_freeze_that_ends_while_nobody_is_there_is_over_and_the_next_one_is_another() -> None:
    first = replace(EDGE, freezes=(window(100, 200), window(300, 400, "second")))
    site = start(first)
    site.at(110).see(service_rule(action="Deny", generation=2))
    before = holds(site.record, "edge")
    site.restart()
    site.at(310).commit()
    assert holds(site.record, "edge") != before, "what waited for the end of the first is in force"
    assert holds(site.record, "edge") == holds(fresh(now(site)), "edge")
    assert site.record.baselines["edge"].names == ("second",)
    site.at(320).see(service_rule(generation=3))
    assert said(site, RULE)[0] == "Held"


def test_a_device_that_is_in_the_settings_no_more_is_in_no_freeze() -> None:
    site = start(frozen(100, 200), OTHER)
    site.at(110).see(service_rule(action="Deny", generation=2))
    site.change(OTHER)
    batch = site.at(120).commit()
    assert batch.thawed == ["edge"]
    assert (site.record.baselines, site.record.lists) == ({}, {})


def test_a_list_of_long_ago_is_forgotten() -> None:
    site = start(frozen(100, 200))
    digests = []
    for number in range(2, 22):
        site.at(100 + 2 * number).see(service_rule(action=("Deny", "Reject")[number % 2], generation=number))
        digests.append(site.record.lists["edge"].digest)
    assert len(set(digests)) == len(digests)
    batch = site.at(150).see(order("Release", digests[0]))
    assert [one.state for one in batch.decisions] == [Settled.WAITING]
    batch = site.at(155).see(order("Release", digests[-10], name="d2"))
    assert [one.state for one in batch.decisions] == [Settled.DONE]


def test_a_first_picture_in_a_freeze_is_what_the_device_keeps_to() -> None:
    site = Site(frozen(0, 200))
    site.see(namespace(), service("pay", app="pay"), pod("pay-1", "10.0.0.1"), external(), service_rule())
    before = holds(site.record, "edge")
    assert before == holds(fresh(now(site)), "edge")
    site.at(100).see(service_rule(action="Deny", generation=2))
    assert holds(site.record, "edge") == before


def test_to_release_the_list_moves_the_device_on_to_it() -> None:
    site = start(frozen(100, 200))
    site.at(110).see(service_rule(action="Deny", generation=2))
    first = site.record.lists["edge"].digest
    other = site.at(115).see(order("Release", "0123456789abcdef", name="d0"))
    assert [one.state for one in other.decisions] == [Settled.WAITING], "of another list: delivery is asked"
    batch = site.at(120).see(order("Release", first), external("bank", "192.0.2.9", generation=2))
    assert [(one.state, one.decision.by) for one in batch.decisions] == [(Settled.DONE, "ann")]
    assert [one.released for one in batch.frozen_lists if one.digest == first and one.edits] == [("ann", "reviewed")]
    assert said(site, RULE) == ("", "")
    assert site.record.destination("bank") == {"192.0.2.1"}, "edited after the list was made"
    assert said(site, Ref("ExternalService", "shop", "bank"))[0] == "Held"
    site.restart()
    site.at(130).commit()
    assert site.record.destination("bank") == {"192.0.2.1"}
    released = [service_rule(action="Deny", generation=2), external()]
    assert holds(site.record, "edge") == holds(fresh(as_of(site, released)), "edge")


def test_a_list_is_released_by_a_decision_that_was_made_while_nobody_was_there() -> None:
    site = start(frozen(100, 200))
    site.at(110).see(service_rule(action="Deny", generation=2))
    digest = site.record.lists["edge"].digest
    site.restart()
    site.at(120).see(order("Release", digest))
    assert holds(site.record, "edge") == holds(fresh(now(site)), "edge")


def test_an_older_list_can_still_be_released() -> None:
    site = start(frozen(100, 200))
    site.at(110).see(service_rule(action="Deny", generation=2))
    older = site.record.lists["edge"].digest
    site.at(120).see(service_rule(generation=3, action="Reject"), external("bank", "192.0.2.9", generation=2))
    assert site.record.lists["edge"].digest != older
    site.at(130).see(order("Release", older))
    then = [service_rule(action="Deny", generation=2), external()]
    assert holds(site.record, "edge") == holds(fresh(as_of(site, then)), "edge")


def test_a_release_that_comes_with_the_end_moves_nothing_later() -> None:
    site = start(frozen(100, 200))
    site.at(110).see(service_rule(action="Deny", generation=2))
    site.at(201).see(order("Release", site.record.lists["edge"].digest))
    compiled: list[Batch] = []
    site._recorder._record_policy = lambda _dirty, batch, **_: compiled.append(batch)  # type: ignore[method-assign]
    site.at(210).see(pod("pay-2", "10.0.0.2"))
    assert not compiled, "a pod is no reason to compile"


def test_to_reject_a_list_is_told_by_whom() -> None:
    site = start(frozen(100, 200))
    site.at(110).see(service_rule(action="Deny", generation=2))
    before, digest = holds(site.record, "edge"), site.record.lists["edge"].digest
    site.at(120).see(order("Reject", digest))
    assert said(site, RULE)[1].endswith("; rejected by ann: reviewed")
    assert site.record.lists["edge"].rejected == ("ann", "reviewed")
    assert holds(site.record, "edge") == before
    site.restart()
    site.at(130).commit()
    assert said(site, RULE)[1].endswith("; rejected by ann: reviewed")


def test_a_rule_whose_time_is_over_goes_in_a_freeze_too() -> None:
    site = start(frozen(100, 200))
    site.see(service_rule("for-now", notAfter="2026-03-01T12:02:30Z"))
    site.pass_to(110)
    (line,) = [key for key in holds(site.record, "edge") if key.scope is Scope.SERVICE and key.kind is Kind.RULE_LIST]
    before = site.record.bodies["edge", line]
    site.pass_to(151)
    after = site.record.bodies["edge", line]
    assert isinstance(before, RuleList)
    assert isinstance(after, RuleList)
    assert {one.name for one in before.entries} - {one.name for one in after.entries} == {"for-now_bank_any"}
    assert "edge" not in site.record.lists, "nobody edited anything"


def test_names_are_resolved_in_a_freeze_those_of_both_versions() -> None:
    named = policy("ExternalService", "bank", fqdns=["old.example"], ports="Any")
    site = start(frozen(100, 200))
    site.see(named)
    site.at(110).see(policy("ExternalService", "bank", fqdns=["new.example"], ports="Any", generation=2))
    assert site.index.names.wanted is not None
    assert sorted(site.index.names.wanted) == ["new.example", "old.example"]
    site.index.take_name(Resolution("old.example", ("192.0.2.50",), answered=True))
    site.index.take_name(Resolution("new.example", ("192.0.2.60",), answered=True))
    site.at(120).commit()
    assert site.record.destination("bank") == {"192.0.2.50"}
    site.index.take_name(Resolution("old.example", ("192.0.2.51",), answered=True))
    site.at(130).commit()
    assert site.record.destination("bank") == {"192.0.2.51"}
    site.pass_to(200)
    assert site.record.destination("bank") == {"192.0.2.60"}
    assert sorted(site.index.names.wanted) == ["new.example"]


def test_the_defaults_of_the_settings_wait_as_well() -> None:
    site = start(frozen(100, 200))
    site.pass_to(110)
    before = holds(site.record, "edge")
    open_ = replace(frozen(100, 200), defaults=Defaults(DefaultAction.NONE, UnknownAddresses.PASS))
    site.change(open_)
    site.at(120).commit()
    assert holds(site.record, "edge") == before
    assert "the defaults that the settings state are others now" in site.record.lists["edge"].edits[0].reason
    site.pass_to(200)
    assert holds(site.record, "edge") == holds(fresh(now(site), open_), "edge") != before


def test_objects_of_another_dialect_wait_too_and_are_read_as_they_were_around() -> None:
    """The annotation of a namespace is part of what its rules say there."""
    dialects = ces_objects.dialects()
    site = Site(frozen(100, 200), dialects=dialects)
    rule, bank = ces_objects.rule("out", "accept"), ces_objects.service()
    site.see(ces_objects.subnet("10.0.0.0/28"), pod("pay-1", "10.0.0.1"), rule, bank)
    before = holds(site.record, "edge")
    assert any(key.name == ".prefixes" for key in before)
    drop = replace(ces_objects.rule("out", "drop"), generation=2)
    site.at(110).see(ces_objects.subnet("10.0.0.16/28"), drop)
    assert holds(site.record, "edge") == before
    site.restart()
    site.at(120).commit()
    assert holds(site.record, "edge") == before
    site.pass_to(200)
    assert holds(site.record, "edge") == holds(fresh(now(site), dialects=dialects), "edge") != before


def test_a_plan_of_manifests_holds_them_back_too_from_a_file_as_well(tmp_path: Path) -> None:
    target = frozen(100, 200)
    site = start(target)
    site.at(110).see(service_rule(action="Deny", generation=2))
    recorded = site.record.recorded()
    device = PlannedDevice("memory", target, Limits())
    taken = ClusterSnapshot("east", at(111), GOVERNANCE, (device,), GuardLimits(), recorded)
    write(taken, tmp_path / "east.json.gz")
    found = read(tmp_path / "east.json.gz")
    assert found.devices == taken.devices
    assert found.recorded.baselines == dict(recorded.baselines)
    for each in (recorded, found.recorded):
        rehearsal = Rehearsal("east", GOVERNANCE, (target,), each, at(120))
        before = rehearsal.wish("edge")
        rehearsal.lay([service_rule("pay-more")])
        assert rehearsal.wish("edge") == before
        assert rehearsal.placements[Ref("ServiceEgressRule", "shop", "pay-more"), "edge"].reason == "Held"
        assert before.fixed == {key: one for key, one in holds(site.record, "edge").items() if key in before.fixed}


def test_groups_of_nodes_are_counted_apart_as_well() -> None:
    """As a device sees nodes, and not pods, each version has the nodes of its own workloads."""
    sees = replace(frozen(100, 200), views=(View(AddressSource.NODE, name="node"),), accept_shared=True)
    other = replace(sees, name="core", freezes=())
    site = Site(sees, other, governance=replace(GOVERNANCE, node_ranges=("10.8.0.0/24",)))
    nodes = [
        Node(f"node-{name}", name, "1", {}, (address,)) for name, address in (("n1", "10.8.0.1"), ("n2", "10.8.0.2"))
    ]
    pods = [replace(pod("pay-1", "10.0.0.1"), node="n1"), replace(pod("cart-1", "10.0.0.2"), node="n2")]

    def rule(app: str, generation: int) -> PolicyObject:
        spec: dict[str, Any] = {"from": {"podSelector": {"matchLabels": {"app": app}}}, "acceptShared": True}
        to = [{"name": "bank"}]
        return policy("NamespaceEgressRule", "out", generation=generation, action="Allow", to=to, **spec)

    site.see(namespace(), external(), *nodes, *pods, rule("pay", 1))
    (key,) = [key for key in holds(site.record, "edge") if key.kind is Kind.GROUP and key.scope is Scope.RULE]
    site.at(110).see(rule("cart", 2))
    assert holds(site.record, "edge")[key] == frozenset({"10.8.0.1"})
    assert holds(site.record, "core")[key] == frozenset({"10.8.0.2"})
    site.at(120).see(replace(pod("pay-2", "10.0.0.3"), node="n2"))
    assert holds(site.record, "edge")[key] == frozenset({"10.8.0.1", "10.8.0.2"})
    site.restart()
    site.at(130).commit()
    assert holds(site.record, "edge")[key] == frozenset({"10.8.0.1", "10.8.0.2"})
    site.pass_to(200)
    assert holds(site.record, "edge")[key] == holds(site.record, "core")[key] == frozenset({"10.8.0.2"})


NAMES = sorted(STATES)
OF_POLICY = {name: [one for one in STATES[name].values() if of_policy(one)] for name in NAMES}


@pytest.mark.parametrize("seed", range(24))
def test_states_in_any_order_with_freezes_of_any_length_in_between_end_as_if_there_had_been_none(seed: int) -> None:
    random = Random(seed)
    form = random.choice([Form.TIERED, Form.FLAT])
    plain = replace(EDGE, capabilities=Capabilities(form, icmp_types=True))
    steps = [random.choice(NAMES) for _ in range(12)]
    begin = random.randrange(20, 100)
    end = begin + random.randrange(10, 120)
    target, other = frozen(begin, end, plain), replace(plain, name="core")
    site, shown, policy_then = Site(target, other), dict[str, Observed](), list[Observed]()
    for number, name in enumerate(steps, 1):
        second = 10 * number
        if second - 10 < begin:
            policy_then = accepted(site)
        site.at(second).show(shown, STATES[name])
        shown = dict(STATES[name])
        if begin <= second < end and name != "ungoverned":  # nobody else would take rules of such a namespace
            expected = fresh(as_of(site, policy_then), plain)
            assert holds(site.record, "edge") == holds(expected, "edge"), f"{steps[:number]}: not what it keeps to"
        assert holds(site.record, "core") == holds(fresh(now(site), other), "core")
        if random.random() < 0.3:
            site.restart()
            site.at(second + 1).commit()
    site.pass_to(max(end, 10 * len(steps)) + 5)
    expected = fresh(now(site), plain, other)
    assert holds(site.record, "edge") == holds(expected, "edge"), steps
    assert site.record.placements == expected.placements
    assert all(not key.part for key in site.record.members)
