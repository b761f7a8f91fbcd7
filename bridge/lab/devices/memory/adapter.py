"""The adapter of the device in memory: one object in a call, each naming the version that it replaces and the claim it is made under."""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TypeVar

from bridge.contract import DeviceConfig
from bridge.errors import Busy, Denied, DeviceError, Drifted, FencedOff, NotOwned, Rejected
from bridge.lab.devices.memory.checks import NAME_LENGTH, Refusal
from bridge.lab.devices.memory.contents import Claim, Stored
from bridge.lab.devices.memory.device import MemoryDevice, Page, memory_device
from bridge.lab.devices.memory.known import Known
from bridge.lab.devices.memory.scope import Scope, problems
from bridge.lab.devices.memory.translate import Translator
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.examination import Finding, fine
from bridge.model.flows import Flow
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, FenceState, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.policy import Tier
from bridge.model.tiers import policy_key, tier_of

T = TypeVar("T")
_CAPABILITIES = {
    form: Capabilities(
        form,
        deny=form is Form.FLAT,
        reject=form is Form.FLAT,
        log=form is Form.FLAT,
        icmp_types=True,
        protocols=True,
        compare_and_swap=True,
        schedules=True,
    )
    for form in (Form.ALLOW_ONLY, Form.FLAT)
}


class Unmet(Exception):
    """What stands is not what a write supposed."""


class MemoryAdapter:
    """One device in memory; used by one thread at a time."""

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self._scope = Scope.of(config)
        self._terms = Translator(config.owner, self._scope.form)
        self._calls = 0
        self._known: Known | None = None

    @property
    def device(self) -> str:
        """The device's name in the settings."""
        return self._config.name

    @property
    def capabilities(self) -> Capabilities:
        """What the form can."""
        return _CAPABILITIES[self._scope.form]

    @property
    def limits(self) -> Limits:
        """What the settings say."""
        return _limits(self._config)

    @property
    def calls(self) -> int:
        """Calls so far."""
        return self._calls

    def normalize(self, intent: Intent) -> Objects:
        """The intent as `read` would report it, attachments added where the settings ask for them."""
        return self._terms.normalize(intent, attach=self._scope.attach)

    def read(self, scope: ReadScope) -> Snapshot:
        """Everything in one call."""
        known = self._look()
        objects = known.objects
        if scope.keys is not None:
            objects = {key: value for key, value in objects.items() if key in scope.keys}
        attached = {tier: known.in_force(tier) for tier in Tier}
        return Snapshot(
            self.device,
            dict(objects),
            tuple(known.foreign()),
            known.fence,
            identity=f"memory/{self._scope.name}",
            token=str(known.contents.version),
            attached=attached,
            attach_by={tier: self._hint(tier) for tier, there in attached.items() if not there},
            complete=scope.everything,
        )

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """Step by step; nothing at all where one of them would touch what is not ours. Applied again, what holds already is left."""
        if plan.empty:
            return Outcome({})
        calls, observed = self._calls, dict[ObjectKey, DeviceObject | None]()
        refused: dict[ObjectKey, str] = {}
        self._own(plan.steps, self._checked(fence))
        if self._checked(fence).fence == FenceState():
            self.raise_fence(fence)
        for step in plan.steps:
            why = self._occupied(step)
            if why:
                refused[step.key] = why
            else:
                observed[step.key] = self._done(step, fence)
        return Outcome(observed, refused=refused, calls=self._calls - calls)

    def raise_fence(self, fence: Fence) -> None:
        """Raise our owner's claim; nothing when it stands already."""
        wanted = Claim(fence.epoch, fence.installation)
        for _ in range(2):
            claims = self._checked(fence, fresh=True).contents.claims
            if claims.get(self._config.owner) == wanted:
                return
            try:
                claims[self._config.owner] = self._raised(claims.get(self._config.owner), wanted)
            except Unmet:
                continue
            return
        raise Drifted(self.device, "the claim moved while it was raised")

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        """One call each, with the body that stands there."""
        known = self._checked(fence, fresh=True)
        owner, claim = self._config.owner, known.contents.claims.get(self._config.owner)
        for key in sorted(keys):
            name = self._terms.name(key)
            stands = known.contents.objects.get(name)
            if stands is None or name in known.keys:
                continue
            marked = Stored(self._terms.mark(key), stands.body, 0)
            self._change(partial(self._device.write, self._token, owner, claim, name, stands.version, marked), key)
        self._known = None

    def active(self) -> bool:
        """What is written is in force."""
        return True

    def save(self) -> None:
        """Nothing to save."""

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:  # noqa: ARG002
        """It tracks none."""
        return ()

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:  # noqa: ARG002
        """It tracks none."""
        return 0

    def examine(self) -> Sequence[Finding]:
        """One call: the device knows one token, and no rights."""
        held = self._send(lambda: self._device.read(self._token))
        return [
            fine("device", f"memory/{self._scope.name}, {self._scope.form}, {len(held.objects)} objects"),
            fine("credentials", "the token is taken; the device knows no other, and no rights to grant"),
        ]

    def close(self) -> None:
        """Nothing is held open."""
        self._known = None

    # ---- what stands

    @property
    def _device(self) -> MemoryDevice:
        scope = self._scope
        return memory_device(scope.name, scope.form, scope.file, scope.limits)

    @property
    def _token(self) -> str:
        try:
            return self._config.credentials.value("token")
        except KeyError:
            return ""

    def _look(self) -> Known:
        """Read everything, and take it for known."""
        try:
            contents = self._send(lambda: self._device.read(self._token))
        except (Unmet, Rejected) as problem:
            reason = str(problem)
        else:
            self._known = Known.of(self._terms, contents, attach=self._scope.attach)
            return self._known
        raise Busy(self.device, f"cannot be read: {reason}")

    def _hint(self, tier: Tier) -> str:
        return f"put_in_force({tier.value!r}, {self._terms.name(policy_key(tier))!r})"

    def _checked(self, fence: Fence, *, fresh: bool = False) -> Known:
        """What is known, where the fence lets us write. FencedOff only on what was read just now."""
        known = self._known
        if known is None or fresh or not fence.passes(known.fence):
            known = self._look()
        state = known.fence
        if not fence.passes(state):
            ours = f"ours is {fence.epoch} of {fence.installation}"
            raise FencedOff(self.device, f"epoch {state.epoch} of {state.installation} stands there, {ours}")
        return known

    def _own(self, steps: Iterable[Step], known: Known) -> None:
        """Refuse what would stand where something of somebody else's stands."""
        names = {step.key: self._terms.name(step.key) for step in steps if step.key.kind is not Kind.ATTACHMENT}
        taken = {key: name for key, name in names.items() if name in known.contents.objects and name not in known.keys}
        if taken:
            why = {str(key): f"{name} stands there without our mark" for key, name in taken.items()}
            raise NotOwned(self.device, taken.values(), why)

    def _occupied(self, step: Step) -> str:
        """Why we put no policy in force there; empty when we may."""
        if step.key.kind is not Kind.ATTACHMENT or step.after is None or self._known is None:
            return ""
        tier = tier_of(step.key)
        held = self._known.occupied(tier)
        return f"place {tier} holds {held}" if held else ""

    # ---- changes

    def _raised(self, before: Claim | None, after: Claim) -> Claim:
        owner = self._config.owner
        return self._change(lambda: self._device.claim(self._token, owner, before, after))

    def _done(self, step: Step, fence: Fence) -> DeviceObject | None:
        """The step done, once; what the device then holds."""
        known = self._checked(fence)
        try:
            self._expect(step, known)
            return self._bound(step, known) if step.key.kind is Kind.ATTACHMENT else self._written(step, known)
        except Unmet as unmet:
            reason = str(unmet)
        except DeviceError:
            self._known = None
            raise
        known = self._checked(fence, fresh=True)
        self._own((step,), known)
        if known.objects.get(step.key) == self._wanted(step):
            return known.objects.get(step.key)
        raise Drifted(self.device, f"{step.key} is not as it was read: {reason}")

    def _wanted(self, step: Step) -> DeviceObject | None:
        return None if step.after is None else self._terms.canonical(step.after)

    def _expect(self, step: Step, known: Known) -> None:
        """What stands is what the step starts from, or what it leads to."""
        before = None if step.before is None else self._terms.canonical(step.before)
        stands = known.objects.get(step.key)
        if stands not in (before, self._wanted(step)):
            raise Unmet("somebody changed it")

    def _written(self, step: Step, known: Known) -> DeviceObject | None:
        if known.objects.get(step.key) == self._wanted(step):
            return self._wanted(step)
        name, claim = self._terms.name(step.key), known.contents.claims.get(self._config.owner)
        stands = known.contents.objects.get(name)
        version = stands.version if stands else 0
        after = None
        if step.after is not None:
            after = Stored(self._terms.mark(step.key), self._terms.body(step.after), 0)
        owner = self._config.owner
        answer = self._change(lambda: self._device.write(self._token, owner, claim, name, version, after), step.key)
        return known.note(step.key, answer)

    def _bound(self, step: Step, known: Known) -> DeviceObject | None:
        """Our policy put in force, or taken out where it is still ours."""
        tier = tier_of(step.key)
        name, place = self._terms.name(policy_key(tier)), known.contents.places.get(tier, "")
        after = "" if step.op is Op.DELETE else name
        if place not in ("", name) or place == after:
            return self._wanted(step)
        claim, owner = known.contents.claims.get(self._config.owner), self._config.owner
        held = self._change(lambda: self._device.occupy(self._token, owner, claim, tier, place, after), step.key)
        return known.place(tier, held)

    def _change(self, call: Callable[[], T], key: ObjectKey | None = None) -> T:
        """One call that changes something."""
        self._config.permit()
        return self._send(call, key)

    def _send(self, call: Callable[[], T], key: ObjectKey | None = None) -> T:
        """One call, and what its refusal means."""
        self._calls += 1
        try:
            return call()
        except Refusal as refusal:
            refused = refusal
        except (ConnectionError, TimeoutError, Page) as error:
            raise Busy(self.device, f"{type(error).__name__}: it may have been done, read again") from None
        raise self._meaning(refused, key)

    def _meaning(self, refusal: Refusal, key: ObjectKey | None) -> DeviceError | Unmet:
        words = f"{refusal.status} {refusal.words}"
        if self._token:
            words = words.replace(self._token, "…")
        if refusal.status in (429, 503):
            return Busy(self.device, words)
        if refusal.status in (401, 403):
            return Denied(self.device, words)
        if refusal.status in (404, 409, 412):
            return Unmet(words)
        return Rejected(self.device, {str(key): words})


class MemoryFactory:
    """Opens adapters for devices of the kind `memory`."""

    kind = "memory"

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        """As the adapter would say."""
        return _CAPABILITIES[Scope.of(config).form]

    def limits(self, config: DeviceConfig) -> Limits:
        """As the adapter would say."""
        return _limits(config)

    def problems(self, config: DeviceConfig) -> dict[str, str]:
        """What is wrong with the settings, by path."""
        return problems(config)

    def open(self, config: DeviceConfig) -> MemoryAdapter:
        """An adapter; no call is made before the first read."""
        return MemoryAdapter(config)


def _limits(config: DeviceConfig) -> Limits:
    given = Scope.of(config).limits
    return Limits(
        group_members=given.get("group_members"),
        groups=given.get("groups"),
        rules=given.get("rules"),
        name_length=NAME_LENGTH,
        batch=1,
        call_seconds=config.timeout,
    )
