"""A BIG-IP with AFM behind iControl REST, as the adapter contract wants it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from adapters.bigip import abilities, canonical, resolver, wire
from adapters.bigip.attach import Slots
from adapters.bigip.client import Client, Refusal
from adapters.bigip.domains import Domains
from adapters.bigip.examination import ending, examine
from adapters.bigip.fence import Keeper
from adapters.bigip.flows import Connections
from adapters.bigip.known import Known
from adapters.bigip.names import Names
from adapters.bigip.pair import Pair
from adapters.bigip.reading import Found, Reader, compiled, places, schedules, serial
from adapters.bigip.records import LONG_NAMES, Records
from adapters.bigip.scope import Scope, problems
from adapters.bigip.tokens import Tokens
from adapters.bigip.transaction import Transactions
from adapters.bigip.transport import Transport
from adapters.bigip.writer import Writer
from adapters.bigip.writes import rest
from bridge.contract import DeviceConfig
from bridge.errors import DeviceError, NotOwned, Rejected
from bridge.model.capabilities import Capabilities, Limits
from bridge.model.examination import Finding
from bridge.model.flows import Flow
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, FenceState, Foreign, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.policy import Tier

_OCCUPIED = "stands under the name of a record of ours without our mark"


class BigipAdapter:
    """One BIG-IP. Remembers from read to write which objects carry our mark; used by one thread at a time."""

    def __init__(self, config: DeviceConfig, tenant: str = "") -> None:
        self._config = config
        self._scope = scope = Scope.of(config)
        self._names = Names(config.owner, tenant)
        self._client = _client(config, scope)
        self._pair = Pair(self._client, scope.ha, config.timeout) if scope.ha else None
        self._unsaved = True
        self._known = Known(self._names, Domains(self._client, scope.route_domain), scope.fqdn)
        self._records = Records(self._client, self._names)
        self._connections = Connections(self._client, self._known.domains.now)
        self._keeper = Keeper(config.name, self._records, self._known)
        self._slots = Slots(self._client, self._names, scope.slots)
        transactions = Transactions(self._client, config.timeout)
        self._writer = Writer(self._client, self._records, transactions, self._known, self._scope.transaction_size)

    @property
    def device(self) -> str:
        """The device's name in the settings."""
        return self._config.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can express and guarantee."""
        return abilities.capabilities(self._scope)

    @property
    def limits(self) -> Limits:
        """How much it takes."""
        return abilities.limits(self._config)

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return self._client.calls

    def normalize(self, intent: Intent) -> Objects:
        """The intent as `read` would report it, attachments added where the settings ask for them."""
        return canonical.normalize(intent, self._scope)

    def attach_hint(self, tier: Tier) -> str:
        """The one line by which a person attaches our policy of this tier."""
        return self._slots.hint(tier)

    def read(self, scope: ReadScope) -> Snapshot:
        """Everything of ours, or the named objects. A full read takes one call per page of each kind and seven to ten more."""
        if self._pair:
            self._follow(self._pair, whole=scope.everything)
        fence, foreign = self._read_fence()
        if scope.keys is not None:
            return self._read_named(scope.keys, fence, foreign)
        foreign += self._read_index()
        self._known.domains.forget()
        found = self._reader().everything()
        timed = schedules(self._reader(), self._known, wanted=self._scope.schedules)
        found.objects.update(timed.objects)
        self._known.owned = set(found.objects)
        standing = places(self._slots, found)
        attached = standing.attached(found.objects, self._names)
        if self._scope.attach:
            found.objects.update(standing.attachments(self._names))
        return Snapshot(
            self.device,
            found.objects,
            tuple(foreign + found.foreign + timed.foreign),
            fence,
            identity=self._pair.identity() if self._pair else serial(self._client),
            attached=attached,
            attach_by={
                tier: self._slots.advice(tier, standing.holders.get(tier, ""))
                for tier, reachable in attached.items()
                if not reachable
            },
            active=self.active(),
        )

    def active(self) -> bool:
        """Whether everything stored is compiled; False as long as the device does not say so."""
        if not self._scope.activation:
            return True
        try:
            statistics = self._client.find(self._scope.activation, wire.Statistics)
        except DeviceError:
            return False
        return statistics is not None and compiled(statistics)

    def raise_fence(self, fence: Fence) -> None:
        """Write the epoch and the installation into the fence object; nothing when they stand there already."""
        self._begin()
        self._keeper.raise_to(fence)

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        """A description each, and the record of long names where one is new."""
        self._begin()
        if self._known.indexed is None:
            self._read_index()
        for key in sorted(keys):
            self._remember(key, fence)
            reader = self._reader()
            raw = reader.raw(key)
            if raw is None or reader.one(key, raw) is not None:
                continue
            self._keeper.check(fence)
            path = rest(self._known.translator(), key)
            try:
                self._client.call("PATCH", path, {"description": self._names.mark(key)})
            except Refusal as refusal:
                raise Rejected(self.device, {str(key): refusal.text}) from None

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """Phase by phase; attachments are taken out before their policy goes and put in after it came.

        The fence is looked at before each write or transaction: a long plan must not outlive a take-over.
        """
        active = not self.capabilities.compiles_later
        if plan.empty:
            return Outcome({}, active)
        calls = self._client.calls
        self._begin()
        observed: dict[ObjectKey, DeviceObject | None] = {}
        refused: dict[ObjectKey, str] = {}
        for phase in plan.phases:
            slots = [step for step in phase if step.key.kind is Kind.ATTACHMENT]
            others = [step for step in phase if step.key.kind is not Kind.ATTACHMENT]
            if slots:
                self._keeper.check(fence)
            self._move((step for step in slots if step.op is Op.DELETE), observed, refused)
            observed.update(self._writer.phase(others, lambda: self._keeper.check(fence)))
            self._move((step for step in slots if step.op is not Op.DELETE), observed, refused)
        if self._pair:
            self._pair.check()
        return Outcome(observed, active, refused, self._client.calls - calls)

    def save(self) -> None:
        """Write the running configuration to disk, and bring it to the other units. Slow on a real device: the caller does it seldom."""
        if self._unsaved:
            try:
                self._client.call("POST", "sys/config", {"command": "save"}, repeatable=True)
            except Refusal as refusal:
                raise self._client.denied("sys/config", refusal) from None
            self._unsaved = False
        if self._pair:
            self._pair.bring()

    def examine(self) -> Sequence[Finding]:
        """Nine calls and the login, three more where rules end by themselves; of several units, the active one."""
        if self._pair:
            self._follow(self._pair, whole=False)
        found = list(examine(self._client, self._config.credentials, schedules=self._scope.schedules))
        if self._pair:
            found.append(self._pair.examined())
        if self._scope.fqdn:
            found.append(resolver.examined(self._client))
        if self._scope.schedules:
            found.extend(ending(self._client, self._scope.activation))
        return found

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:
        """One call for each address."""
        return list(self._connections.of(sources))

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:
        """Two calls for each, and those that look at the fence."""
        if flows:
            self._keeper.check(fence)
        return sum(map(self._connections.close, flows))

    def close(self) -> None:
        """Give back the token and the connection."""
        self._client.close()

    def _follow(self, pair: Pair, *, whole: bool) -> None:
        if pair.follow():
            self._known.forget()
        if whole:
            pair.reads_whole()

    def _begin(self) -> None:
        """Before something is written: to the unit that carries the traffic, and to no other."""
        self._unsaved = True
        if self._pair:
            self._pair.check()
            self._pair.begin()

    def _read_named(self, keys: frozenset[ObjectKey], fence: FenceState, foreign: list[Foreign]) -> Snapshot:
        if self._known.indexed is None:
            foreign += self._read_index()
        slots = {key for key in keys if key.kind is Kind.ATTACHMENT}
        found = self._reader().named(keys - slots)
        self._known.owned = (self._known.owned - keys) | found.objects.keys()
        if slots and self._scope.attach:
            standing = places(self._slots, Found()).attachments(self._names)
            found.objects.update({key: one for key, one in standing.items() if key in slots})
        active = not self.capabilities.compiles_later
        return Snapshot(
            self.device, found.objects, tuple(foreign + found.foreign), fence, active=active, complete=False
        )

    def _remember(self, key: ObjectKey, fence: Fence) -> None:
        """A long name leads back to its key by the record only."""
        name = self._names.name(key)
        if not self._names.is_long(key) or name in self._known.index:
            return
        self._keeper.check(fence)
        records = self._records.write(LONG_NAMES, {**self._known.index, name: str(key)}, new=not self._known.indexed)
        self._known.learn_index(records)

    def _read_fence(self) -> tuple[FenceState, list[Foreign]]:
        try:
            return self._keeper.read(), []
        except NotOwned as error:
            return FenceState(), [Foreign(path, _OCCUPIED) for path in error.names]

    def _read_index(self) -> list[Foreign]:
        try:
            self._known.learn_index(self._records.read(LONG_NAMES))
        except NotOwned as error:
            self._known.learn_index(None)
            return [Foreign(path, _OCCUPIED) for path in error.names]
        return []

    def _reader(self) -> Reader:
        return Reader(self._client, self._known.translator())

    def _move(
        self, steps: Iterable[Step], observed: dict[ObjectKey, DeviceObject | None], refused: dict[ObjectKey, str]
    ) -> None:
        for step in steps:
            observed[step.key], why = self._slots.apply(step)
            if why:
                refused[step.key] = why


class BigipFactory:
    """Opens adapters for devices of the kind `bigip`."""

    kind = "bigip"

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        """As the adapter would say."""
        return abilities.capabilities(Scope.of(config))

    def limits(self, config: DeviceConfig) -> Limits:
        """As the adapter would say."""
        return abilities.limits(config)

    def problems(self, config: DeviceConfig) -> dict[str, str]:
        """What is wrong with the settings, by path."""
        return problems(config)

    def open(self, config: DeviceConfig) -> BigipAdapter:
        """An adapter; no call is made before the first read."""
        return BigipAdapter(config)


def _client(config: DeviceConfig, scope: Scope) -> Client:
    """A client of every unit, each with a login of its own; the one in `url` comes first."""
    peers = scope.ha.peers if scope.ha else ()
    transports = [Transport(replace(config, url=url)) for url in (config.url, *peers)]
    provider, seconds = scope.provider, scope.token_seconds
    units = [(one, Tokens(one, config.credentials, provider=provider, seconds=seconds)) for one in transports]
    return Client(*units[0], scope.page_size, config.permit, units[1:])
