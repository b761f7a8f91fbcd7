"""The policy that can concern one sender, as it was recorded: parsed, with whom each rule is about and when it counts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from bridge.dialects.dialect import Context, Dialects
from bridge.errors import PolicyError
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.observed import NO_LABELS, Labels, Namespace, Pod, Service
from bridge.model.policy import ExternalService, Governance, Ref, Rule, Source, SourceKind
from bridge.model.reasons import LACKING
from bridge.policy.compiled import ClusterPolicy
from bridge.policy.evaluate import is_source
from bridge.policy.lines import source_key
from bridge.policy.select import namespace_labels, service_selects
from bridge.policy.validity import Rest, resting
from bridge.report.trace_model import Sender
from bridge.state.trace_store import Reading, Written

_ANYBODY = Source(SourceKind.CLUSTER)


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is where now, as the evaluator asks for it: about one sender, and the Services of its namespace that rules name.

    `behind_bare` says of Services without a selector whether the sender stands behind them; one of which nothing is recorded is not in it.
    """

    sender: Sender
    pod: Pod | None
    namespace: Namespace | None
    services: Mapping[str, Service] = field(default_factory=dict)
    behind_bare: Mapping[str, bool] = field(default_factory=dict)

    def holder(self, address: str) -> tuple[Pod, Namespace | None] | None:
        """The sender at its own address; nobody else is asked about."""
        if self.pod is None or address != self.sender.address:
            return None
        return self.pod, self.namespace

    def behind(self, namespace: str, service: str, pod: Pod) -> bool:
        """Whether the pod stands behind the Service, by its selector or else as recorded."""
        found = self.services.get(service)
        if found is None or namespace != pod.namespace:
            return False
        if found.selector:
            return service_selects(found.selector, pod)
        return self.behind_bare.get(service, False)

    def knows(self, source: Source) -> bool:
        """Whether it is recorded who stands behind the Service that the source is; so it is for every other source."""
        found = self.services.get(source.service) if source.kind is SourceKind.SERVICE else None
        return found is None or bool(found.selector) or found.name in self.behind_bare


@dataclass(frozen=True, slots=True)
class Policy:
    """What was written and can concern the sender. `unread`: what this version cannot read; `said`: what is wrong with last edits."""

    rules: tuple[tuple[Rule, Rest | None], ...]
    externals: Mapping[Ref, ExternalService]
    unread: tuple[Ref, ...] = ()
    said: Mapping[Ref, str] = field(default_factory=dict)

    def cluster_policy(self, cluster: str, governance: Governance, at: datetime) -> ClusterPolicy:
        """As the evaluator takes it."""
        return ClusterPolicy(cluster, governance, tuple(rule for rule, _ in self.rules), self.externals, at=at)


def policy_of(
    reading: Reading,
    cluster: str,
    namespace: Namespace | str,
    dialects: Dialects,
    governance: Governance,
    at: datetime | None,
    now: datetime,
    as_of: datetime | None = None,
) -> Policy:
    """The policy of the cluster and of that namespace: rules of others can never be about the sender.

    It is that of `as_of` where told, which a device in a freeze keeps to; whether a rule counts by its times is of `at` all the same.
    """
    name = namespace if isinstance(namespace, str) else namespace.name
    annotations = NO_LABELS if isinstance(namespace, str) else namespace.annotations

    def around(asked: str) -> Labels:
        return annotations if asked == name else NO_LABELS

    context = Context(governance.pod_ranges, annotations=around)
    rules: list[Rule] = []
    externals: dict[Ref, ExternalService] = {}
    unread: list[Ref] = []
    said = {}

    def take(written: Sequence[Written]) -> None:
        for one in written:
            if not one.ok and one.message and one.reason not in LACKING:
                said[one.ref] = f"{one.reason}: {one.message}"
            try:
                found = dialects.read(one.accepted, context) if one.accepted is not None else None
            except PolicyError:
                unread.append(one.ref)
                continue
            if isinstance(found, Rule):
                rules.append(found)
            elif isinstance(found, ExternalService):
                externals[one.ref] = found

    take(reading.written(cluster, name, as_of or at))
    elsewhere = {ref for rule in rules for ref in rule.destinations if ref not in externals}
    take(reading.written_as(cluster, sorted(elsewhere), as_of or at))
    timed = tuple((rule, resting(rule.validity, at or now)) for rule in rules)
    return Policy(timed, externals, tuple(unread), said)


def scenes_of(
    reading: Reading, senders: Sequence[Sender], namespace: Namespace | None, policy: Policy
) -> dict[str, Scene]:
    """Everything that selection needs to know now of these senders, all of one namespace; by their addresses."""
    known = [one for one in senders if one.pod]
    if not known:
        return {one.address: Scene(one, None, None) for one in senders}
    cluster, place = known[0].cluster, known[0].namespace
    pods = reading.pods(cluster, {one.uid for one in known})
    names = {rule.source.service for rule, _ in policy.rules if rule.source.kind is SourceKind.SERVICE}
    services = reading.services(cluster, place, sorted(names)) if names else {}
    # EndpointSlices are not recorded, but the members that they made of a group are.
    bare = {
        ObjectKey(Kind.GROUP, cluster, Scope.SERVICE, place, name) for name, one in services.items() if not one.selector
    }
    there = reading.groups(cluster, bare, None) if bare else set()
    members = reading.members(cluster, there, [one.address for one in senders], None) if there else {}

    def behind(sender: Sender) -> dict[str, bool]:
        return {key.name: (key, sender.address) in members for key in there}

    return {one.address: Scene(one, pods.get(one.uid), namespace, services, behind(one)) for one in senders}


def sources_now(policy: Policy, scene: Scene) -> dict[Ref, bool | None]:
    """Of each rule whether the sender is one of its, by labels and selectors; None where that is not recorded."""
    return {
        rule.ref: is_source(rule, scene, scene.sender.address) if scene.knows(rule.source) else None
        for rule, _ in policy.rules
    }


def sources_then(
    reading: Reading, policy: Policy, senders: Sequence[Sender], namespace: Namespace | None, at: datetime
) -> dict[str, dict[Ref, bool | None]]:
    """The same for the past, of senders of one namespace, by their addresses: labels of pods are not kept, but who was in the group that
    the rule's source was. None where there was no such group: a rule that no device was to hold.
    """
    if not senders:
        return {}
    cluster = senders[0].cluster
    keys = {rule.ref: source_key(cluster, rule) for rule, _ in policy.rules}
    there = reading.groups(cluster, keys.values(), at)
    members = reading.members(cluster, there, [one.address for one in senders], at)

    def selected(rule: Rule, sender: Sender) -> bool | None:
        key, plain = keys[rule.ref], _by_place(rule.source, sender, namespace)
        return plain if plain is not None or key not in there else (key, sender.address) in members

    return {one.address: {rule.ref: selected(rule, one) for rule, _ in policy.rules} for one in senders}


def widened(policy: Policy, sources: Mapping[Ref, bool | None]) -> Policy:
    """The rules that are about the sender, said as rules about everybody: for the evaluator, where labels are not known any more."""
    chosen = tuple((replace(rule, source=_ANYBODY), rest) for rule, rest in policy.rules if sources[rule.ref])
    return replace(policy, rules=chosen)


def _by_place(source: Source, sender: Sender, namespace: Namespace | None) -> bool | None:
    """What a lease and the labels of the namespace decide by themselves; None where it takes the pod's labels, or its Services."""
    if source.whole_cluster:
        return True
    if not sender.pod:
        return False if source.kind is not SourceKind.PREFIXES else None
    return (
        False if False in (parts := tuple(_conditions(source, sender, namespace))) else None if None in parts else True
    )


def _conditions(source: Source, sender: Sender, namespace: Namespace | None) -> Iterator[bool | None]:
    yield not source.service_accounts or f"{sender.namespace}/{sender.service_account}" in source.service_accounts
    if source.kind is SourceKind.CLUSTER:
        requirements = source.namespaces.requirements
        yield None if requirements and namespace is None else _selected(source, namespace)
    else:
        yield source.namespace == sender.namespace
    yield True if source.kind in (SourceKind.NAMESPACE, SourceKind.CLUSTER) and not source.pods.requirements else None


def _selected(source: Source, namespace: Namespace | None) -> bool:
    return namespace is None or source.namespaces.matches(namespace_labels(namespace))
