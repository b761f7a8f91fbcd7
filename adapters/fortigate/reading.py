"""Reading: what of the unit's tables is ours, and the names of what only looks so."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from adapters.fortigate import addresses, schedules, services, wire
from adapters.fortigate.addresses import ADDRESS, ADDRESS6, FENCE
from adapters.fortigate.canonical import RULES
from adapters.fortigate.client import Client, named, parcels
from adapters.fortigate.feeds_pushed import Feeds
from adapters.fortigate.groups import GROUP6, HOLDS, Forms, Place, Standing
from adapters.fortigate.known import Known
from adapters.fortigate.layout import gathered
from adapters.fortigate.names import Names
from adapters.fortigate.rows import POLICY, Placed, Rows, uses
from adapters.fortigate.schedules import SCHEDULE
from adapters.fortigate.scope import Scope
from adapters.fortigate.services import SERVICE
from bridge.errors import Denied
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import Foreign

_UNMARKED = "has our name prefix and is not ours"
_MISNAMED = "has our mark and another name"
_MANY = 240  # names from which on all that is ours in a table is read instead
_FORMATS: Mapping[str, str] = {
    ADDRESS: "name|type|comment|subnet|start-ip|end-ip|fqdn",
    ADDRESS6: "name|type|comment|ip6|start-ip|end-ip|fqdn",
    **dict.fromkeys(HOLDS, "name|comment|type|exclude|member"),
    SCHEDULE: "name|start|end",
    SERVICE: "name|comment|protocol|tcp-portrange|udp-portrange|sctp-portrange|icmptype|icmpcode|protocol-number",
}


class Reader:
    """Reads the tables of one unit."""

    def __init__(self, client: Client, names: Names, scope: Scope, feeds: Feeds | None = None) -> None:
        self._client = client
        self._names = names
        self._scope = scope
        self._forms = Forms(names, scope.ipv6)
        self._feeds = feeds
        self._rows = Rows(names, scope, feeds.used, feeds.torn) if feeds else Rows(names, scope)

    def everything(self) -> Known:
        """All that is ours: one call for each table. Raises Busy, Denied."""
        known = Known(self._forms, self._feeds)
        for table in (ADDRESS, *((ADDRESS6,) if self._scope.ipv6 else ())):
            self._addresses(table, known)
        keys = set(self._services(known, self._ours()))
        for table in self._forms.tables:
            keys.update(self._groups(table, known, self._ours()))
        if self._feeds is not None:
            self._feeds.read()
            known.foreign += self._feeds.foreign
            self._feeds.use({key for key in self._feeds.keys if any(map(known.standing, self._forms.places(key)))})
            keys.update(self._feeds.keys)
        for key in keys:
            known.settle(key)
        if not self._scope.ipv6:
            known.stale = list(self._stale())
        if self._scope.policies or self._has_block():
            self._schedules(known)
            self.rules(known)
        return known

    def _stale(self) -> Iterator[Place]:
        """What stands there of IPv6, which the settings no longer have: groups, then their parts, then addresses."""
        for table, kinds in ((GROUP6, (Kind.GROUP, Kind.SHARD)), (ADDRESS6, (None,))):
            found = [one for one in self._marks(table) if one.name.startswith(self._names.prefix)]
            for kind in kinds:
                for one in found:
                    key = self._names.key(one.comment)
                    if self._names.marked(one.comment) is not None and (kind is None or (key and key.kind is kind)):
                        yield table, one.name

    def _has_block(self) -> bool:
        """Whether policies of ours stand where people write them: of a time when the settings had another mode."""
        query = {"filter": f"comments=@{self._names.mark_prefix}"} if self._scope.filters else {}
        try:
            listed = list(
                self._client.entries(POLICY, wire.Policy, query | {"format": "policyid|name|comments|status"})
            )
        except Denied:
            return False  # the token need not read policies in this mode
        return any(self._rows.about(one.comments) is not None and self._named_ours(one) for one in listed)

    def _marks(self, table: str) -> list[wire.Address]:
        """Entries that may be ours; none where the unit has no such table, or the token may not read it."""
        try:
            return list(self._client.entries(table, wire.Address, self._ours() | {"format": "name|comment"}))
        except Denied:
            return []

    def named(self, known: Known, keys: Collection[ObjectKey]) -> None:
        """Read these objects anew."""
        self.again(known, [place for key in keys for place in self._forms.places(key)])
        if self._feeds is not None:
            self._feeds.again(keys)
        for key in keys:
            known.settle(key)
        if (self._scope.policies or known.placed) and any(key.kind in RULES for key in keys):
            self.rules(known)

    def again(self, known: Known, places: Iterable[Place]) -> None:
        """Read these entries of groups and services anew; `settle` makes objects of them."""
        for table, names in _by_table(places).items():
            if self._whole(names):
                self._forget(known, table, {*names, *(known.ports if table == SERVICE else known.groups[table])})
                self._take(known, table, self._ours())
                continue
            for some in parcels(names):
                self._forget(known, table, some)
                self._take(known, table, named(some), frozenset(some))

    def unmarked(self, places: Iterable[Place]) -> set[Place]:
        """Which of these entries stand there right now without a mark of ours; schedules have none, and count by what they say."""
        found: set[Place] = set()
        for table, names in _by_table(places).items():
            if table == SCHEDULE:
                found.update(
                    (table, one.name) for one in self._onetime() if one.name in names and not self._is_ours(one)
                )
                continue
            queries = [self._ours()] if self._whole(names) else map(named, parcels(names))
            for query in queries:
                listed = self._client.entries(table, wire.Address, query | {"format": "name|comment"})
                found.update((table, one.name) for one in listed if self._names.marked(one.comment) is None)
            found = {spot for spot in found if spot[0] != table or spot[1] in set(names)}
        return found

    def is_taken(self, place: Place) -> bool:
        """Whether the name of a schedule is that of one of another kind, for all kinds share their names."""
        table, name = place
        return table == SCHEDULE and all(one.name != name for one in self._onetime())

    def rules(self, known: Known) -> None:
        """Read the policies anew, all of them, for what counts is their order."""
        listed = [(_head(raw), raw) for raw in self._client.entries(POLICY, msgspec.Raw)]
        known.numbers = [head.policyid for head, _ in listed]
        anchors = [head.policyid for head, _ in listed if self._scope.anchor and head.name == self._scope.anchor]
        known.anchor = anchors[0] if anchors else None
        known.policy_names = {head.name: head.policyid for head, _ in listed if head.name}
        known.foreign = [one for one in known.foreign if not one.name.startswith(f"{POLICY} ")]
        known.placed = []
        passed = False
        for head, raw in listed:
            passed = passed or head.policyid == known.anchor
            self._place(head, raw, known, passed=passed)
        known.rules = gathered(known.placed)
        known.ruled = frozenset().union(*(one.uses for one in known.placed))

    def _ours(self) -> dict[str, str]:
        """Whatever has our prefix in its name or our mark; what only holds it in between is sorted out here."""
        if not self._scope.filters:
            return {}
        return {"filter": f"name=@{self._names.prefix},comment=@{self._names.mark_prefix}"}

    def _whole(self, names: Sequence[str]) -> bool:
        """Whether all that is ours is asked for instead of these."""
        return len(names) > _MANY or not self._scope.filters

    def _take(self, known: Known, table: str, query: Mapping[str, str], only: Collection[str] | None = None) -> None:
        """Read entries of groups or services; `only` those, for filters ignore case and bring more."""
        list(self._services(known, query, only) if table == SERVICE else self._groups(table, known, query, only))

    def _addresses(self, table: str, known: Known) -> None:
        for one in self._client.entries(table, wire.Address, self._ours() | {"format": _FORMATS[table]}):
            self._shared(table, one.name, one.comment, addresses.word(one), known)

    def _shared(self, table: str, name: str, comment: str, word: str, known: Known) -> None:
        """One entry that is called by what it is."""
        if not self._names.looks_ours(name, comment):
            return
        what = self._names.marked(comment)
        if what is not None and name == self._names.shared(FENCE) and table == ADDRESS and what.startswith(FENCE):
            return
        if what is None or not name.startswith(self._names.prefix):
            self._strange(table, name, _UNMARKED if what is None else _MISNAMED, known)
        elif name != self._names.shared(what):
            self._strange(table, name, _MISNAMED, known)
        else:
            known.words[table][name] = word if word == what else ""

    def _schedules(self, known: Known) -> None:
        """Those of ours; without the setting too, for there may be some of a time when it was there."""
        try:
            listed = list(self._onetime())
        except Denied:
            if self._scope.zone is not None:
                raise
            return  # the token need not read them then
        for one in listed:
            if self._is_ours(one):
                known.words[SCHEDULE][one.name] = schedules.read(one)
            else:
                self._strange(SCHEDULE, one.name, _UNMARKED, known)

    def _onetime(self) -> Iterator[wire.Onetime]:
        """What has our prefix in the table of schedules."""
        prefix = self._names.prefix
        query = {"filter": f"name=@{prefix}"} if self._scope.filters else {}
        listed = self._client.entries(SCHEDULE, wire.Onetime, query | {"format": _FORMATS[SCHEDULE]})
        return (one for one in listed if one.name.startswith(prefix))

    def _is_ours(self, one: wire.Onetime) -> bool:
        """Whether it has the name that what it says has among ours."""
        what = schedules.read(one)
        return bool(what) and one.name == self._names.shared(what)

    def _services(
        self, known: Known, query: Mapping[str, str], only: Collection[str] | None = None
    ) -> Iterator[ObjectKey]:
        for one in self._client.entries(SERVICE, wire.Service, {**query, "format": _FORMATS[SERVICE]}):
            if not self._names.looks_ours(one.name, one.comment) or (only is not None and one.name not in only):
                continue
            protocol = one.name.rpartition("_")[2]
            key = self._names.key(one.comment)
            if key is None:
                self._shared(SERVICE, one.name, one.comment, services.word(one), known)
            elif (SERVICE, one.name) in self._forms.places(key) and key.kind is Kind.PORTS:
                known.ports[one.name] = services.read_ports(one, protocol)
                yield key
            else:
                self._strange(SERVICE, one.name, _MISNAMED, known)

    def _groups(
        self, table: str, known: Known, query: Mapping[str, str], only: Collection[str] | None = None
    ) -> Iterator[ObjectKey]:
        for one in self._client.entries(table, wire.Group, {**query, "format": _FORMATS[table]}):
            if not self._names.looks_ours(one.name, one.comment) or (only is not None and one.name not in only):
                continue
            key, members = self._names.key(one.comment), frozenset(member.name for member in one.member)
            if key is None or (table, one.name) not in self._forms.places(key):
                self._strange(table, one.name, _UNMARKED if key is None else _MISNAMED, known)
                known.use(HOLDS[table], known.theirs.get((table, one.name), ()), members)
                known.theirs[table, one.name] = members
                continue
            sound = one.type == "default" and one.exclude == "disable"
            known.groups[table][one.name] = Standing(one.comment, members, sound)
            known.use(HOLDS[table], (), members)
            yield key

    def _place(self, head: wire.Policy, raw: msgspec.Raw, known: Known, *, passed: bool) -> None:
        about = self._rows.about(head.comments)
        if about is None or about[0].kind not in (Kind.RULE_LIST, Kind.POLICY) or not self._named_ours(head):
            if self._names.looks_ours(head.name, head.comments):
                why = (
                    _UNMARKED if self._named_ours(head) else _MISNAMED
                )  # such as a copy that a person made of one of ours
                known.foreign.append(Foreign(f"{POLICY} {head.name or head.policyid}", why))
            return
        shown: dict[str, Any] = msgspec.json.decode(raw)
        row = self._rows.row(about, shown, known.keys, known.words[SCHEDULE])
        astray = known.anchor is not None and passed == self._scope.before
        known.placed.append(Placed(head.policyid, about, head.status == "enable", row, astray, uses(shown)))

    def _named_ours(self, head: wire.Policy) -> bool:
        return head.name.startswith(self._names.prefix)

    def _strange(self, table: str, name: str, why: str, known: Known) -> None:
        one = Foreign(f"{table} {name}", why)
        if one not in known.foreign:
            known.foreign.append(one)
        if name.startswith(self._names.prefix):
            known.strange.add((table, name))

    def _forget(self, known: Known, table: str, names: Iterable[str]) -> None:
        for name in names:
            known.strange.discard((table, name))
            known.foreign = [one for one in known.foreign if one.name != f"{table} {name}"]
            if table == SERVICE:
                known.ports.pop(name, None)
            else:
                before = known.groups[table].pop(name, None)
                known.use(HOLDS[table], before.members if before else (), ())


def _head(raw: msgspec.Raw) -> wire.Policy:
    return msgspec.json.decode(raw, type=wire.Policy)


def _by_table(places: Iterable[Place]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, name in places:
        found.setdefault(table, []).append(name)
    return found
