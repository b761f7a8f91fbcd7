"""Live flows of revoked permissions: which are closed, when, and that nothing waits for it."""

from dataclasses import replace

import pytest

from bridge.delivery.flows import FLOWS
from bridge.delivery.worker import WorkerSettings
from bridge.errors import Busy, Denied, FencedOff, Stopped
from bridge.model.flows import Flow
from bridge.model.identity import ObjectKey
from bridge.model.intent import FenceState, Group
from bridge.model.policy import Action, Protocol, Tier
from bridge.state.desired import AuditEntry
from tests.delivery.bench import LIST, Bench, addresses, bank, group, line, named, rules
from tests.delivery.memory import tampered

ALL = group("everyone")
PAY = group("pay")
INSIDE, OUTSIDE = "192.0.2.1", "198.51.100.9"
CLOSING = WorkerSettings(close_flows=True)


def _flow(source: str, destination: str = INSIDE, port: int = 443) -> Flow:
    return Flow(source, destination, Protocol.TCP, 40000, port)


def _everyone(key: ObjectKey = ALL) -> Group:
    return Group(key, frozenset({"10.0.0.0/16"}))


def _shop(settings: WorkerSettings = CLOSING, members: int = 3) -> Bench:
    """Who is in a group may reach the bank, and nobody else anything of it; each has a flow to the bank and one elsewhere."""
    bench = Bench(settings=settings)
    bench.state.want_group(PAY)
    bench.state.want(bank(INSIDE), _everyone(), rules(line(PAY), line(ALL, Action.DENY)))
    bench.state.move(named(PAY, addresses(members)))
    bench.settle()
    bench.memory.flows = [_flow(one, to) for one in addresses(members) for to in (INSIDE, OUTSIDE)]
    bench.memory.asked.clear()
    bench.state.audit.clear()
    return bench


def _told(bench: Bench) -> list[AuditEntry]:
    return [entry for entry in bench.state.audit if entry.op == FLOWS]


def test_who_leaves_a_group_loses_the_flows_that_are_denied_now_and_no_other() -> None:
    bench = _shop()
    gone = addresses(3)[1]
    bench.state.move(leave=named(PAY, [gone]))
    bench.settle()
    assert bench.memory.closed == [_flow(gone)]
    assert _flow(gone, OUTSIDE) in bench.memory.flows
    assert bench.memory.asked == [{gone}]


def test_it_is_written_down_under_the_list_that_denies_now() -> None:
    bench = _shop()
    gone = addresses(3)[0]
    bench.state.move(leave=named(PAY, [gone]))
    bench.settle()
    (entry,) = _told(bench)
    assert entry.key == LIST
    assert entry.before == entry.after != "-"
    assert entry.outcome == f"closed 1 of 1 live flows: {_flow(gone)}"
    assert "DENY_EVERYONE" in entry.cause


def test_nothing_is_asked_without_the_setting() -> None:
    bench = _shop(WorkerSettings())
    bench.state.move(leave=named(PAY, addresses(1)))
    bench.settle()
    assert not bench.memory.closed
    assert not bench.memory.asked


def test_a_flow_that_is_still_allowed_stays() -> None:
    bench = _shop()
    other = group("other")
    bench.state.want_group(other)
    bench.state.want(rules(line(other), line(PAY), line(ALL, Action.DENY)))
    bench.state.move(named(other, addresses(1)))
    bench.settle()
    bench.state.move(leave=named(PAY, addresses(1)))
    bench.settle()
    assert not bench.memory.closed
    bench.state.move(leave=named(other, addresses(1)))
    bench.settle()
    assert bench.memory.closed == [_flow(addresses(1)[0])]


def test_what_no_line_decides_any_more_is_left_to_the_device() -> None:
    bench = Bench(settings=CLOSING)
    bench.state.want_group(PAY)
    bench.state.want(bank(INSIDE), rules(line(PAY)))
    bench.state.move(named(PAY, addresses(2)))
    bench.settle()
    bench.memory.flows = [_flow(addresses(1)[0])]
    bench.state.move(leave=named(PAY, addresses(2)))
    bench.settle()
    assert not bench.memory.closed


def test_a_rule_that_goes_and_a_destination_that_shrinks_revoke_too() -> None:
    bench = _shop()
    bench.state.want(bank(INSIDE, OUTSIDE))
    bench.settle()
    bench.state.want(bank(OUTSIDE), rules(line(ALL, Action.DENY)))
    bench.settle()
    assert {flow.destination for flow in bench.memory.closed} == {OUTSIDE}
    bench.state.want(bank(INSIDE))
    bench.settle()
    assert {flow.destination for flow in bench.memory.closed} == {OUTSIDE, INSIDE}
    assert not bench.memory.flows


def test_whoever_a_prefix_stands_for_is_looked_up_where_a_group_names_him_or_he_is_known() -> None:
    bench = _shop()
    cart = group("cart")
    bench.state.want(rules(line(ALL), line(PAY, Action.DENY), line(cart)))
    bench.state.want_group(cart)
    bench.state.move(named(cart, ["10.0.7.7"]))
    bench.settle()
    bench.memory.flows = [_flow(f"10.0.{one}.{one}") for one in (7, 8, 9)]
    bench.state.holding = {"10.0.9.9", "10.1.0.1"}
    bench.state.want(rules(line(ALL, Action.DENY), line(PAY), line(cart, Action.DENY)))
    bench.settle()
    assert set(bench.memory.closed) == {_flow("10.0.7.7"), _flow("10.0.9.9")}
    assert bench.memory.flows == [_flow("10.0.8.8")]  # no group names that one, and nobody is known to hold it


def test_nothing_is_closed_before_the_device_enforces_what_it_stores() -> None:
    bench = _shop()
    bench.memory.active = False
    bench.state.move(leave=named(PAY, addresses(1)))
    for _ in range(5):
        bench.turn()
    assert not bench.memory.asked
    bench.memory.active = True
    bench.settle()
    assert bench.memory.closed == [_flow(addresses(1)[0])]


def test_a_policy_that_nothing_leads_to_denies_nobody() -> None:
    bench = _shop()
    bench.memory.attached = dict.fromkeys(Tier, False)
    bench.worker.audit()
    bench.settle()
    bench.state.want_group(group("no rule is about"))
    bench.state.move(named(group("no rule is about"), addresses(1)), named(PAY, addresses(1)))
    bench.settle()
    assert not bench.memory.closed
    bench.memory.attached = dict.fromkeys(Tier, True)
    bench.worker.audit()
    bench.settle()
    assert bench.memory.closed == [_flow(addresses(1)[0])]


def test_what_somebody_else_let_in_is_closed_with_the_repair() -> None:
    bench = _shop()
    stranger = "10.0.9.9"
    bench.memory.flows.append(_flow(stranger))
    tampered(bench.memory, lambda objects: objects.update({PAY: Group(PAY, frozenset({*addresses(3), stranger}))}))
    bench.worker.audit()
    bench.settle()
    assert bench.memory.closed == [_flow(stranger)]


def test_many_are_looked_up_a_few_at_a_time_and_changes_go_first() -> None:
    bench = _shop(members=40)
    bench.state.move(leave=named(PAY, addresses(40)))
    bench.turn()
    assert len(bench.memory.asked) == 16
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.turn()
    assert bench.members(PAY) == {"10.0.9.9"}
    bench.settle()
    assert {flow.source for flow in bench.memory.closed} == set(addresses(40))
    assert len(bench.memory.asked) == 40


def test_a_slow_device_is_asked_for_fewer() -> None:
    bench = _shop(members=4)
    bench.memory.seconds = lambda: setattr(bench.clock, "seconds", bench.clock.seconds + 0.3)
    bench.state.move(leave=named(PAY, addresses(4)))
    bench.turn()
    assert len(bench.memory.asked) == 1
    bench.settle()
    assert {flow.source for flow in bench.memory.closed} == set(addresses(4))


def test_more_than_can_be_asked_for_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.delivery.flows._MOST", 10)
    bench = _shop(members=12)
    bench.state.move(leave=named(PAY, addresses(12)))
    bench.settle()
    assert len(bench.memory.closed) == 10
    assert "live flows of 2 addresses were not looked for" in " ".join(entry.outcome for entry in _told(bench))


def test_what_breaks_off_while_closing_is_told() -> None:
    bench = _shop()
    bench.memory.unclosed = [Busy("edge", "in the middle")]
    bench.state.move(leave=named(PAY, addresses(1)))
    bench.settle()
    first, second = _told(bench)
    assert first.outcome.startswith("broke off while 1 live flows were closed")
    assert second.outcome.startswith("closed 1 of 1")


def test_who_may_again_meanwhile_keeps_his_flows() -> None:
    bench = _shop(members=40)
    last = addresses(40)[-1]
    bench.state.move(leave=named(PAY, addresses(40)))
    bench.turn()
    bench.state.move(named(PAY, [last]))
    bench.settle()
    assert {flow.source for flow in bench.memory.closed} == set(addresses(40)) - {last}


def test_a_busy_device_is_asked_again_and_delivery_goes_on() -> None:
    bench = _shop()
    bench.memory.unable = [Busy("edge", "too many", 3.0), Busy("edge", "too many")]
    bench.state.move(leave=named(PAY, addresses(1)))
    bench.settle()
    bench.state.move(named(PAY, ["10.0.9.9"]))
    bench.settle()
    assert "10.0.9.9" in bench.members(PAY)
    for _ in range(10):
        bench.turn()
    assert bench.memory.closed == [_flow(addresses(1)[0])]
    assert not [entry for entry in _told(bench) if "not closed" in entry.outcome]


@pytest.mark.parametrize("errors", [[Denied("edge", "no right to")], [Busy("edge", "too many")] * 9])
def test_what_cannot_be_done_is_told_once_and_left(errors: list[Exception]) -> None:
    bench = _shop()
    bench.memory.unable = errors
    bench.state.move(leave=named(PAY, addresses(1)))
    for _ in range(30):
        bench.turn()
    (entry,) = _told(bench)
    assert entry.key == ObjectKey.fence()
    assert "were not closed" in entry.outcome
    assert bench.worker.pacing.state == "ok"
    asked = len(bench.memory.asked)
    bench.turn()
    assert len(bench.memory.asked) == asked


def test_a_newer_owner_stops_it() -> None:
    bench = _shop()
    bench.memory.unable = [Busy("edge", "later")]
    bench.state.move(leave=named(PAY, addresses(1)))
    bench.turn()
    bench.memory.fence = FenceState(9, "other")
    with pytest.raises(FencedOff):
        bench.turn()
    assert not bench.memory.closed


def test_who_stops_the_device_stops_this() -> None:
    bench = _shop()
    stopped = [False]

    def permit() -> None:
        if stopped[0]:
            raise Stopped("a person wants it")

    bench.permit = permit
    bench.restart()
    bench.settle()
    bench.memory.unable = [Busy("edge", "later")]
    bench.state.move(leave=named(PAY, addresses(1)))
    bench.turn()
    stopped[0] = True
    for _ in range(3):
        bench.turn()
    assert not bench.memory.closed


def test_a_device_in_mode_plan_is_left_alone() -> None:
    bench = _shop()
    bench.settings = replace(CLOSING, write=False)
    bench.restart()
    bench.turn()
    bench.state.move(leave=named(PAY, addresses(1)))
    for _ in range(3):
        bench.turn()
    assert not bench.memory.asked
