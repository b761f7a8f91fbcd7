"""Gates in the state: what each needs is settled with the batch that records its address, and nothing that comes later delays it."""

from dataclasses import replace

import pytest

from bridge.errors import LostLease
from bridge.model.gate import CONDITION, Need
from bridge.state.batch import Batch, GateStart, LeaseStart, MemberChange
from bridge.state.database import Database
from bridge.state.desired import Applied, ObjectState
from bridge.state.gate_store import Gate, GateStore, Word
from tests.state.builders import Stores, at, group, pod, selected

WEB, PAY = group("web"), group("pay")
DEVICES = ("edge",)
ONE, TWO = "10.0.0.1", "10.0.0.2"


class Site:
    """A cluster with two groups on one device, and what a worker of it does."""

    def __init__(self, database: Database) -> None:
        self.stores = Stores(database)
        self.gates = GateStore(database)
        first = Batch(at(0), groups=[WEB, PAY], desired=[selected("edge", WEB), selected("edge", PAY)])
        self.stores.commit(first)
        self.deliver()

    def join(self, *changes: tuple[str, str], gated: str = "", left: tuple[tuple[str, str], ...] = ()) -> None:
        """Addresses join groups ("web"), one of them perhaps as that of a pod that waits, and others leave."""
        made = Batch(at(1))
        made.joined = [MemberChange(group(name), address) for name, address in changes]
        made.left = [MemberChange(group(name), address) for name, address in left]
        if gated:
            needs = tuple(Need(group(name), address) for name, address in changes if address == gated)
            self.wait(made, gated, *needs)
        self.stores.commit(made)

    def wait(self, made: Batch, address: str, *needs: Need) -> None:
        """A pod with this address waits."""
        one = replace(pod(f"web-{address}", address), gates=(CONDITION,))
        made.leases.append(LeaseStart(address, one))
        made.gates.append(GateStart(one, needs))

    def read(self) -> tuple[Applied, ...]:
        """What the worker would record of what waits now."""
        work = self.stores.delivery.work("edge", {})
        return tuple(
            Applied(row.key, row.generation, ObjectState.PROGRAMMED, gone=row.gone, revision=row.revision)
            for row in work.rows
        )

    def deliver(self, *applied: Applied) -> None:
        """Record this, or all that waits."""
        self.stores.delivery.record("edge", 1, applied or self.read(), [], "plan", at(2))

    def shut(self) -> dict[str, list[str]]:
        """Who waits, by address, with the groups that are missing."""
        found = self.gates.unfinished("east", DEVICES)
        return {
            one.name.partition("-")[2]: [f"{'+' if m.need.joins else '-'}{m.need.key.name}" for m in one.missing]
            for one in found
            if not one.open
        }


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


def test_a_gate_needs_the_groups_of_its_address(site: Site) -> None:
    site.join(("web", ONE), ("pay", ONE), gated=ONE)
    assert site.shut() == {ONE: ["+pay", "+web"]}
    web = next(one for one in site.read() if one.key == WEB)
    site.deliver(web)
    assert site.shut() == {ONE: ["+pay"]}
    site.deliver()
    assert site.shut() == {ONE: []}


def test_later_changes_of_others_delay_nobody(site: Site) -> None:
    site.join(("web", ONE), gated=ONE)
    seen = site.read()
    site.join(("web", TWO))  # while the device is busy with the first
    site.deliver(*seen)
    assert site.stores.delivery.work("edge", {}).rows  # the second is still to be done
    assert site.shut() == {ONE: []}


def test_earlier_changes_that_are_done_delay_nobody(site: Site) -> None:
    """The address left a group, which the device knows; another change of that group is on its way."""
    site.join(("pay", ONE))
    site.deliver()
    site.join(left=(("pay", ONE),))
    site.deliver()
    site.join(("pay", TWO))
    site.join(("web", ONE), gated=ONE)
    assert site.shut() == {ONE: ["+web"]}


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
def test_the_groups_that_the_address_left_must_have_let_go(site: Site, together: bool) -> None:
    site.join(("pay", ONE))
    site.deliver()
    if together:
        site.join(("web", ONE), gated=ONE, left=(("pay", ONE),))
    else:
        site.join(left=(("pay", ONE),))
        site.join(("web", ONE), gated=ONE)
    assert site.shut() == {ONE: ["-pay", "+web"]}
    site.deliver()
    assert site.shut() == {ONE: []}


def test_a_group_that_goes_must_be_gone(site: Site) -> None:
    site.join(("pay", ONE))
    site.deliver()
    gone = Batch(at(1), groups_gone=[PAY], desired_gone=[("edge", PAY)], left=[MemberChange(PAY, ONE)])
    site.stores.commit(gone)
    site.join(("web", ONE), gated=ONE)
    assert site.shut() == {ONE: ["-pay", "+web"]}
    site.deliver(*(replace(one, gone=one.key == PAY) for one in site.read()))
    assert site.shut() == {ONE: []}


def test_what_is_held_of_others_delays_nobody_and_what_is_held_of_the_pod_does(site: Site) -> None:
    site.join(("web", ONE), ("web", TWO), gated=ONE)
    (web,) = site.read()
    for members, missing in ((frozenset({TWO}), []), (frozenset({"10.0.0.0/30"}), ["+web"]), (frozenset({TWO}), [])):
        site.deliver(replace(web, state=ObjectState.HELD, back=members))
        assert site.shut() == {ONE: missing}


@pytest.mark.parametrize("state", [ObjectState.QUARANTINED, ObjectState.AWAITING_DEPLOY])
def test_what_is_recorded_and_not_in_force_is_missing(site: Site, state: ObjectState) -> None:
    site.join(("web", ONE), gated=ONE)
    (web,) = site.read()
    site.deliver(replace(web, state=state))
    assert site.shut() == {ONE: ["+web"]}
    site.deliver(web)
    assert site.shut() == {ONE: []}


def test_a_withheld_group_lets_go_and_takes_nobody(site: Site) -> None:
    site.join(("pay", ONE), ("web", TWO))
    site.deliver()
    site.join(("web", ONE), gated=ONE, left=(("pay", ONE),))
    withheld = {WEB: frozenset({ONE})}
    site.deliver(
        *(replace(one, state=ObjectState.WITHHELD, back=withheld.get(one.key, frozenset())) for one in site.read())
    )
    assert site.shut() == {ONE: ["+web"]}


def test_devices_that_are_out_of_the_settings_or_only_planned_for_keep_nobody_waiting(site: Site) -> None:
    site.join(("web", ONE), gated=ONE)
    (waiting,) = site.gates.unfinished("east", ["another"])
    assert waiting.missing == ()
    assert waiting.needy
    site.stores.delivery.register_device("edge", "bigip", "plan")
    assert site.shut() == {ONE: []}


def test_an_open_gate_stays_open_until_its_pod_is_gone(site: Site) -> None:
    site.join(("web", ONE), gated=ONE)
    (gate,) = site.gates.unfinished("east", DEVICES)
    site.gates.open("east", 1, [Word(gate.uid, "TimedOut", "it took long")], at(60))
    (due,) = site.gates.unfinished("east", DEVICES)
    assert (due.open, due.reason, due.message, due.opened_at) == (True, "TimedOut", "it took long", at(60))
    again = Batch(at(61))
    site.wait(again, ONE, Need(WEB, ONE))
    again.leases.clear()
    site.stores.commit(again)
    site.gates.note("east", 1, [Word(gate.uid, "Pending", "")])
    (due,) = site.gates.unfinished("east", DEVICES)
    assert (due.open, due.reason) == (True, "TimedOut")
    site.gates.told("east", 1, [gate.uid])
    assert site.gates.unfinished("east", DEVICES) == []
    assert site.stores.intake.load_cluster("east").gates == {gate.uid: False}
    site.stores.commit(Batch(at(62), gates_gone=[gate.uid]))
    assert site.stores.intake.load_cluster("east").gates == {}


def test_a_pod_that_says_so_itself_is_open(site: Site) -> None:
    site.join(("web", ONE), gated=ONE)
    (gate,) = site.gates.unfinished("east", DEVICES)
    site.stores.commit(Batch(at(3), gates_opened=[gate.uid]))
    assert site.gates.unfinished("east", DEVICES) == []


def test_only_the_owner_of_the_cluster_opens(site: Site) -> None:
    site.join(("web", ONE), gated=ONE)
    (gate,) = site.gates.unfinished("east", DEVICES)
    word = Word(gate.uid, "TimedOut", "")
    with pytest.raises(LostLease):
        site.gates.open("east", 2, [word], at(60))
    with pytest.raises(LostLease):
        site.gates.note("east", 2, [word])
    with pytest.raises(LostLease):
        site.gates.told("east", 2, [gate.uid])
    (left,) = site.gates.unfinished("east", DEVICES)
    assert not left.open


def test_who_need_not_wait_is_only_told(site: Site) -> None:
    made = Batch(at(1), gates=[GateStart(pod("free", ONE), open=True, reason="NamespaceNotGoverned")])
    site.stores.commit(made)
    (gate,) = site.gates.unfinished("east", DEVICES)
    assert gate == Gate("uid-free", "shop", "free", at(1), True, "", "NamespaceNotGoverned", "", at(1), needy=False)


def test_a_group_of_prefixes_counts_from_the_batch_that_settled_it(site: Site) -> None:
    made = Batch(at(1), joined=[MemberChange(WEB, "10.0.0.0/30")])
    site.wait(made, ONE, Need(WEB, ONE))
    site.stores.commit(made)
    assert site.shut() == {ONE: ["+web"]}
    site.deliver()
    assert site.shut() == {ONE: []}


@pytest.mark.parametrize(
    ("inferred", "unproven"),
    [(True, True), (False, True), (False, False)],
    ids=["it was found gone", "its labels changed", "it was seen going"],
)
def test_a_leave_that_may_be_held_is_waited_for_until_the_device_tells(
    site: Site, inferred: bool, unproven: bool
) -> None:
    """The group was told of before the address had a new owner, who is in no group."""
    site.join(("pay", ONE), ("pay", TWO))
    site.deliver()
    gone = [MemberChange(PAY, one, inferred, unproven) for one in (ONE, TWO)]
    site.stores.commit(Batch(at(1), left=gone))
    (pay,) = site.read()
    pay = replace(pay, state=ObjectState.HELD, back=frozenset({ONE, TWO} if unproven else {TWO}))
    site.deliver(pay)
    late = Batch(at(2))
    site.wait(late, ONE)
    site.stores.commit(late)
    assert site.shut() == {ONE: ["-pay"] if unproven else []}
    site.deliver(replace(pay, back=frozenset({TWO})))
    assert site.shut() == {ONE: []}


def test_an_address_that_is_held_back_is_so_for_its_next_pod_too(site: Site) -> None:
    """From one pod to the next in one batch: the group keeps the address, and the device has said of it what it had to say."""
    site.join(("web", ONE), ("web", TWO))
    (web,) = site.read()
    held = replace(web, state=ObjectState.HELD, back=frozenset({ONE}))
    site.deliver(held)
    made = Batch(at(2))
    site.wait(made, ONE, Need(WEB, ONE))
    site.stores.commit(made)
    assert site.shut() == {ONE: ["+web"]}
    site.deliver(replace(held, back=frozenset({TWO})))
    assert site.shut() == {ONE: []}


def test_a_start_forgets_nothing_that_a_device_said(site: Site) -> None:
    site.join(("web", ONE), gated=ONE)
    (web,) = site.read()
    site.deliver(replace(web, state=ObjectState.HELD, back=frozenset({ONE})))
    again = Batch(at(5))
    site.wait(again, ONE, Need(WEB, ONE))
    again.leases.clear()
    site.stores.commit(again)
    assert site.shut() == {ONE: ["+web"]}


def test_part_of_a_group_that_is_stored_and_not_enforced_is_missing(site: Site) -> None:
    site.join(("web", ONE), ("web", TWO), gated=ONE)
    (web,) = site.read()
    held = replace(web, state=ObjectState.HELD, back=frozenset({TWO}))
    site.deliver(replace(held, revision=0))
    assert site.shut() == {ONE: ["+web"]}
    site.deliver(held)
    assert site.shut() == {ONE: []}
