"""A Linux gateway with nftables, as the adapter contract wants it: the reference adapter.

In each phase of a plan one transaction of the kernel decides, so a plan that fits into one has no intermediate state that decides otherwise
than its ends. What may come before or after it says nothing new (see `changes`). The fence is held in every transaction: it begins with a
command that fails when the fence chain that was read stands no more, so a write of a former owner is refused by the kernel itself, however
late it lands.
"""

from collections.abc import Collection, Sequence

from adapters.nftables import ends, reading
from adapters.nftables.canonical import normalize
from adapters.nftables.changes import Draft, outstanding
from adapters.nftables.client import Client, Refusal
from adapters.nftables.examination import examine
from adapters.nftables.flows import Tracker, blocking, is_ours
from adapters.nftables.known import Known
from adapters.nftables.names import ENTER, HOOK, NAME_LENGTH, Names
from adapters.nftables.reading import Reader
from adapters.nftables.scope import Scope, problems
from adapters.nftables.transport import Transport, transport
from bridge.contract import DeviceConfig
from bridge.errors import DeviceError, Drifted, FencedOff, NotOwned, Rejected
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.examination import Finding
from bridge.model.flows import Flow
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Foreign, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Op, Outcome, Plan, Step

_CAPABILITIES = {
    form: Capabilities(
        form=form,
        icmp_types=True,
        protocols=True,
        atomic=True,
        compare_and_swap=True,
        dry_run=True,
        member_deltas=True,
        close_flows=True,
        schedules=True,
    )
    for form in (Form.TIERED, Form.FLAT)
}


class NftablesAdapter:
    """One gateway. Remembers the table as it was last read; used by one thread at a time."""

    def __init__(self, config: DeviceConfig, way: Transport | None = None) -> None:
        self._config = config
        self._scope = Scope.of(config)
        self._names = Names(config.owner)
        self._way = way = way or transport(config, self._scope)
        self._client = Client(config.name, way, self._scope.program, config.permit)
        self._tracker = Tracker(config.name, way, self._scope.conntrack, config.permit)
        self._reader = Reader(self._names, self._scope)
        self._known: Known | None = None
        self._identity: str | None = None

    @property
    def device(self) -> str:
        """The device's name in the settings."""
        return self._config.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can express and guarantee."""
        return _CAPABILITIES[self._scope.form]

    @property
    def limits(self) -> Limits:
        """How much it takes."""
        return _limits(self._config)

    @property
    def calls(self) -> int:
        """Commands run so far."""
        return self._client.calls

    def normalize(self, intent: Intent) -> Objects:
        """The intent as `read` would report it, attachments added where the settings ask for them."""
        return normalize(intent, attach=self._scope.attach, form=self._scope.form)

    def attach_hint(self) -> str:
        """The one line by which a person puts our policies in force: a base chain in our table that leads to them."""
        table, words = self._names.table, " ".join((*self._scope.prefix, "nft"))
        hook = f"{{ type filter hook forward priority {self._scope.priority} ; policy accept ; }}"
        return f"{words} 'add chain inet {table} site {hook} ; add rule inet {table} site jump {ENTER}'"

    def read(self, scope: ReadScope) -> Snapshot:
        """Everything of ours, or the named objects: two commands, and one more the first time."""
        found = self._read()
        if self._identity is None:
            self._identity = "/".join(filter(None, (self._client.identity(), self._scope.network_namespace)))
        objects: dict[ObjectKey, DeviceObject] = dict(found.objects)
        if scope.keys is not None:
            objects = {key: objects[key] for key in scope.keys if key in objects}
        attached = reading.attached(found)
        return Snapshot(
            self.device,
            objects,
            tuple(found.foreign),
            found.fence,
            identity=self._identity,
            attached=attached,
            attach_by={tier: self.attach_hint() for tier, reachable in attached.items() if not reachable},
            complete=scope.everything,
        )

    def active(self) -> bool:
        """What is committed is enforced."""
        return True

    def raise_fence(self, fence: Fence) -> None:
        """Put up the epoch and the installation as a chain of their own; nothing when they stand there already."""
        for attempt in (1, 2):
            known = self._checked(fence)
            if list(known.fences) == [self._names.fence(fence.epoch, fence.installation)]:
                return
            draft = Draft.of(self._names, self._scope, known)
            draft.take(fence)
            try:
                self._client.commit(draft.commands())
            except Refusal as refusal:
                reason = refusal.text
            else:
                self._known = draft.after
                return
            self._known = None
            if attempt == 2:
                raise Drifted(self.device, f"the fence moved while it was written: {reason}")

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        """An element each in the set of marks, in one transaction."""
        known = self._checked(fence)
        names = {self._names.name(key) for key in keys} & known.strange
        if not names:
            return
        draft = self._draft((), fence, known)
        draft.adopt(names)
        try:
            self._client.commit(draft.commands())
        except Refusal as refusal:
            raise Drifted(self.device, f"what was to be adopted is not as it was read: {refusal.text}") from None
        finally:
            self._known = None  # what the marks make ours is read anew

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """One transaction for each phase, and one before or after it where it needs that.

        Lists and policies are read back; of members the kernel's word is taken, which is strict: one to add must not stand there and one
        to delete must, or the kernel refuses the whole transaction; so what it accepts has been observed. Applied again, a plan that holds
        already changes nothing.
        """
        if plan.empty:
            return Outcome({})
        calls = self._client.calls
        observed: dict[ObjectKey, DeviceObject | None] = {}
        refused: dict[ObjectKey, str] = {}
        for phase in plan.phases:
            known = self._checked(fence)
            self._own(phase, known)
            why = self._no_place(known)
            refused.update({step.key: why for step in phase if why and _attaches(step)})
            observed.update(self._commit([step for step in phase if not (why and _attaches(step))], fence, known))
        return Outcome(observed, refused=refused, calls=self._client.calls - calls)

    def save(self) -> None:
        """Write the table to the file that the settings name, from which the gateway loads it when it starts."""
        if not self._scope.persist:
            return
        table = f"table inet {self._names.table}"
        try:
            text = self._client.text(self._names.table)
        except Refusal as refusal:
            raise Drifted(self.device, f"{table} cannot be listed: {refusal.text}") from None
        # Made and deleted first: the file replaces whatever stands, and needs nothing to stand.
        self._client.store(self._scope.persist, f"{table}\ndelete {table}\n".encode() + ends.loadable(text))

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:
        """One command of conntrack for each address."""
        return list(self._tracker.flows(sources))

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:
        """One transaction that keeps them closed, then one command of conntrack for each; two more to see whose table that is."""
        if not flows:
            return 0
        table, mark = self._names.flows, f"fusion-bridge {self._names.owner}"
        known = self._checked(fence)
        stands = any((one.family, one.name) == ("inet", table) for one in self._client.tables())
        if stands and not is_ours(self._client.table(table), mark):
            raise NotOwned(self.device, [f"table inet {table}"])
        draft = self._draft((), fence, known)
        try:
            self._client.commit([*draft.commands(), *blocking(table, mark, self._scope.priority, flows, stands=stands)])
        except Refusal as refusal:
            self._known = None
            self._checked(fence)
            raise Drifted(self.device, f"what keeps flows closed is not as it was read: {refusal.text}") from None
        self._known = draft.after
        return sum(map(self._tracker.forget, flows))

    def examine(self) -> Sequence[Finding]:
        """Eight commands, and one more where the table is kept in a file."""
        return list(examine(self._client, self._way, self._scope, self._names.table))

    def close(self) -> None:
        """Nothing is held open."""
        self._known = None

    # ---- what stands

    def _read(self) -> Known:
        """The table as it stands, and the names of all others."""
        tables = self._client.tables()
        ours = any((table.family, table.name) == ("inet", self._names.table) for table in tables)
        found = self._reader.table(self._client.table(self._names.table)) if ours else self._reader.absent()
        found.foreign += [
            Foreign(f"table {table.family} {table.name}")
            for table in tables
            if table.family != "inet" or table.name not in (self._names.table, self._names.flows)
        ]
        self._known = found
        return found

    def _checked(self, fence: Fence) -> Known:
        """What is known, when it is ours to write to. Raises FencedOff, NotOwned; both only on what was read just now."""
        known = self._known
        if known is None or not fence.passes(known.fence) or known.stands != known.ours:
            known = self._read()
        state = known.fence
        if not fence.passes(state):
            raise FencedOff(
                self.device,
                f"the fence holds epoch {state.epoch} of installation {state.installation or 'unknown'}, "
                f"ours is {fence.epoch} of {fence.installation}",
            )
        if known.stands and not known.ours:
            raise NotOwned(self.device, [f"table inet {self._names.table}"])
        return known

    def _own(self, steps: Sequence[Step], known: Known) -> None:
        """Refuse what would stand where something of somebody else's stands."""
        names = {step.key: self._names.name(step.key) for step in steps if self._names.name(step.key) in known.strange}
        if names:
            why = {str(key): f"{name} stands there without our mark" for key, name in names.items()}
            raise NotOwned(self.device, names.values(), why)

    def _no_place(self, known: Known) -> str:
        """Why we put up no base chain of our own; empty when we may."""
        if known.reached_by:
            return f"chain {known.reached_by} in our table leads to our policies already"
        if HOOK in known.strange:
            return f"chain {HOOK} stands in our table without our mark; attach by: {self.attach_hint()}"
        return ""

    # ---- changes

    def _commit(self, steps: Sequence[Step], fence: Fence, known: Known) -> dict[ObjectKey, DeviceObject | None]:
        if not steps:
            return {}
        draft = self._draft(steps, fence, known)
        try:
            for commands in draft.transactions():
                self._client.commit(commands)
        except Refusal as refusal:
            refused = refusal
        except DeviceError:
            self._known = None
            raise
        else:
            self._known = draft.after
            return self._observed(steps, draft)
        return self._judged(steps, refused, fence, known)

    def _draft(self, steps: Sequence[Step], fence: Fence, known: Known) -> Draft:
        draft = Draft.of(self._names, self._scope, known)
        if not known.fences:
            draft.take(fence)
        draft.change(steps)
        draft.hold()
        return draft

    def _observed(self, steps: Sequence[Step], draft: Draft) -> dict[ObjectKey, DeviceObject | None]:
        """What the device holds of these objects: the chains as they are listed now, members as the kernel accepted them."""
        after = draft.after
        if draft.chains:
            listed = self._client.chains(self._names.table, draft.chains)
            if not draft.chains <= listed.chains.keys():
                self._known = None
                raise Drifted(self.device, "what was written is gone again")
            keys = [key for key in map(self._names.key, draft.chains) if key is not None]
            after.objects.update({key: self._reader.schedule(key, listed) for key in keys if key.kind is Kind.SCHEDULE})
            for key in keys:
                if key.kind is Kind.RULE_LIST:
                    after.objects[key] = self._reader.rule_list(key, listed, after)
                elif key.kind is Kind.POLICY:
                    after.objects[key] = self._reader.policy(key, listed)
            if HOOK in draft.chains:
                after.objects.update({one.key: one for one in self._reader.attachments(listed)})
        return {step.key: after.objects.get(step.key) for step in steps}

    def _judged(
        self, steps: Sequence[Step], refusal: Refusal, fence: Fence, before: Known
    ) -> dict[ObjectKey, DeviceObject | None]:
        """What a refusal means, seen from what stands now."""
        self._known = None
        known = self._checked(fence)
        self._own(steps, known)
        if not list(outstanding(steps, known)):
            return {step.key: known.objects.get(step.key) for step in steps}
        if refusal.conflict or known.fences != before.fences:
            raise Drifted(self.device, f"not as it was read: {refusal.text}")
        raise self._blamed(steps, refusal, fence, known)

    def _blamed(self, steps: Sequence[Step], refusal: Refusal, fence: Fence, known: Known) -> DeviceError:
        """The first step that the kernel objects to, found by asking it about shorter and shorter beginnings; nothing is changed."""
        sound, failing, words = 0, len(steps), refusal.text
        while failing - sound > 1:
            middle = (sound + failing) // 2
            objection = self._client.objection(self._draft(steps[:middle], fence, known).commands())
            if objection:
                failing, words = middle, objection
            else:
                sound = middle
        return Rejected(self.device, {str(steps[failing - 1].key): words})


class NftablesFactory:
    """Opens adapters for devices of the kind `nftables`."""

    kind = "nftables"

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        """As the adapter would say."""
        return _CAPABILITIES[Scope.of(config).form]

    def limits(self, config: DeviceConfig) -> Limits:
        """As the adapter would say."""
        return _limits(config)

    def problems(self, config: DeviceConfig) -> dict[str, str]:
        """What is wrong with the settings, by path."""
        return problems(config)

    def open(self, config: DeviceConfig) -> NftablesAdapter:
        """An adapter; no command is run before the first read."""
        return NftablesAdapter(config)


def _limits(config: DeviceConfig) -> Limits:
    return Limits(
        name_length=NAME_LENGTH,
        batch=Scope.of(config).transaction_steps,
        calls_in_flight=1,
        call_seconds=config.timeout,
    )


def _attaches(step: Step) -> bool:
    return step.key.kind is Kind.ATTACHMENT and step.op is not Op.DELETE
