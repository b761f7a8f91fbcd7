"""What every check stands on: the device, an adapter for it, the bridge's part in between, and what must hold after each check."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from adapters.conformance.site import PACKETS, Terms
from bridge.contract import Adapter, AdapterFactory
from bridge.errors import DeviceError
from bridge.lab.device import Moment, Rig
from bridge.model.identity import Scope
from bridge.model.intent import EVERYTHING, Intent, Objects
from bridge.model.plan import Fence, Outcome, Plan
from bridge.policy.diff import diff, plan
from bridge.policy.evaluate import Verdict

FENCE = Fence(3, "installation-a")
DEVICE = "edge"

examples = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors],
)
"""How much the random checks try; the seed is printed where one fails."""


class Bench:
    """A device on the bench. A binding says `factory`, the adapter's, and `rig`, which lends a device; see the package.

    `skips` are the undeclared words for which checks are left out: they must be exactly those that the suite leaves out. `tiers` may
    name the tiers in which the device takes rules, where it does not in all three.
    """

    factory: ClassVar[AdapterFactory]
    rig: ClassVar[Callable[[], AbstractContextManager[Rig]]]
    skips: ClassVar[frozenset[str]] = frozenset()
    tiers: ClassVar[tuple[Scope, ...] | None] = None

    device: Rig
    adapter: Adapter
    terms: Terms

    @pytest.fixture(scope="class")
    @classmethod
    def conformance_rig(cls) -> Iterator[Rig]:
        """One device for all checks of a binding."""
        with cls.rig() as rig:
            yield rig

    @pytest.fixture(autouse=True)
    def _on_the_bench(self, conformance_rig: Rig, request: pytest.FixtureRequest) -> Iterator[None]:
        self._opened: list[Adapter] = []
        self._theirs: Mapping[str, bytes] = {}
        self.device = rig = conformance_rig
        can = self.factory.capabilities(rig.config())
        self.terms = Terms(can, self.tiers) if self.tiers else Terms.of(can)
        lacking = self.lacking(request.node.obj, getattr(request.node, "callspec", None))
        if lacking:
            pytest.skip(f"not declared: {', '.join(sorted(lacking))}")
        self.fresh()
        try:
            yield
            rig.calm()
            self.check_foreign()
        finally:
            self._close()
            rig.reset()

    # ---- what is declared

    def declares(self, word: str) -> bool:
        """Whether the adapter or the rig has it: `trouble …`, `limit …`, or a capability."""
        kind, _, name = word.rpartition(" ")
        if kind == "trouble":
            return name in self.device.troubles
        if kind == "limit":
            declared = getattr(self.factory.limits(self.device.config()), name, None)
            return declared is not None or name in self.device.limits
        return bool(getattr(self.terms.can, word))

    def lacking(self, check: Any, call: Any = None) -> set[str]:  # noqa: ANN401 - pytest's own
        """The words that a check needs and that are not declared; without a call, those of all its parameters."""
        return {word for word in _needs(check, call) if not self.declares(word)}

    # ---- the device

    def fresh(self) -> None:
        """The device as new, with what others own on it, and an adapter that may write."""
        self.device.calm()
        self.check_foreign()
        self._close()
        self.device.reset()
        self.lookalikes = self.device.plant()
        self._theirs = dict(self.device.contents())
        self.adapter = self.open()
        self.adapter.raise_fence(FENCE)

    def open(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> Adapter:
        """Another adapter for the device, closed at the end."""
        adapter = self.factory.open(self.device.config(owner=owner, batch=batch, timeout=timeout))
        self._opened.append(adapter)
        return adapter

    def _close(self) -> None:
        while self._opened:
            self._opened.pop().close()

    # ---- the bridge's part

    def wanted(self, adapter: Adapter, site: Objects) -> Objects:
        """The site as the adapter says that it will read it."""
        return adapter.normalize(Intent(DEVICE, site))

    def planned(self, adapter: Adapter, site: Objects) -> Plan:
        """The plan from what stands there to the site."""
        return self.plan_from(adapter, adapter.read(EVERYTHING).objects, site)

    def plan_from(self, adapter: Adapter, have: Objects, site: Objects) -> Plan:
        """The plan from these objects to the site."""
        steps = diff(have, Intent(DEVICE, self.wanted(adapter, site)))
        return plan(DEVICE, steps, have, adapter.capabilities, adapter.limits)

    def reconcile(self, adapter: Adapter, site: Objects, fence: Fence = FENCE) -> Outcome:
        """Read, plan, apply once."""
        return adapter.apply(self.planned(adapter, site), fence)

    def converge(self, site: Objects) -> None:
        """As a new process would: read, plan and apply; what stands there is then wanted."""
        adapter = self.open()
        self.reconcile(adapter, site)
        self.check_holds(adapter, site)

    def built(self, site: Objects) -> Mapping[str, bytes]:
        """What the device holds when the site is built from nothing, by its own names."""
        self.fresh()
        self.reconcile(self.adapter, site)
        return dict(self.device.contents())

    # ---- what must hold

    def check_holds(self, adapter: Adapter, site: Objects) -> None:
        """The device holds the site, nothing else of ours, and there is nothing left to do."""
        have = adapter.read(EVERYTHING).objects
        assert have == self.wanted(adapter, site), "what is read is not what was wanted"
        left = self.plan_from(adapter, have, site)
        assert left.empty, f"a second plan is not empty: {[str(step) for step in left.steps]}"

    def check_foreign(self) -> None:
        """What others own is byte for byte as it was."""
        now = self.device.contents() if self._theirs else {}
        changed = [name for name, content in self._theirs.items() if now.get(name) != content]
        assert not changed, f"changed what is not ours: {changed}"

    def check_moments(self, moments: Sequence[Moment]) -> None:
        """From the first moment to the last nothing dangles, and nothing is let through that neither of these two lets through.

        Both for a site that drops and for one that lets through what nothing of ours matches.
        """
        before, after = moments[0], moments[-1]
        verdicts = {packet: {before.verdict(packet), after.verdict(packet)} for packet in PACKETS}
        for number, moment in enumerate(moments):
            assert not list(moment.dangling()), f"after write {number}"
            for packet, ends in verdicts.items():
                now = moment.verdict(packet)
                if now is Verdict.ALLOW:
                    assert now in ends, f"{packet} is allowed after write {number}"
                assert now.stops or not all(end.stops for end in ends), f"{packet} gets through after write {number}"

    def check_told(self, texts: Iterable[str]) -> None:
        """No secret of ours is in any of these."""
        secrets = [secret for secret in self.device.secrets() if secret]
        for text in texts:
            assert not any(secret in text for secret in secrets), "a message holds a secret"

    @contextmanager
    def refused(self, *kinds: type[DeviceError]) -> Iterator[pytest.ExceptionInfo[DeviceError]]:
        """The device does not take this: one of these errors, and no secret in it or in what led to it."""
        with pytest.raises(kinds or DeviceError) as caught:
            yield caught
        self.check_error(caught.value)

    def check_error(self, error: BaseException | None) -> None:
        """No secret in the error, in its fields, or in those that it came from."""
        while error is not None:
            self.check_told((str(error), repr(error), repr(vars(error))))
            error = error.__cause__ or error.__context__

    def tried(self, adapter: Adapter, made: Plan) -> DeviceError | None:
        """Apply; the error in which it ended, its words looked at."""
        try:
            adapter.apply(made, FENCE)
        except DeviceError as error:
            self.check_error(error)
            return error
        return None


Check = TypeVar("Check", bound=Callable[..., None])


def needs(*words: str) -> Callable[[Check], Check]:
    """Leave the check out where one of these is not declared."""

    def marked(check: Check) -> Check:
        check.needs = words  # type: ignore[attr-defined]
        return check

    return marked


def _needs(check: Any, call: Any) -> Iterator[str]:  # noqa: ANN401 - pytest's own
    yield from getattr(check, "needs", ())
    for mark in getattr(check, "pytestmark", ()):
        if mark.name == "parametrize" and mark.args[0] in ("trouble", "limit"):
            name = mark.args[0]
            values = mark.args[1] if call is None else [call.params[name]]
            yield from (f"{name} {value}" for value in values)
