"""Rules as a person reads a firewall policy: in the order in which devices ask them, each with its state on each device."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query

from bridge.api import named
from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Document, Json, Page, answers
from bridge.api.paging import Limit, Place, cut, parts
from bridge.api.parameters import OfCluster, OfDevice, OfNamespace, words
from bridge.api.routes.groups import id_of
from bridge.api.site import Site
from bridge.dialects.dialect import Context, Dialects, Policy
from bridge.errors import PolicyError
from bridge.feedback.feedback import FeedbackSettings
from bridge.feedback.standing import Asked as Judging
from bridge.feedback.standing import Standing, Standings, Unsettled
from bridge.feedback.wording import text
from bridge.model.kinds import BY_REF
from bridge.model.observed import NO_LABELS, PolicyObject
from bridge.model.policy import ExternalService, Ref, Rule, Tier, Validity
from bridge.model.reasons import Reason
from bridge.policy.lines import source_key
from bridge.policy.validity import resting
from bridge.report.conditions import source_words, window_words
from bridge.report.destination import traffic_text
from bridge.report.trace import Site as TracedSite
from bridge.state.rule_store import BEGINNING, Chosen, Order, RuleReading, RuleStore, Written

router = APIRouter(tags=["rules"])

_SHOWN = 20  # addresses, and names, of one destination
# What waits for less is nobody's news, as in feedback: pods come and go all the time.
_PATIENCE = timedelta(seconds=FeedbackSettings().patience)


class Destination(Document, frozen=True):
    """An external service that a rule names: some of its addresses and names, of which `more` are left out, and the traffic it takes.

    `known`: it is there, and can be read.
    """

    object: str
    namespace: str
    name: str
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    more: int = 0
    traffic: tuple[str, ...] = ()
    known: bool = True


class RuleOnDevice(Document, frozen=True):
    """A rule on one device: a word of status, and the device's own words where there are any."""

    device: str
    state: Reason
    message: str


class When(Document, frozen=True):
    """When a rule counts. `resting` is why it does not count now, NotYet, Expired or OutsideWindow; "" when it does."""

    not_before: datetime | None = None
    not_after: datetime | None = None
    windows: tuple[str, ...] = ()
    resting: str = ""
    message: str = ""


class PolicyRule(Document, frozen=True):
    """A rule. What follows `in_force` is of the version in force, the generation of that number; null: no version ever was accepted.

    `source` says who it is about, `group` is the id of the group of those, "" where nobody recorded who they are. `accepted` is about the
    last edit, with `reason` and `message`. No `devices`: none is in its scope.
    """

    object: str
    cluster: str
    tier: Tier
    kind: str
    namespace: str
    name: str
    generation: int
    accepted: bool
    reason: str
    message: str
    changed_at: datetime
    in_force: int | None
    action: str = ""
    priority: int | None = None
    source: str = ""
    group: str = ""
    destinations: tuple[Destination, ...] = ()
    log: bool = False
    accept_shared: bool = False
    when: When = When()
    devices: tuple[RuleOnDevice, ...] = ()


@router.get("/rules", responses=answers(Page[PolicyRule], 404))
def rules(
    site: Asked,
    _: Viewer,
    cluster: OfCluster = None,
    namespace: OfNamespace = None,
    tier: Annotated[Tier | None, Query(description="Of this tier.")] = None,
    device: OfDevice = None,
    q: Annotated[str, words("A part of a name, of a Service or of a destination, in capitals or not.")] = "",
    limit: Limit = 50,
    page: Place = "",
) -> Json:
    """Rules by tier, cluster, namespace and priority."""
    chosen = Chosen(named.cluster(site, cluster), namespace or None, tier, named.device(site, device), q)
    return Json(listed(site, limit, page, chosen))


def listed(site: Site, limit: int = 50, page: str = "", chosen: Chosen | None = None) -> Page[PolicyRule]:
    """Rules in the order in which devices ask them. Raises Wrong."""
    after = _order(page)
    with RuleStore(site.database).reading() as reading:
        found = reading.rules(limit + 1, after, chosen)
        rows, following = cut(found, limit, lambda row: row.order)
        told: dict[Order, PolicyRule] = {}
        for cluster in dict.fromkeys(row.cluster for row in rows):
            told.update(_of(site, reading, cluster, [row for row in rows if row.cluster == cluster]))
    return Page(rows=tuple(told[row.order] for row in rows), next=following)


def _order(page: str) -> Order:
    place = parts(page, int, str, str, int, int, int, str, str)
    if place is None:
        return BEGINNING
    rank, cluster, namespace, priority, sequence, action, name, kind = place
    numbers = [min(max(int(one), -1), 2**31 - 1) for one in (rank, priority, action)]
    return numbers[0], str(cluster), str(namespace), numbers[1], int(sequence), numbers[2], str(name), str(kind)


# ---- the rules of one cluster


def _of(site: Site, reading: RuleReading, cluster: str, rows: Sequence[Written]) -> Iterator[tuple[Order, PolicyRule]]:
    traced = site.traced.get(cluster)
    reader = _Reader(traced.dialects, _context(traced, reading, cluster, rows)) if traced else None
    read = {row.ref: reader.rule(row.accepted) for row in rows} if reader else {}
    wanted = sorted({ref for rule in read.values() if rule is not None for ref in rule.destinations})
    externals = reading.accepted(cluster, wanted)
    services = {ref: reader.service(one) for ref, one in externals.items()} if reader else {}
    sources = {ref: source_key(cluster, rule) for ref, rule in read.items() if rule is not None}
    listed = reading.groups(cluster, sources.values())
    placed = reading.placed(cluster, [row.ref for row in rows])
    now = datetime.now(UTC)
    standings = Standings(reading.picture(cluster, placed), now, _PATIENCE)
    for row in rows:
        judging = Judging(fresh=True, since=row.changed_at)
        devices = (_on_device(one.device, standings.of(row.ref, one, judging)) for one in placed.get(row.ref, ()))
        rule, key = read.get(row.ref), sources.get(row.ref)
        group = {"group": id_of(key)} if key in listed else {}
        yield row.order, _told(row, tuple(devices), _meaning(rule, services, now) | group if rule else {})


def _context(traced: TracedSite, reading: RuleReading, cluster: str, rows: Sequence[Written]) -> Context:
    """What dialects may know beside the rule."""
    if not traced.dialects.namespace_annotations:
        return Context(traced.governance.pod_ranges)
    known = reading.annotations(cluster, {row.ref.namespace for row in rows})
    return Context(traced.governance.pod_ranges, annotations=lambda namespace: known.get(namespace, NO_LABELS))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Makes sense of versions in force; None for what this program cannot read."""

    dialects: Dialects
    context: Context

    def rule(self, written: PolicyObject | None) -> Rule | None:
        found = self._read(written) if written is not None else None
        return found if isinstance(found, Rule) else None

    def service(self, written: PolicyObject) -> ExternalService | None:
        found = self._read(written)
        return found if isinstance(found, ExternalService) else None

    def _read(self, written: PolicyObject) -> Policy | None:
        try:
            return self.dialects.read(written, self.context)
        except PolicyError:
            return None


def _told(row: Written, devices: tuple[RuleOnDevice, ...], meaning: Mapping[str, Any]) -> PolicyRule:
    kind = BY_REF[row.ref.kind]
    return PolicyRule(
        object=str(row.ref),
        cluster=row.cluster,
        tier=kind.tier or Tier.SERVICE,
        kind=row.ref.kind,
        namespace=row.ref.namespace,
        name=row.ref.name,
        generation=row.generation,
        accepted=row.ok,
        reason=row.reason,
        message=row.message,
        changed_at=row.changed_at,
        in_force=row.accepted.generation if row.accepted else None,
        devices=devices,
        **meaning,
    )


def _on_device(device: str, one: Standing | Unsettled) -> RuleOnDevice:
    """What feedback would not tell yet is on its way."""
    if isinstance(one, Unsettled):
        return RuleOnDevice(device=device, state=Reason.PENDING, message=text(Reason.PENDING))
    message = one.words if one.reason is Reason.PROGRAMMED else text(one.reason, one.words)
    return RuleOnDevice(device=device, state=one.reason, message=message)


def _meaning(rule: Rule, services: Mapping[Ref, ExternalService | None], now: datetime) -> dict[str, Any]:
    """The fields that tell of the version in force."""
    return {
        "action": rule.action.value,
        "priority": rule.priority,
        "source": source_words(rule.source),
        "destinations": tuple(_destination(ref, services.get(ref)) for ref in rule.destinations),
        "log": rule.log,
        "accept_shared": rule.accept_shared,
        "when": _when(rule.validity, now),
    }


def _destination(ref: Ref, service: ExternalService | None) -> Destination:
    if service is None:
        return Destination(object=str(ref), namespace=ref.namespace, name=ref.name, known=False)
    shown = service.addresses[:_SHOWN], service.fqdns[:_SHOWN]
    return Destination(
        object=str(ref),
        namespace=ref.namespace,
        name=ref.name,
        addresses=shown[0],
        names=shown[1],
        more=len(service.addresses) + len(service.fqdns) - len(shown[0]) - len(shown[1]),
        traffic=tuple(traffic_text(one) for one in service.traffic),
    )


def _when(validity: Validity, now: datetime) -> When:
    rest = resting(validity, now)
    return When(
        not_before=validity.not_before,
        not_after=validity.not_after,
        windows=tuple(sorted(window_words(one) for one in validity.windows)),
        resting=str(rest.reason) if rest else "",
        message=rest.message if rest else "",
    )
