"""Adapters that break the contract, each in one way, and the checks that must catch it."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from adapters.conformance import Conformance
from bridge.contract import DeviceConfig
from bridge.errors import Busy, DeviceError, Drifted, LostLease, Rejected
from bridge.model.capabilities import Capabilities, Form
from bridge.model.examination import Finding, wrong
from bridge.model.flows import Flow
from bridge.model.identity import ObjectKey
from bridge.model.intent import (
    EVERYTHING,
    DeviceObject,
    FenceState,
    Group,
    Intent,
    Objects,
    Ports,
    ReadScope,
    RuleEntry,
    RuleList,
    Schedule,
    Shard,
    Snapshot,
)
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.policy import Protocol
from tests.adapters.conformance.memory import Factory, MemoryAdapter, No, Record, State, memory_rig

M = TypeVar("M", bound=type[MemoryAdapter])
MUTANTS: dict[type[MemoryAdapter], tuple[str, ...]] = {}


def caught_by(*checks: str) -> Callable[[M], M]:
    """The checks that must fail for it."""

    def note(mutant: M) -> M:
        MUTANTS[mutant] = checks
        return mutant

    return note


def binding(mutant: type[MemoryAdapter]) -> type[Conformance]:
    """The suite, bound to the mutant."""
    skips = frozenset() if mutant.can.atomic else frozenset({"atomic"})
    return type(
        f"Test{mutant.__name__}", (Conformance,), {"factory": Factory(mutant), "rig": memory_rig, "skips": skips}
    )


# ---- applying


@caught_by("test_what_is_applied_is_read_and_nothing_is_left_to_do")
class ForgetsTheLog(MemoryAdapter):
    def body(self, value: DeviceObject) -> DeviceObject:
        if isinstance(value, RuleList):
            return replace(value, entries=tuple(replace(entry, log=False) for entry in value.entries))
        return super().body(value)


@caught_by("test_normalize_is_pure_and_idempotent")
class NamesAgain(MemoryAdapter):
    def entry(self, entry: RuleEntry) -> RuleEntry:
        return replace(super().entry(entry), name=f"{entry.name}_x")


@caught_by("test_normalize_is_pure_and_idempotent")
class AsksWhileNormalizing(MemoryAdapter):
    def normalize(self, intent: Intent) -> Objects:
        self.ask()
        return super().normalize(intent)


@caught_by("test_the_outcome_is_what_a_read_finds")
class SaysOnlyWhatItMade(MemoryAdapter):
    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        outcome = super().apply(plan, fence)
        return replace(outcome, observed={key: value for key, value in outcome.observed.items() if value is not None})


@caught_by("test_named_objects_are_read_alone")
class ReadsEverything(MemoryAdapter):
    def read(self, _scope: ReadScope) -> Snapshot:
        return super().read(EVERYTHING)


@caught_by("test_a_part_of_an_intent_leaves_the_rest")
class TakesAPartForTheWhole(MemoryAdapter):
    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        outcome = super().apply(plan, fence)
        if len(plan.steps) == 1:
            rest = set(super().read(EVERYTHING).objects) - {step.key for step in plan.steps}
            self.tell({self.name(key): None for key in rest})
        return outcome


@caught_by("test_a_restart_with_nothing_changed_writes_nothing")
class WritesTheFenceAgain(MemoryAdapter):
    def raise_fence(self, fence: Fence) -> None:
        self.check_fence(self.fence(self.ask()), fence)
        self.tell({f"{self.owner}_fence": Record(self.mark("fence"), FenceState(fence.epoch, fence.installation))})


@caught_by("test_opening_and_asking_call_nothing")
class CallsAtOnce(MemoryAdapter):
    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(config)
        self.ask()


@caught_by("test_calls_are_counted")
class CountsWritesOnly(MemoryAdapter):
    def ask(self) -> State:
        self.calls -= 1
        return super().ask()


@caught_by("test_what_somebody_changed_of_ours_is_seen_and_put_right")
class TrustsItself(MemoryAdapter):
    known: Mapping[ObjectKey, DeviceObject] | None = None

    def read(self, scope: ReadScope) -> Snapshot:
        snapshot = super().read(scope)
        return snapshot if self.known is None else replace(snapshot, objects=self.known)

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        have = super().read(EVERYTHING)
        outcome = super().apply(plan, fence)
        self.known = outcome.onto(have)
        return outcome


@caught_by("test_a_plan_that_fits_becomes_visible_at_once")
class AtomicInName(MemoryAdapter):
    can = Capabilities(Form.TIERED, atomic=True, icmp_types=True, protocols=True, schedules=True)

    def parts(self, plan: Plan) -> Iterable[Sequence[Step]]:
        return [(step,) for step in plan.steps]


@caught_by("test_the_same_plan_twice_does_no_harm")
class StumblesOverItself(MemoryAdapter):
    def on_standing(self, step: Step, _standing: DeviceObject) -> bool:
        assert step.op is not Op.CREATE, f"{step.key} is there"
        return True


@caught_by("test_deleting_what_is_gone_is_done")
class InsistsOnDeleting(MemoryAdapter):
    def on_missing(self, step: Step) -> bool:
        if step.op is Op.DELETE:
            raise Drifted("edge", f"{step.key} is gone")
        return super().on_missing(step)


# ---- stopping


@caught_by("test_an_apply_stopped_at_any_call_converges")
class LeavesScratch(MemoryAdapter):
    def tell(self, changes: Mapping[str, Record | None]) -> State:
        super().tell({f"scratch_{self.owner}": Record("scratch")})
        super().tell(changes)
        return super().tell({f"scratch_{self.owner}": None})


@caught_by("test_a_write_is_never_repeated_by_itself")
class TriesAgain(MemoryAdapter):
    def tell(self, changes: Mapping[str, Record | None]) -> State:
        try:
            return super().tell(changes)
        except Busy:
            return super().tell(changes)


# ---- between


@caught_by("test_nothing_dangles_and_nothing_opens_on_the_way", "test_a_referring_object_is_made_after_and_goes_before")
class GoesBackwards(MemoryAdapter):
    def parts(self, plan: Plan) -> Iterable[Sequence[Step]]:
        return [(step,) for step in reversed(plan.steps)]


@caught_by("test_nothing_dangles_and_nothing_opens_on_the_way")
class ClearsListsFirst(MemoryAdapter):
    def tell(self, changes: Mapping[str, Record | None]) -> State:
        bodies = {name: record.body for name, record in changes.items() if record and isinstance(record.body, RuleList)}
        for name, body in bodies.items():
            super().tell({name: Record(self.mark(body.key), replace(body, entries=()))})
        return super().tell(changes)


@caught_by("test_a_prefix_that_takes_the_place_of_a_part_of_it_leaves_no_gap")
class LetsMembersGoFirst(MemoryAdapter):
    def tell(self, changes: Mapping[str, Record | None]) -> State:
        standing = self.ask()
        for name, record in changes.items():
            before = standing.get(name)
            if record and before and isinstance(record.body, Group) and isinstance(before.body, Group):
                stay = record.body.members & before.body.members
                super().tell({name: Record(record.mark, replace(record.body, members=stay))} if stay else {})
        return super().tell(changes)


@caught_by("test_an_empty_group_matches_nothing")
class WidensWhatIsEmpty(MemoryAdapter):
    def body(self, value: DeviceObject) -> DeviceObject:
        return value


# ---- ownership


@caught_by("test_what_only_looks_like_ours_is_named_and_left")
class KnowsOursByName(MemoryAdapter):
    def is_ours(self, name: str, _record: Record) -> bool:
        return name.startswith(f"{self.owner}_")


@caught_by("test_what_only_looks_like_ours_is_named_and_left", "test_the_outcome_is_what_a_read_finds")
class SweepsUp(MemoryAdapter):
    """Deletes what others own, and says nothing: only the look after each check finds it."""

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        outcome = super().apply(plan, fence)
        self._server.records.pop("unrelated", None)
        return outcome


class _Bold(MemoryAdapter):
    bold: tuple[Op, ...] = tuple(Op)

    def is_open(self, step: Step, state: State) -> bool:
        return True if step.op in self.bold else super().is_open(step, state)


@caught_by("test_a_foreign_object_under_our_name_stops_that_object_only")
class OverwritesStrangers(_Bold):
    bold = (Op.CREATE,)


@caught_by("test_an_object_that_lost_its_mark_is_not_changed")
class DoesNotLook(_Bold):
    bold = (Op.UPDATE, Op.DELETE)


@caught_by("test_nothing_is_deleted_that_lost_its_mark_since_it_was_read")
class RemembersMarks(MemoryAdapter):
    owned: frozenset[ObjectKey] = frozenset()

    def read(self, scope: ReadScope) -> Snapshot:
        snapshot = super().read(scope)
        self.owned = frozenset(snapshot.objects)
        return snapshot

    def is_open(self, step: Step, state: State) -> bool:
        return step.key in self.owned or super().is_open(step, state)


@caught_by("test_two_owners_on_one_device_do_not_meet")
class OneOwnerForAll(MemoryAdapter):
    def __init__(self, config: DeviceConfig) -> None:
        super().__init__(replace(config, owner="fb"))


@caught_by("test_after_a_higher_epoch_nothing_is_written")
class IgnoresTheFence(MemoryAdapter):
    def check_fence(self, _state: FenceState, _fence: Fence) -> None:
        return


@caught_by("test_another_installation_writes_nothing")
class LooksAtEpochsOnly(MemoryAdapter):
    def check_fence(self, state: FenceState, fence: Fence) -> None:
        super().check_fence(replace(state, installation=""), fence)


@caught_by("test_the_next_owner_takes_over_and_writes")
class NeverTakesOver(MemoryAdapter):
    def raise_fence(self, fence: Fence) -> None:
        if not self.fence(self.ask()).epoch:
            super().raise_fence(fence)


@caught_by("test_what_a_person_lets_us_adopt_is_ours_as_it_stands")
class AdoptsNothing(MemoryAdapter):
    def adopt(self, _keys: Collection[ObjectKey], _fence: Fence) -> None:
        return


@caught_by("test_what_a_person_lets_us_adopt_is_ours_as_it_stands")
class AdoptsAllThatLooksOurs(MemoryAdapter):
    def adopt(self, _keys: Collection[ObjectKey], fence: Fence) -> None:
        strange = [name for name, record in self.ask().items() if self.looks_ours(name, record)]
        super().adopt({ObjectKey.parse(name.partition("_")[2]) for name in strange}, fence)


@caught_by("test_nothing_is_adopted_on_a_device_of_another")
class AdoptsWhateverTheFence(MemoryAdapter):
    def adopt(self, keys: Collection[ObjectKey], _fence: Fence) -> None:
        state = self.fence(self.ask())
        super().adopt(keys, Fence(state.epoch, state.installation))


@caught_by("test_a_fence_that_a_person_gives_up_is_replaced_and_no_other")
class ReplacesAnyFenceOnceItMay(MemoryAdapter):
    def check_fence(self, state: FenceState, fence: Fence) -> None:
        if fence.replaces is None:
            super().check_fence(state, fence)


# ---- limits


@caught_by("test_what_fits_is_taken_and_what_does_not_is_named")
class CutsToSize(MemoryAdapter):
    def body(self, value: DeviceObject) -> DeviceObject:
        value = super().body(value)
        most = self._server.limits.get("group_members")
        return replace(value, members=frozenset(sorted(value.members)[:most])) if isinstance(value, Group) else value


@caught_by("test_what_fits_is_taken_and_what_does_not_is_named")
class NamesNoObject(MemoryAdapter):
    def meaning(self, no: No, *, write: bool) -> DeviceError:
        return Rejected("edge", {"something": no.words}) if no.status == 422 else super().meaning(no, write=write)


@caught_by("test_plans_of_about_a_batch_arrive_whole")
class ForgetsTheRest(MemoryAdapter):
    def parts(self, plan: Plan) -> Iterable[Sequence[Step]]:
        return [(step,) for step in plan.steps[: self.most.batch]]


@caught_by("test_names_of_about_the_longest_stay_apart")
class CutsNames(MemoryAdapter):
    def name(self, key: ObjectKey) -> str:
        return super().name(key)[: self.most.name_length]


# ---- troubles


@caught_by("test_a_read_in_trouble_says_so")
class TakesNothingForEmpty(MemoryAdapter):
    def read(self, scope: ReadScope) -> Snapshot:
        try:
            return super().read(scope)
        except DeviceError:
            return Snapshot("edge", {})


@caught_by("test_a_read_in_trouble_says_so")
class ChokesOnPages(MemoryAdapter):
    def judged(self, answer: State | str) -> State:
        assert isinstance(answer, dict)
        return answer


@caught_by("test_a_read_in_trouble_says_so", "test_a_write_in_trouble_says_so", "test_a_plan_in_trouble_says_so")
class RepeatsTheDevice(MemoryAdapter):
    def meaning(self, no: No, *, write: bool) -> DeviceError:
        return Rejected("edge", {"something": no.words}) if no.status == 400 else super().meaning(no, write=write)


@caught_by("test_a_write_in_trouble_says_so", "test_a_plan_in_trouble_says_so")
class TakesARefusalForSuccess(MemoryAdapter):
    def tell(self, changes: Mapping[str, Record | None]) -> State:
        try:
            return super().tell(changes)
        except DeviceError:
            return {}


@caught_by("test_nothing_shows_a_secret")
class ShowsItsPassword(MemoryAdapter):
    def __repr__(self) -> str:
        return f"MemoryAdapter({self._password})"


# ---- forms


@caught_by("test_a_member_is_the_same_in_every_form")
class KeepsSpellings(MemoryAdapter):
    def members(self, members: frozenset[str]) -> frozenset[str]:
        super().members(members)
        return members


@caught_by("test_so_is_one_of_ipv6")
class LeavesOutIpv6(MemoryAdapter):
    def members(self, members: frozenset[str]) -> frozenset[str]:
        return frozenset(member for member in super().members(members) if ":" not in member)


@caught_by("test_a_type_of_icmp_is_that_type_alone")
class ForgetsTypes(MemoryAdapter):
    def entry(self, entry: RuleEntry) -> RuleEntry:
        return replace(super().entry(entry), icmp=())


@caught_by("test_a_protocol_by_number_is_that_protocol_alone")
class TakesANumberForAny(MemoryAdapter):
    def entry(self, entry: RuleEntry) -> RuleEntry:
        entry = super().entry(entry)
        return replace(entry, protocol=Protocol.ANY, number=0) if entry.protocol is Protocol.OTHER else entry


@caught_by("test_order_and_repetition_say_nothing")
class KeepsRepetitions(MemoryAdapter):
    def canonical(self, value: DeviceObject) -> DeviceObject:
        return value if isinstance(value, Ports) and value.ports else super().canonical(value)


@caught_by("test_what_is_declared_is_taken_and_what_is_not_is_named")
class DropsNames(MemoryAdapter):
    def fqdns(self, _names: frozenset[str]) -> frozenset[str]:
        return frozenset()


@caught_by("test_what_could_match_too_much_is_refused_by_name")
class TakesAnything(MemoryAdapter):
    def canonical(self, value: DeviceObject) -> DeviceObject:
        return super().canonical(value) if isinstance(value, Group | Shard) else value


@caught_by("test_a_line_ends_by_itself_and_no_other_does", "test_an_end_is_put_off_brought_forward_and_taken_away")
class EndsAYearLater(MemoryAdapter):
    """And says otherwise."""

    late = timedelta(days=365)

    def body(self, value: DeviceObject) -> DeviceObject:
        return replace(value, until=value.until + self.late) if isinstance(value, Schedule) else super().body(value)

    def value(self, body: DeviceObject) -> DeviceObject:
        return replace(body, until=body.until - self.late) if isinstance(body, Schedule) else super().value(body)


@caught_by(
    "test_what_is_declared_is_taken_and_what_is_not_is_named", "test_an_end_is_put_off_brought_forward_and_taken_away"
)
class KnowsNoEnds(MemoryAdapter):
    def entry(self, entry: RuleEntry) -> RuleEntry:
        return replace(super().entry(entry), schedule=None)


# ---- the suite itself


@caught_by("test_skips_are_exactly_what_is_not_declared")
class DeclaresLess(MemoryAdapter):
    """Bound with a skip list that was right for another."""

    can = Capabilities(Form.TIERED, ipv6=False, icmp_types=True, protocols=True, schedules=True)


# ---- permits


@caught_by(
    "test_a_permit_is_asked_for_each_change",
    "test_no_call_is_made_once_the_permit_is_withdrawn",
    "test_no_fence_is_raised_without_a_permit",
)
class AsksForNoPermit(MemoryAdapter):
    def permitted(self) -> None:
        pass


@caught_by("test_a_permit_is_asked_for_each_change")
class AsksOnce(MemoryAdapter):
    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        self._permit()
        permit, self._permit = self._permit, lambda: None
        try:
            return super().apply(plan, fence)
        finally:
            self._permit = permit


@caught_by("test_no_call_is_made_once_the_permit_is_withdrawn")
class LooksAgainWithoutAPermit(MemoryAdapter):
    def permitted(self) -> None:
        try:
            super().permitted()
        except LostLease:
            self.ask()
            raise


# ---- examining


@caught_by("test_a_look_changes_nothing_and_tells_no_secret")
class TriesItself(MemoryAdapter):
    def examine(self) -> Sequence[Finding]:
        self.send(lambda: self._server.write({"tried": Record("by nobody")}), write=True)
        return super().examine()


@caught_by("test_a_look_changes_nothing_and_tells_no_secret", "test_a_look_that_is_refused_says_so")
class SaysNothing(MemoryAdapter):
    def examine(self) -> Sequence[Finding]:
        return ()


@caught_by("test_a_look_that_is_refused_says_so")
class TakesARefusalForAFinding(MemoryAdapter):
    def examine(self) -> Sequence[Finding]:
        try:
            return super().examine()
        except DeviceError as error:
            return [wrong("device", str(error))]


# ---- flowing


@caught_by("test_without_a_source_nothing_is_asked_or_closed")
class LooksForNobodysFlows(MemoryAdapter):
    def flows(self, sources: Collection[str]) -> Sequence[Flow]:
        self.ask()
        return super().flows(sources)


@caught_by("test_after_a_take_over_nothing_is_closed")
class ClosesFlowsForWhoeverAsks(MemoryAdapter):
    can = replace(MemoryAdapter.can, close_flows=True)
