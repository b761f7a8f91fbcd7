"""A FortiGate behind its REST API, as the adapter contract wants it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from adapters.fortigate import sessions
from adapters.fortigate.canonical import RULES, UNUSED, normalize
from adapters.fortigate.client import Client, Refusal, place
from adapters.fortigate.examination import examine
from adapters.fortigate.feeds_moves import Moves
from adapters.fortigate.feeds_pushed import Feeds
from adapters.fortigate.fence import Keeper
from adapters.fortigate.known import Known
from adapters.fortigate.names import NAME_LENGTH, Names
from adapters.fortigate.reading import Reader
from adapters.fortigate.rows import POLICY, Rows
from adapters.fortigate.scope import Scope, problems
from adapters.fortigate.transactions import Transactions
from adapters.fortigate.transport import Transport
from adapters.fortigate.unit import Unit, look
from adapters.fortigate.writer import Writer
from bridge.contract import DeviceConfig
from bridge.errors import Denied, NotOwned, Rejected
from bridge.model.capabilities import Capabilities, Form, Limits
from bridge.model.examination import Finding
from bridge.model.flows import Flow
from bridge.model.identity import ObjectKey
from bridge.model.intent import Attachment, DeviceObject, FenceState, Foreign, Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.policy import Tier
from bridge.model.tiers import attachment

_SOURCES = {
    Tier.CLUSTER: "cluster__<rule> (builtin__pod-ranges where it is about the whole cluster)",
    Tier.NAMESPACE: "namespace_<namespace> (rule_<namespace>_<rule> where it selects pods)",
    Tier.SERVICE: "service_<namespace>_<service>",
}
_OCCUPIED = "stands under the name of our fence without our mark"


class FortigateAdapter:
    """One VDOM of a FortiGate. Remembers the tables as they were last read; used by one thread at a time."""

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self._scope = scope = Scope.of(config)
        self._names = Names(config.owner)
        self._client = Client(Transport(config), scope.vdom, config.permit)
        self._feeds = Feeds(self._client, self._names, scope.feeds.renew) if scope.feeds else None
        feeds = self._feeds
        rows = Rows(self._names, scope, feeds.used, feeds.torn) if feeds else Rows(self._names, scope)
        self._reader = Reader(self._client, self._names, scope, self._feeds)
        self._keeper = Keeper(self._client, self._names)
        self._transactions = Transactions(self._client, self._keeper, scope.transaction_seconds)
        keeper = self._keeper
        self._writer = Writer(self._client, self._reader, self._transactions, self._names, scope, rows, keeper)
        self._moves = Moves(self._client, self._reader, self._feeds, rows, keeper.check) if self._feeds else None
        self._unit = Unit("")
        self._known: Known | None = None

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
        given = replace(_limits(self._config, self._scope), batch=self._writer.batch)
        return self._unit.limits(given) if self._unit.serial else given

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return self._client.calls

    def normalize(self, intent: Intent) -> Objects:
        """The intent as `read` would report it, attachments added where the settings ask for them."""
        return normalize(intent, self._scope, self._names)

    def attach_hint(self, tier: Tier) -> str:
        """The one line by which a person puts our rules of this tier in force."""
        if not self._scope.policies:
            own = self._names.prefix
            target = f"{own}<cluster>_external_<namespace>_<destination>"
            return (
                f"people write the policies here, and name our groups in them: srcaddr {own}<cluster>_{_SOURCES[tier]}, dstaddr {target} "
                f"({own}<cluster>_clusterexternal__<destination> for one of the cluster), service {target}.<protocol>_<protocol>"
            )
        side = "before" if self._scope.before else "after"
        return f"the {tier} rules stand disabled {side} policy {self._scope.anchor}; set attach: {{mode: ifEmpty}} for this device"

    def read(self, scope: ReadScope) -> Snapshot:
        """Everything of ours, or the named objects. A full read takes a call for each of five to eight tables."""
        fence, foreign = self._read_fence()
        known = self._known
        if known is None or scope.everything:
            known = self._loaded()
        elif scope.keys is not None:
            self._known = None  # until it is read anew
            self._reader.named(known, scope.keys)
            self._known = known
        objects = known.snapshot()
        if scope.keys is not None:
            objects = {key: objects[key] for key in scope.keys if key in objects}
        attached = {tier: attachment(tier).key in known.rules for tier in Tier}
        shown = {key: one for key, one in objects.items() if self._scope.attach or not isinstance(one, Attachment)}
        return Snapshot(
            self.device,
            shown,
            tuple(foreign + known.foreign),
            fence,
            identity=self._unit.identity(self._scope.units, self._scope.vdom),
            attached=attached,
            attach_by={tier: self.attach_hint(tier) for tier, there in attached.items() if not there},
            complete=scope.everything,
        )

    def active(self) -> bool:
        """What is written is enforced."""
        return True

    def raise_fence(self, fence: Fence) -> None:
        """Write the epoch and the installation into the fence; nothing when they stand there already."""
        self._transactions.through_locks(lambda: self._keeper.raise_to(fence))

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        """A comment each."""
        known = self._known or self._loaded()
        self._known = None
        for key in sorted(keys):
            for spot in known.forms.places(key):
                if spot not in known.strange:
                    continue
                self._keeper.check(fence)
                try:
                    self._client.write("PUT", place(*spot), {"comment": self._names.mark(str(key))})
                except Refusal as refusal:
                    raise Rejected(self.device, {str(key): refusal.text}) from None
            if self._feeds is not None:
                self._feeds.adopt(key, lambda: self._keeper.check(fence))

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """Phase by phase. What is written is read back; what a phase made of shared addresses and services is taken at the unit's word."""
        if plan.empty:
            return Outcome({})
        calls = self._client.calls
        known = self._known or self._loaded()
        self._known = None  # unless all goes well
        self._writer.own(plan.steps, known)
        if self._moves is not None:
            self._moves.begin(plan.steps)
        self._check_anchor(plan, known)
        observed: dict[ObjectKey, DeviceObject | None] = {}
        for phase in plan.phases:
            observed.update(self._phase(phase, known, fence))
        refused: dict[ObjectKey, str] = {}
        if self._moves is not None:
            observed.update(self._moves.finish(known))
            refused = self._moves.refused()
        self._known = known
        return Outcome(observed, refused=refused, calls=self._client.calls - calls)

    def _phase(self, phase: Sequence[Step], known: Known, fence: Fence) -> Mapping[ObjectKey, DeviceObject | None]:
        if self._moves is None:
            return self._writer.phase(phase, known, fence)
        return self._moves.phase(phase, known, fence, lambda steps: self._writer.phase(steps, known, fence))

    def save(self) -> None:
        """FortiOS saves by itself, unless somebody has set it otherwise."""

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:
        """Those with ports of our VDOM: a call for each source and thousand sessions of it."""
        return sessions.flows(self._client, sources)

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:
        """One by one; the fence is looked at first, and before each."""
        if flows:
            self._keeper.check(fence)
        return sessions.close(self._client, flows, lambda: self._keeper.check(fence))

    def examine(self) -> Sequence[Finding]:
        """A dozen calls, each a read."""
        return list(examine(self._client, self._scope))

    def close(self) -> None:
        """End the connection."""
        self._client.close()
        self._known = None

    def _loaded(self) -> Known:
        self._known = None
        self._look()
        known = self._reader.everything()
        known.kept |= self._writer.kept
        self._known = known
        return known

    def _look(self) -> None:
        """Who answers; Denied where nothing is to be written there. A unit that takes no pushed feeds has its groups as objects."""
        self._unit = unit = look(self._client, self._scope.acknowledged)
        objections = list(unit.objections(self._scope.acknowledged, policies=self._scope.policies))
        if objections:
            raise Denied(self.device, "; ".join(objections))
        feeds = self._scope.feeds
        if feeds is not None and feeds.most and not unit.pushes:
            self._scope = replace(self._scope, feeds=replace(feeds, most=0))

    def _read_fence(self) -> tuple[FenceState, list[Foreign]]:
        try:
            return self._keeper.read(), []
        except NotOwned as error:
            return FenceState(), [Foreign(name, _OCCUPIED) for name in error.names]

    def _check_anchor(self, plan: Plan, known: Known) -> None:
        """Without the policy next to which our block stands nobody knows what it would come before: rules are held, nothing is written."""
        steps = [step for step in plan.steps if step.key.kind in RULES]
        if not steps:
            return
        self._reader.rules(known)  # as they stand now, for others move policies too
        steps = [step for step in steps if step.op is not Op.DELETE]
        if steps and known.anchor is None:
            self._known = known
            why = f"{POLICY} {self._scope.anchor}, next to which our policies stand, is not there: nothing is written until it is"
            raise Rejected(self.device, {str(step.key): why for step in steps})


class FortigateFactory:
    """Opens adapters for devices of the kind `fortigate`."""

    kind = "fortigate"

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        """As the adapter would say."""
        return _capabilities(Scope.of(config))

    def limits(self, config: DeviceConfig) -> Limits:
        """As the adapter would say."""
        return _limits(config, Scope.of(config))

    def problems(self, config: DeviceConfig) -> dict[str, str]:
        """What is wrong with the settings, by path."""
        return problems(config)

    def open(self, config: DeviceConfig) -> FortigateAdapter:
        """An adapter; no call is made before the first read."""
        return FortigateAdapter(config)


def _capabilities(scope: Scope) -> Capabilities:
    return Capabilities(
        form=Form.FLAT,
        fqdn=True,
        wildcards=scope.wildcards,
        ipv6=scope.ipv6,
        icmp_types=True,
        protocols=True,
        atomic=scope.transactions and scope.feeds is None,  # no transaction holds what is pushed
        close_flows=True,
        schedules=scope.zone is not None,
    )


def _limits(config: DeviceConfig, scope: Scope) -> Limits:
    return Limits(
        group_members=scope.group_members,
        shard_members=scope.shard_members,
        name_length=NAME_LENGTH,
        batch=scope.transaction_size,
        feeds=scope.feeds.most if scope.feeds else 0,
        feed_entries=scope.feeds.entries if scope.feeds else None,
        calls_in_flight=1,
        call_seconds=config.timeout,
    )


__all__ = ["UNUSED", "FortigateAdapter", "FortigateFactory"]
