"""A BIG-IP whose rule lists, policies and virtual servers AS3 makes, and whose address lists are written over iControl REST.

Members change too often for declarations, so address lists stay outside of AS3, in our folder: made before what refers to them, deleted
after it. The two ways are no one transaction. So a plan comes in phases that are safe to stop anywhere, and what follows each other in it
by one way is done at once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from adapters.bigip import as3_scope, wire
from adapters.bigip.adapter import BigipAdapter, BigipFactory
from adapters.bigip.as3_client import As3
from adapters.bigip.as3_declare import Words, attachments, check
from adapters.bigip.as3_scope import As3Scope
from adapters.bigip.as3_tenant import NOTHING, Bound, Tenant
from adapters.bigip.attach import Places, Slots
from adapters.bigip.client import Client
from adapters.bigip.names import DECLARED, Names
from bridge.contract import DeviceConfig
from bridge.errors import Busy, Denied, Unsupported
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.examination import Finding, doubtful, fine, wrong
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.policy import Tier
from bridge.model.tiers import attachment

_BY_AS3 = (*DECLARED, Kind.ATTACHMENT)
_RUNNING_WAIT = 5.0


class Services(Slots):
    """Our virtual servers as the places where our policies are enforced; AS3 reaches no other."""

    def __init__(self, client: Client, names: Names, scope: As3Scope, tenant: Tenant) -> None:
        super().__init__(client, names, {})
        self._as3 = scope
        self._tenant = tenant

    def places(self, policies: Iterable[wire.RuleHolder] = ()) -> Places:
        """What our virtual servers enforce."""
        return Enforced({}, bound=self._tenant.bound(policies))

    def hint(self, tier: Tier) -> str:
        """Which settings make AS3 attach it: a person cannot, for nothing outside of the tenant may refer to what stands in it."""
        where = "attach.services and attach.mode: ifEmpty" if not self._as3.services else "attach.mode: ifEmpty"
        return f"settings {where}: virtual servers in tenant {self._as3.tenant} are declared with the policy of every tier, {tier} too"


@dataclass(frozen=True, slots=True)
class Enforced(Places):
    """What our virtual servers enforce."""

    bound: Bound = NOTHING

    def attached(self, objects: Objects, names: Names) -> dict[Tier, bool]:
        """For each tier, whether it is enforced."""
        tiers = self.bound.tiers(objects, names)
        return {tier: tier in tiers for tier in Tier}


class As3Adapter(BigipAdapter):
    """One BIG-IP with AS3."""

    def __init__(self, config: DeviceConfig) -> None:
        self._as3_scope = own = As3Scope.of(config)
        super().__init__(as3_scope.plain(config), own.tenant)
        self._as3 = As3(self._client, own.seconds)
        self._words = Words(self._names, own)
        self._tenant = Tenant(self._client, self._as3, self._words, self._known, self._records)
        self._slots = Services(self._client, self._names, own, self._tenant)
        self._installed = ""

    @property
    def capabilities(self) -> Capabilities:
        """What it can express and guarantee."""
        return _capabilities(super().capabilities)

    def normalize(self, intent: Intent) -> Objects:
        """The intent as `read` would report it, attachments added where the settings ask for them."""
        problems: dict[str, str] = {}
        objects: Objects = {}
        try:
            objects = super().normalize(intent)
        except Unsupported as error:
            problems.update(error.objects)
        try:
            check(intent, self._names)
        except Unsupported as error:
            problems = {**error.objects, **problems}
        if problems:
            raise Unsupported(intent.device, problems)
        return {**objects, **attachments(objects, self._as3_scope)}

    def read(self, scope: ReadScope) -> Snapshot:
        """Everything of ours, or the named objects. A full read takes a page of virtual servers and four more calls to AS3."""
        if scope.everything:
            self._check_as3()
            self._tenant.look()
        snapshot = super().read(scope)
        if scope.keys is None:
            tiers = {tier for tier, there in snapshot.attached.items() if there}
        elif any(key.kind is Kind.ATTACHMENT for key in scope.keys):
            found = self._tenant.standing()
            tiers = self._tenant.bound(found.policies).tiers(found.objects, self._names)
        else:
            return snapshot
        made = {one.key: one for one in map(attachment, tiers) if scope.keys is None or one.key in scope.keys}
        return replace(snapshot, objects={**snapshot.objects, **(made if self._as3_scope.attach else {})})

    def raise_fence(self, fence: Fence) -> None:
        """Write the epoch and the installation, once nothing that the owner before us declared is still being carried out."""
        self._check_as3()
        super().raise_fence(fence)

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """Runs of steps that go the same way, in the order of the plan; each at once where it fits.

        The fence is looked at before each declaration and transaction: a long plan must not outlive a take-over.
        """
        active = not self.capabilities.compiles_later
        if plan.empty:
            return Outcome({}, active)
        calls = self._client.calls
        self._begin()
        observed: dict[ObjectKey, DeviceObject | None] = {}
        for by_as3, phases in runs(plan.phases):
            observed.update(self._run(by_as3, phases, lambda: self._keeper.check(fence)))
        if self._pair:
            self._pair.check()
        return Outcome(observed, active, calls=self._client.calls - calls)

    def _run(
        self, by_as3: bool, phases: Sequence[Sequence[Step]], check: Callable[[], None]
    ) -> dict[ObjectKey, DeviceObject | None]:
        at_once = merged(step for phase in phases for step in phase)
        if by_as3:
            return self._tenant.declare(at_once, check) if at_once else {}
        if len(at_once) < self._writer.batch:  # one write each, and one for the record of long names
            return self._writer.phase(at_once, check)
        observed: dict[ObjectKey, DeviceObject | None] = {}
        for phase in phases:
            observed.update(self._writer.phase(phase, check))
        return observed

    def examine(self) -> Sequence[Finding]:
        """As without AS3, whether it is there, and what it cannot bind."""
        found = super().examine()
        try:
            there = fine("AS3", f"{self._as3.version()}, tenant {self._as3_scope.tenant}")
        except Denied as error:
            there = wrong("AS3", str(error).removeprefix(f"{self.device}: "))
        return [*found, there, *self._unbound()]

    def _unbound(self) -> Iterator[Finding]:
        """Traffic that enters through a virtual server of others never meets our policy, and nothing here can change that."""
        beyond = self._tenant.beyond()
        if beyond:
            names, more = ", ".join(beyond[:3]), f" and {len(beyond) - 3} more" if len(beyond) > 3 else ""
            words = f"outside of tenant {self._as3_scope.tenant}, AS3 cannot bind our policy to {names}{more}"
            yield doubtful("virtual servers", f"{words}: what enters there is not filtered; see docs/bigip-as3.md")

    def _check_as3(self) -> None:
        """Busy while a declaration of ours is being carried out: what is read or written meanwhile might be undone by it."""
        if self._pair and self._pair.follow():
            self._known.forget()
            self._installed = ""  # of another unit
        self._installed = self._installed or self._as3.version()
        if self._as3.busy_with(self._words.id):
            raise Busy(self.device, "AS3 still carries out a declaration of ours", _RUNNING_WAIT)


def runs(phases: Iterable[Sequence[Step]]) -> Iterator[tuple[bool, list[list[Step]]]]:
    """Neighbouring steps that AS3 carries out, or does not, phase by phase.

    New address lists come first, to which nothing refers yet, and those that go last, to which nothing refers any more.
    """
    way: bool | None = None
    run: list[list[Step]] = []
    for phase in phases:
        run.append([])
        for step in sorted(phase, key=_turn):
            by_as3 = step.key.kind in _BY_AS3
            if way is not None and by_as3 != way:
                yield way, [part for part in run if part]
                run = [[]]
            way = by_as3
            run[-1].append(step)
    if way is not None:
        yield way, [part for part in run if part]


def _turn(step: Step) -> int:
    return 1 if step.key.kind in _BY_AS3 else {Op.CREATE: 0, Op.UPDATE: 1, Op.DELETE: 2}[step.op]


def merged(steps: Iterable[Step]) -> list[Step]:
    """One step for each object: from where it begins to where it ends. One that ends as it began is left out."""
    found: dict[ObjectKey, Step] = {}
    for step in steps:
        first = found.pop(step.key, None) if step.op is Op.DELETE else found.get(step.key)
        before = step.before if first is None else first.before
        op = Op.CREATE if before is None else Op.DELETE if step.after is None else Op.UPDATE
        found[step.key] = Step(op, step.key, before, step.after)
    return [step for step in found.values() if step.before != step.after]


class ModeFactory(BigipFactory):
    """Opens adapters for devices of the kind `bigip`, whichever way their settings choose."""

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        """As the adapter would say."""
        plain = super().capabilities(as3_scope.plain(config))
        return _capabilities(plain) if as3_scope.chosen(config) else plain

    def limits(self, config: DeviceConfig) -> Limits:
        """As the adapter would say."""
        return super().limits(as3_scope.plain(config))

    def problems(self, config: DeviceConfig) -> dict[str, str]:
        """What is wrong with the settings, by path."""
        return as3_scope.problems(config)

    def open(self, config: DeviceConfig) -> BigipAdapter:
        """An adapter; no call is made before the first read."""
        return As3Adapter(config) if as3_scope.chosen(config) else super().open(as3_scope.plain(config))


def _capabilities(plain: Capabilities) -> Capabilities:
    """One list at one virtual server, two ways to write that are not one transaction, and fewer words."""
    return replace(plain, form=Form.FLAT, icmp_types=False, schedules=False, atomic=False)
