"""An account and region of EC2, as the adapter contract wants it.

A managed prefix list for each group, or each part of a large one, and family; entries of security groups for what rules let through, on
the side of who is called; and one list more, the register, with the rules themselves and the fence. Each change of a list names the
version that was read, and EC2 refuses it on any other.
"""

from collections.abc import Collection, Sequence

from adapters.aws.canonical import normalize
from adapters.aws.client import Client
from adapters.aws.errors import Refusal
from adapters.aws.examination import examine
from adapters.aws.known import Known, no_such
from adapters.aws.names import KEEPER, NAME_LENGTH, Names
from adapters.aws.reading import Reader
from adapters.aws.room import refusals
from adapters.aws.scope import FAMILIES, Scope, problems
from adapters.aws.writer import Writer, final, members_only, phases_of
from bridge.contract import DeviceConfig
from bridge.errors import Denied, Drifted, FencedOff, NotOwned, Rejected
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.examination import Finding
from bridge.model.flows import Flow
from bridge.model.identity import ObjectKey
from bridge.model.intent import FenceState, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Outcome, Plan, Step
from bridge.model.policy import Tier
from bridge.model.tiers import attachment


class AwsAdapter:
    """One account and region. Remembers it as it was last read; used by one thread at a time."""

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self._scope = Scope.of(config)
        self._names = Names(config.owner)
        self._client = Client(config, self._scope)
        self._reader = Reader(self._client, self._names, self._scope)
        self._known: Known | None = None
        self._account = ""

    @property
    def device(self) -> str:
        """The device's name in the settings."""
        return self._config.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can express and guarantee."""
        return _capabilities(self._scope)

    @property
    def limits(self) -> Limits:
        """How much it takes."""
        return _limits(self._config)

    @property
    def calls(self) -> int:
        """Requests sent so far, those repeated because they were throttled included."""
        return self._client.calls

    def normalize(self, intent: Intent) -> Objects:
        """The intent as `read` would report it, attachments added where the settings ask for them."""
        return normalize(intent, self._scope)

    def read(self, scope: ReadScope) -> Snapshot:
        """Everything of ours, or the named objects: three calls, and one for every hundred entries of each list that changed since."""
        known = self._known = self._look()
        objects = there = known.reported()
        if scope.keys is not None:
            objects = {key: there[key] for key in scope.keys if key in there}
        attached = {tier: attachment(tier).key in there for tier in Tier}
        account = self._owner_of(known)
        return Snapshot(
            self.device,
            objects,
            tuple(known.foreign()),
            known.fence,
            identity=f"{account}/{self._scope.region}" if account else "",
            attached=attached,
            attach_by={tier: self._hint(known) for tier, stands in attached.items() if not stands},
            complete=scope.everything,
        )

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """Phase by phase, every list of a phase at the same time; nothing at all where a quota is in the way, or what is not ours.

        A change of a list is refused by EC2 unless it is in the version that was read, and is waited for; so what it holds then has
        been observed. Entries of security groups are read back.
        """
        if plan.empty:
            return Outcome({})
        calls = self._client.calls
        known = self._checked(fence, plan.steps)
        self._own(plan.steps, known)
        found = refusals(known, plan.steps)
        if found:
            raise Rejected(self.device, {str(key): why for key, why in found.items()})
        refused = self._write(plan, fence, known) | known.unwritten(
            [step.key for step in plan.steps if step.after is not None]
        )
        there = known.reported()
        observed = {step.key: there.get(step.key) for step in plan.steps if step.key not in refused}
        return Outcome(observed, refused=refused, calls=self._client.calls - calls)

    def raise_fence(self, fence: Fence) -> None:
        """Put the epoch and the installation into the register; nothing when they stand there already."""
        reason = ""
        for attempt in (1, 2):
            known = self._checked(fence)
            self._own((), known)
            self._keep(known)
            if known.fence == FenceState(fence.epoch, fence.installation):
                return
            try:
                Writer(self._client, self._reader, known, {}).raise_fence(fence)
            except Drifted:
                if attempt == 2:
                    raise
            except Refusal as refusal:
                reason = str(refusal)
                break
            else:
                return
            finally:
                self._known = None
        raise Drifted(self.device, f"the register cannot be read back: {reason}")

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        """One call each: our tags onto the lists of our names, except where a list of ours stands beside: there can be but one."""
        known = self._checked(fence)
        ours = {held.told.name for held in known.lists.values()}
        named = {name: key for key in keys for name in self._names.names(key)}
        wanted = {name: key for name, key in named.items() if name in known.strange and name not in ours}
        try:
            for name, key in sorted(wanted.items()):
                told = next(one for one in known.others if one.id == known.strange[name])
                self._client.tag(told, self._names.tags(key))
        except Refusal as refusal:
            reason = str(refusal)
        else:
            return
        finally:
            self._known = None
        raise Drifted(self.device, f"what was to be adopted is not as it was read: {reason}")

    def active(self) -> bool:
        """A change that is complete is enforced, and no other is taken for made."""
        return True

    def save(self) -> None:
        """Nothing to save."""

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:  # noqa: ARG002
        """Security groups track connections and show none."""
        return ()

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:  # noqa: ARG002
        """Nothing can be closed."""
        return 0

    def examine(self) -> Sequence[Finding]:
        """A read, and a try of each call that we make and of some that we should not be able to make; nothing is changed."""
        known = self._look()
        return list(examine(self._client, known, self._owner_of(known)))

    def close(self) -> None:
        """Give connections back."""
        self._known = None
        self._client.close()

    # ---- what stands

    def _look(self) -> Known:
        """The account as it is. Denied where another device of the settings keeps it: both would take the other's work for drift."""
        known = self._reader.look()
        if known.register and known.keeper not in ("", self.device):
            raise Denied(
                self.device,
                f"account {known.register.account} in {self._scope.region} is kept by the device {known.keeper} already: one account, "
                f"region and owner is one device. Take one of both out of the settings, or give it another owner; where {known.keeper} "
                f"is no more, take the tag {KEEPER} off {known.register.name} ({known.register.id})",
            )
        return known

    def _checked(self, fence: Fence, steps: Sequence[Step] = ()) -> Known:
        """The account as it is now, where the fence lets us write; a glance is enough where steps change but members of known lists."""
        known = self._known
        spots = [(step.key, version) for step in steps for version in FAMILIES]
        spots = [spot for spot in spots if known and spot in known.lists]
        if known is None or not spots or not members_only(steps) or not self._reader.glance(known, spots):
            known = self._known = self._look()
        state = known.fence
        if not fence.passes(state):
            ours = f"ours is {fence.epoch} of {fence.installation}"
            raise FencedOff(self.device, f"epoch {state.epoch} of {state.installation} stands there, {ours}")
        return known

    def _keep(self, known: Known) -> None:
        """Our device's name onto a register that has lost it."""
        if known.register and not known.keeper:
            try:
                self._client.tag(known.register, self._names.register_tags(self.device))
            except Refusal as refusal:
                reason = str(refusal)
            else:
                return
            raise Drifted(self.device, f"the register is not as it was read: {reason}")

    def _own(self, steps: Sequence[Step], known: Known) -> None:
        """Refuse what would stand where something of somebody else's stands."""
        if self._names.register in known.strange:
            raise NotOwned(self.device, [known.strange[self._names.register]])
        ours = {held.told.name: held.told.id for held in known.lists.values()}
        taken = {step.key: name for step in steps for name in self._names.names(step.key) if name in known.strange}
        if taken:
            why = {str(key): _taken(known.strange[name], ours.get(name)) for key, name in taken.items()}
            raise NotOwned(self.device, [known.strange[name] for name in taken.values()], why)

    def _owner_of(self, known: Known) -> str:
        """Whose account it is; asked for where nothing that was read tells."""
        self._account = known.account or self._account
        if not self._account:
            try:
                self._account = self._client.account()
            except Refusal:
                return ""
        return self._account

    def _hint(self, known: Known) -> str:
        """How a person puts our rules in force."""
        if known.missing:
            return no_such(known.missing)
        places = ", ".join(place.group for place in self._scope.places) or "security groups, each with its destinations"
        return f"attach: {{mode: ifEmpty, securityGroups: …}} for {places}; or refer to the prefix lists {self._config.owner}/…"

    # ---- changes

    def _write(self, plan: Plan, fence: Fence, known: Known) -> dict[ObjectKey, str]:
        writer = Writer(self._client, self._reader, known, final(plan.steps))
        refused: dict[ObjectKey, str] = {}
        done, reason = False, ""
        try:
            if known.fence == FenceState():
                writer.raise_fence(fence)
            writer.tidy()
            for phase in phases_of(plan, known):
                refused.update(writer.phase(phase))
            writer.fit()
            done = True
        except Refusal as refusal:
            reason = str(refusal)
        finally:
            if not done:
                self._known = None
        if not done:
            raise Drifted(self.device, f"what was written cannot be read back: {reason}")
        return refused


def _taken(name: str, ours: str | None) -> str:
    beside = f", and {ours} beside it has both: rename {name}, or delete it" if ours else ""
    return f"{name} has its name and not our tags{beside}"


class AwsFactory:
    """Opens adapters for devices of the kind `aws`."""

    kind = "aws"
    ambient = True

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        """As the adapter would say."""
        return _capabilities(Scope.of(config))

    def limits(self, config: DeviceConfig) -> Limits:
        """As the adapter would say."""
        return _limits(config)

    def problems(self, config: DeviceConfig) -> dict[str, str]:
        """What is wrong with the settings, by path."""
        return problems(config)

    def open(self, config: DeviceConfig) -> AwsAdapter:
        """An adapter; no call is made before the first read."""
        return AwsAdapter(config)


def _capabilities(scope: Scope) -> Capabilities:
    return Capabilities(
        form=Form.ALLOW_ONLY,
        deny=False,
        reject=False,
        log=False,
        icmp_types=True,
        protocols=True,
        sctp_ports=False,
        blocks=tuple(tuple(one for held in place.behind.values() for one in held) for place in scope.places),
        compare_and_swap=True,
        member_deltas=True,
    )


def _limits(config: DeviceConfig) -> Limits:
    scope = Scope.of(config)
    return Limits(
        group_members=scope.entries,
        # Parts are filled by chance: the fullest is well below what a list holds.
        shard_members=max(1, scope.entries * 4 // 5),
        name_length=NAME_LENGTH,
        batch=scope.changes,
        call_seconds=config.timeout,
    )
