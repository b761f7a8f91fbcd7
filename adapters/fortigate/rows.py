"""Rule lists and policies as one block of FortiOS policies, and back. Pure.

FortiOS has one ordered list. In it stands, for each tier, a header, then its rule lists in their order, each a header and its lines; lists
that no tier names stand behind. Headers match nothing: their source is the address of no host. Which of our objects a policy belongs to
stands in its comments. The status says the rest: a tier's header is enabled while its policy is attached, a list's header while its tier
names it, and a line only while both are. So everything can be built, verified and read before any of it decides a packet.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from adapters.fortigate import feeds, schedules
from adapters.fortigate.addresses import ADDRESS, ADDRESS6, NOTHING
from adapters.fortigate.names import Names
from adapters.fortigate.schedules import SCHEDULE
from adapters.fortigate.scope import ALWAYS, Scope
from adapters.fortigate.services import ANY, PORTED, SERVICE, traffic, words
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import RuleEntry
from bridge.model.policy import Action
from bridge.model.schedules import until_of

Json = dict[str, Any]

POLICY = "firewall/policy"
UNSAID: Mapping[str, Any] = {
    "srcaddr-negate": "disable",
    "dstaddr-negate": "disable",
    "srcaddr6-negate": "disable",
    "dstaddr6-negate": "disable",
    "service-negate": "disable",
    "send-deny-packet": "disable",
    "nat": "disable",
    "ippool": "disable",
    "utm-status": "disable",
    "internet-service": "disable",
    "internet-service-src": "disable",
    "schedule-timeout": "disable",
}
"""What holds where we say nothing: the device's own defaults, without which a policy would mean something else."""
_LISTS = ("srcintf", "dstintf", "srcaddr", "dstaddr", "srcaddr6", "dstaddr6", "service", "poolname")
_SEPARATOR = "|"
PROFILES = ("application-list", "av-profile", "dnsfilter-profile", "ips-sensor", "webfilter-profile")


@dataclass(frozen=True, slots=True)
class Row:
    """One policy of ours: a header, or a line of a list; `live` is its status."""

    key: ObjectKey
    entry: RuleEntry | None = None
    live: bool = False

    @property
    def about(self) -> tuple[ObjectKey, str]:
        """What it is about, whatever it says of that."""
        return self.key, self.entry.name if self.entry else ""


@dataclass(frozen=True, slots=True)
class Placed:
    """One policy of ours as it stands: `number` is FortiOS's, `row` what it says, None when it is not what we would write.

    `astray` says that it stands on the wrong side of the policy that our block is anchored to; `uses` are the addresses and services that
    it names, and its schedule.
    """

    number: int
    about: tuple[ObjectKey, str]
    live: bool
    row: Row | None
    astray: bool = False
    uses: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Rows:
    """Between rows and what FortiOS keeps of them, for one owner and one template."""

    names: Names
    scope: Scope
    fed: Container[ObjectKey] = ()  # groups that policies name by their feed
    torn: Container[ObjectKey] = ()  # groups on their way from feed to objects or back, which they may name by either

    def body(self, row: Row) -> Json:
        """All that we say of a policy but where it stands."""
        entry = row.entry
        line = entry.name if entry else ""
        told = (row.key, line, entry.schedule) if entry and entry.schedule else (row.key, line) if entry else (row.key,)
        return self._content(entry) | {
            "name": self.names.policy_name(row.key, line, self.content(row) if entry else ""),
            "comments": self.names.mark(_SEPARATOR.join(map(str, told))),
            "status": "enable" if row.live else "disable",
        }

    def content(self, row: Row) -> str:
        """What a policy says but for its name and status: equal for two that decide alike."""
        return msgspec.json.encode(self._content(row.entry), order="deterministic").decode()

    def repaired(self, row: Row) -> Json:
        """All that we say of a policy, and all else that would make it mean something else."""
        profiles = dict.fromkeys(PROFILES, "")
        return {**UNSAID, **profiles, "srcaddr6": [], "dstaddr6": [], "poolname": [], **self.body(row)}

    def about(self, comments: str) -> tuple[ObjectKey, str] | None:
        """What a policy with these comments is about; None when they are no mark of ours."""
        told = self._told(comments)
        return told[:2] if told else None

    def _told(self, comments: str) -> tuple[ObjectKey, str, ObjectKey | None] | None:
        """The object, the line of it, and the schedule of that."""
        text, line, schedule = [*(self.names.marked(comments) or "").split(_SEPARATOR, 2), "", ""][:3]
        try:
            return ObjectKey.parse(text), line, ObjectKey.parse(schedule) if schedule else None
        except ValueError:
            return None

    def words(self, row: Row) -> Iterator[tuple[str, str]]:
        """The shared entries that a policy names: table and word of each."""
        if row.entry is None:
            yield from ((ADDRESS, NOTHING), (SERVICE, ANY))
            return
        if not row.entry.ports:
            yield from ((SERVICE, word) for word in words(row.entry))
        end = self._end(row.entry)
        if end:
            yield SCHEDULE, end

    def row(
        self, about: tuple[ObjectKey, str], shown: Json, keys: Mapping[str, ObjectKey], ends: Container[str]
    ) -> Row | None:
        """What a policy says; None when we would not have written it so.

        `keys` are those of our groups and ports by name, `ends` the names of our schedules.
        """
        key, line = about
        live = shown.get("status") == "enable"
        entry = self._entry(line, shown, keys) if line else None
        if line and entry is None:
            return None
        row = Row(key, entry, live)
        if entry and entry.schedule and shown.get("schedule") not in ends:
            return None
        rows = self.named_as(entry, {name for _, name in uses(shown)}, self.torn) if entry else self
        return row if same(rows.body(row), shown) else None

    def _content(self, entry: RuleEntry | None) -> Json:
        template = self.scope.template
        sides = self._sides(entry.sources, entry.destinations) if entry else self._nowhere()
        accepts = entry is not None and entry.action is Action.ALLOW
        content: Json = {
            "srcintf": _rows(template.srcintf),
            "dstintf": _rows(template.dstintf),
            **sides,
            "service": _rows(self._service_names(entry)),
            "schedule": self._schedule(entry) if accepts else ALWAYS,  # what is denied is denied at any time
            "action": "accept" if accepts else "deny",
            "logtraffic": "all" if entry and entry.log else template.logtraffic if accepts else "disable",
        }
        if accepts:
            ends = {"schedule-timeout": "enable"} if self._end(entry) else {}  # flows that are open then end too
            return content | self._inspection() | ends
        return content | {"send-deny-packet": "enable" if entry and entry.action is Action.REJECT else "disable"}

    def _schedule(self, entry: RuleEntry | None) -> str:
        end = self._end(entry)
        return self.names.shared(end) if end else self.scope.template.schedule

    def _end(self, entry: RuleEntry | None) -> str:
        """The word of what ends a line; empty where it does not end by itself."""
        key, zone = (entry.schedule if entry else None), self.scope.zone
        return schedules.word(until_of(key), zone) if key and zone else ""

    def _inspection(self) -> Json:
        template = self.scope.template
        content: Json = {"nat": "enable" if template.nat else "disable", "inspection-mode": template.inspection}
        if template.nat and template.poolname:
            content |= {"ippool": "enable", "poolname": _rows(template.poolname)}
        if template.profiles:
            content |= {"utm-status": "enable", **template.profiles}
        return content

    def _sides(self, sources: Iterable[ObjectKey], destinations: Iterable[ObjectKey]) -> Json:
        here, there = (_rows(map(self._called, side)) for side in (sources, destinations))
        six = {"srcaddr6": here, "dstaddr6": there} if self.scope.ipv6 else {}
        return {"srcaddr": here, "dstaddr": there} | six

    def named_as(self, entry: RuleEntry, names: Container[str], among: Container[ObjectKey]) -> "Rows":
        """As for a policy that names these: of the groups among some, the feed where it names that."""
        groups = (*entry.sources, *entry.destinations)
        feed = {key: feeds.name(self.names, key) in names if key in among else key in self.fed for key in groups}
        return replace(self, fed=frozenset(key for key, named in feed.items() if named))

    def _called(self, key: ObjectKey) -> str:
        return feeds.name(self.names, key) if key in self.fed else self.names.name(key)

    def _nowhere(self) -> Json:
        nothing = _rows([self.names.shared(NOTHING)])
        return {"srcaddr": nothing, "dstaddr": nothing}

    def _service_names(self, entry: RuleEntry | None) -> list[str]:
        if entry is not None and entry.ports:
            return [f"{self.names.name(entry.ports)}_{PORTED[entry.protocol]}"]
        return [self.names.shared(word) for word in (words(entry) if entry else (ANY,))]

    def _entry(self, line: str, shown: Json, keys: Mapping[str, ObjectKey]) -> RuleEntry | None:
        sources, destinations = (_keys(shown.get(side), keys) for side in ("srcaddr", "dstaddr"))
        service = self._traffic(_names(shown.get("service")), keys)
        if not sources or not destinations or service is None:
            return None
        protocol, ports, icmp, number = service
        action = Action.ALLOW if shown.get("action") == "accept" else Action.DENY
        if action is Action.DENY and shown.get("send-deny-packet") == "enable":
            action = Action.REJECT
        log, told = shown.get("logtraffic") == "all", self._told(str(shown.get("comments", "")))
        end = told[2] if told else None
        return RuleEntry(
            line, action, sources, destinations, protocol, ports, log, icmp=icmp, number=number, schedule=end
        )

    def _traffic(self, services: list[str], keys: Mapping[str, ObjectKey]) -> Any:  # noqa: ANN401
        if len(services) == 1:
            base, _, protocol = services[0].rpartition("_")
            ports = keys.get(base)
            named = next((one for one, word in PORTED.items() if word == protocol), None)
            if ports is not None and ports.kind is Kind.PORTS and named is not None:
                return named, ports, (), 0
        found = [traffic(name.removeprefix(self.names.prefix)) for name in services]
        if not found or any(one is None for one in found):
            return None
        kinds = {(one[0], one[2]) for one in found if one}
        types = tuple(sorted(kind for one in found if one for kind in one[1]))
        if len(kinds) != 1 or (len(found) > 1 and len(types) != len(found)):
            return None
        protocol, number = next(iter(kinds))
        return protocol, None, types, number


def same(body: Json, shown: Json) -> bool:
    """Whether a policy shows all that the body says of it, and nothing that would make it mean something else."""
    blank: Json = {name: [] for name in ("srcaddr6", "dstaddr6") if name not in body}
    said = all(
        sorted(_names(shown.get(name))) == sorted(_names(value)) if name in _LISTS else shown.get(name) == value
        for name, value in {**body, **blank}.items()
    )
    return said and all(name in body or shown.get(name, value) == value for name, value in UNSAID.items())


def uses(shown: Json) -> frozenset[tuple[str, str]]:
    """The addresses, the services and the schedule that a policy names, each with its table."""
    tables = {"srcaddr": ADDRESS, "dstaddr": ADDRESS, "srcaddr6": ADDRESS6, "dstaddr6": ADDRESS6, "service": SERVICE}
    found = {(table, name) for side, table in tables.items() for name in _names(shown.get(side))}
    return frozenset({*found, (SCHEDULE, str(shown.get("schedule", "")))})


def _rows(names: Iterable[str]) -> list[Json]:
    return [{"name": name} for name in names]


def _names(shown: object) -> list[str]:
    return [str(one.get("name")) for one in shown if isinstance(one, dict)] if isinstance(shown, list) else []


def _keys(shown: object, keys: Mapping[str, ObjectKey]) -> tuple[ObjectKey, ...]:
    """The groups that a side names; none where one of them is not ours."""
    found = [keys.get(name) for name in _names(shown)]
    groups = [key for key in found if key is not None and key.kind is Kind.GROUP]
    return tuple(sorted(groups)) if len(groups) == len(found) else ()
