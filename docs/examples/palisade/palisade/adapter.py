"""A Palisade, as the adapter contract wants it.

The device keeps one document and replaces it by its version. So each phase of a plan is one write that is done whole or not at all, and
a write of a former owner is refused by the device itself: the document that it read, with the fence of its successor in it, is newer.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from bridge.contract import DeviceConfig
from bridge.errors import Drifted, FencedOff, NotOwned, Rejected, Unsupported
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.examination import Finding, doubtful, fine, wrong
from bridge.model.flows import Flow
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, FenceState, Foreign, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.policy import Tier
from bridge.model.tiers import attachment, policy_key, tier_of
from palisade.client import Client, Refusal
from palisade.translate import Terms, canonical
from palisade.wire import Document, Owner, Record

_CAN = Capabilities(Form.FLAT, atomic=True, compare_and_swap=True)
_BATCH = 1000


class PalisadeAdapter:
    """One device. Used by one thread at a time."""

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self._client = Client(config)
        self._terms = Terms(config.owner)
        self._attaches = config.attach.get("mode") == "ifEmpty"

    @property
    def device(self) -> str:
        """The device's name in the settings."""
        return self._config.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can express and guarantee."""
        return _CAN

    @property
    def limits(self) -> Limits:
        """How much it takes."""
        return _limits(self._config)

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return self._client.calls

    def normalize(self, intent: Intent) -> Objects:
        """The intent as `read` would report it; the places of our policies with it where the settings ask for them."""
        found: dict[ObjectKey, DeviceObject] = {}
        problems: dict[str, str] = {}
        for key, value in intent.objects.items():
            try:
                found[key] = canonical(value)
            except ValueError as error:
                problems[str(key)] = str(error)
        if problems:
            raise Unsupported(self.device, problems)
        if self._attaches:
            found |= {one.key: one for tier in Tier if (one := attachment(tier)).policy in found}
        return found

    def read(self, scope: ReadScope) -> Snapshot:
        """Everything in two calls; the device has no smaller answer."""
        session, (held, version) = self._client.session(), self._client.read()
        seen = list(self._terms.objects(held, attached=self._attaches))
        objects = {one.key: one for one in seen if not isinstance(one, Foreign)}
        if scope.keys is not None:
            objects = {key: one for key, one in objects.items() if key in scope.keys}
        reached = {tier: held.places.get(tier) == self._terms.name(policy_key(tier)) for tier in Tier}
        return Snapshot(
            self.device,
            objects,
            tuple(one for one in seen if isinstance(one, Foreign)),
            self._fence(held),
            identity=session.serial,
            token=version,
            attached=reached,
            attach_by={tier: self._hint(tier) for tier, there in reached.items() if not there},
            complete=scope.everything,
        )

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """One write for each phase. Applied again, what holds already is left, and no call changes anything."""
        calls = self.calls
        observed: dict[ObjectKey, DeviceObject | None] = {}
        refused: dict[ObjectKey, str] = {}
        for phase in plan.phases:
            held, version = self._client.read()
            self._check(held, fence)
            occupied = {step.key: why for step in phase if (why := self._occupied(held, step))}
            steps = [step for step in phase if step.key not in occupied]
            held = self._written(held, version, steps, partial(self._changed, steps), fence)
            stands = {one.key: one for one in self._terms.objects(held, attached=True) if not isinstance(one, Foreign)}
            observed |= {step.key: stands.get(step.key) for step in steps}
            refused |= occupied
        return Outcome(observed, refused=refused, calls=self.calls - calls)

    def raise_fence(self, fence: Fence) -> None:
        """Nothing when it stands there already."""
        held, version = self._client.read()
        self._check(held, fence)
        self._written(held, version, (), lambda draft: self._fenced(draft, fence), fence)

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        """Our note on what stands under these names."""
        held, version = self._client.read()
        self._check(held, fence)

        def noted(draft: Document) -> Document:
            records = dict(draft.records)
            for key in keys:
                name = self._terms.name(key)
                if name in records:
                    records[name] = msgspec.structs.replace(records[name], note=self._terms.note(key))
            return msgspec.structs.replace(draft, records=records)

        self._written(held, version, (), noted, fence)

    def active(self) -> bool:
        """What is written is in force."""
        return True

    def save(self) -> None:
        """What is written survives a restart."""

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:  # noqa: ARG002
        """A Palisade tells of none."""
        return ()

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:  # noqa: ARG002
        """A Palisade closes none."""
        return 0

    def examine(self) -> Sequence[Finding]:
        """Release and rights, as the device tells them to whoever logs in."""
        session = self._client.session()
        found = [fine("device", f"serial {session.serial}"), fine("version", session.release)]
        if "write" not in session.rights:
            return [*found, wrong("rights", f"{', '.join(session.rights)}: this token may not write")]
        if "admin" in session.rights:
            return [*found, doubtful("rights", "admin: far more than the bridge needs; read and write are enough")]
        return [*found, fine("rights", ", ".join(session.rights))]

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    # ---- whose it is

    def _fence(self, held: Document) -> FenceState:
        owner = held.owners.get(self._config.owner)
        return FenceState(owner.epoch, owner.installation) if owner else FenceState()

    def _check(self, held: Document, fence: Fence) -> None:
        state = self._fence(held)
        if not fence.passes(state):
            ours = f"ours is {fence.epoch} of {fence.installation}"
            raise FencedOff(self.device, f"epoch {state.epoch} of {state.installation} stands there, {ours}")

    def _fenced(self, draft: Document, fence: Fence) -> Document:
        mine = {self._config.owner: Owner(fence.epoch, fence.installation)}
        return msgspec.structs.replace(draft, owners={**draft.owners, **mine})

    # ---- changes

    def _written(
        self,
        held: Document,
        version: str,
        steps: Iterable[Step],
        change: Callable[[Document], Document],
        fence: Fence,
    ) -> Document:
        """What stands there after the change, which is one write, or none where it changes nothing."""
        draft = change(held)
        if draft == held:
            return held
        if self._config.owner not in draft.owners:
            draft = self._fenced(draft, fence)
        try:
            stands, _ = self._client.write(draft, version)
        except Refusal as refusal:
            names = {self._terms.name(step.key): str(step.key) for step in steps}
            blamed = {names[refusal.record]} if refusal.record in names else set(names.values())
            words = refusal.words
        else:
            return stands
        raise Rejected(self.device, dict.fromkeys(sorted(blamed), words))

    def _changed(self, steps: Iterable[Step], draft: Document) -> Document:
        records, places = dict(draft.records), dict(draft.places)
        for step in steps:
            if step.key.kind is Kind.ATTACHMENT:
                places[tier_of(step.key)] = (
                    "" if step.after is None else self._terms.name(policy_key(tier_of(step.key)))
                )
            else:
                self._change(records, step)
        return msgspec.structs.replace(draft, records=records, places=places)

    def _change(self, records: dict[str, Record], step: Step) -> None:
        name = self._terms.name(step.key)
        stands = records.get(name)
        if stands is not None and not self._terms.is_ours(name, stands):
            why = {str(step.key): f"{name} stands there without our note"}
            raise NotOwned(self.device, [name], why)
        if step.after is None:
            records.pop(name, None)
            return
        wanted = self._terms.record(step.after)
        if (stands is None) == (step.op is Op.UPDATE) and stands != wanted:
            raise Drifted(self.device, f"{name} is not as it was read")
        records[name] = wanted

    def _occupied(self, held: Document, step: Step) -> str:
        """Why our policy is not put in force there: a place of which somebody else has made use is his."""
        if step.key.kind is not Kind.ATTACHMENT:
            return ""
        tier = tier_of(step.key)
        there = held.places.get(tier, "")
        return f"place {tier} holds {there}" if there not in ("", self._terms.name(policy_key(tier))) else ""

    def _hint(self, tier: Tier) -> str:
        return f"palisade place set {tier} {self._terms.name(policy_key(tier))}"


class PalisadeFactory:
    """What the entry point names."""

    kind = "palisade"

    def capabilities(self, config: DeviceConfig) -> Capabilities:  # noqa: ARG002
        """As the adapter would say."""
        return _CAN

    def limits(self, config: DeviceConfig) -> Limits:
        """As the adapter would say."""
        return _limits(config)

    def problems(self, config: DeviceConfig) -> Mapping[str, str]:
        """What is wrong with the settings, by path."""
        found = {f"scope.{name}": "unknown; there is batch" for name in config.scope if name != "batch"}
        if not config.url.startswith(("https://", "http://")):
            found["url"] = "the address of the device, such as https://192.0.2.10"
        if config.attach.get("mode", "none") not in ("none", "ifEmpty"):
            found["attach.mode"] = "none or ifEmpty"
        return found

    def open(self, config: DeviceConfig) -> PalisadeAdapter:
        """An adapter; no call is made before the first read."""
        return PalisadeAdapter(config)


def _limits(config: DeviceConfig) -> Limits:
    return Limits(batch=config.scope.get("batch") or _BATCH, call_seconds=config.timeout)
