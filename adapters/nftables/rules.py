"""Lines of a rule list as nftables rules, and back. Pure.

One line becomes a rule for each pair of a source set and a destination set of one family, all with the line's name as their comment and
the line's counter. A logged line has another rule before each, which only logs. What stands in a chain is read as a line only when it is,
statement by statement, what we would write for that line.

* Allow is `accept`: final among our chains, while base chains of others still have their say. One that ends is a jump to what accepts until
  then (see `ends`), after which the packet goes on as if the line were not there.
* Deny is `drop`. Reject goes to a chain that answers TCP with a reset and anything else with ICMP "administratively prohibited".
* Pass goes to what comes after its tier, and from there never back.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby, product
from typing import Any

from adapters.nftables import ends, wire
from adapters.nftables.names import REJECT, Flavour, Names, next_chain, untwinned
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleEntry
from bridge.model.policy import NUMBERS, Action, IcmpType, Protocol, Tier

Json = dict[str, Any]
Shapes = Callable[[ObjectKey], frozenset[Flavour]]
"""Which sets each group has."""
Ends = Callable[[ObjectKey], datetime | None]
"""When each schedule ends."""

WITH_PORTS = {Protocol.TCP: "tcp", Protocol.UDP: "udp", Protocol.SCTP: "sctp"}
WITH_TYPES = {Protocol.ICMP: "icmp", Protocol.ICMPV6: "icmpv6"}
_HEADERS = {word: protocol for protocol, word in (WITH_PORTS | WITH_TYPES).items()}
_NUMBERED = {number: protocol for protocol, number in NUMBERS.items()}
_WORDS = {"new": 8, "reply": 1, "admin-prohibited": 3}
"""What `nft -n` prints as numbers; some versions may not."""

_TIERS = {Scope.CLUSTER: Tier.CLUSTER, Scope.NAMESPACE: Tier.NAMESPACE}


def tier_of(key: ObjectKey) -> Tier:
    """The tier of a list; what follows the last tier belongs to it."""
    return _TIERS.get(key.scope, Tier.SERVICE)


@dataclass(frozen=True, slots=True)
class Lines:
    """Between lines and rules, for one owner."""

    names: Names
    shapes: Shapes
    ends: Ends
    log_rate: int = 100
    log_group: int | None = None
    turned: Container[ObjectKey] = ()

    def rules(self, key: ObjectKey, entry: RuleEntry) -> list[list[Json]]:
        """The statements of each rule of a line."""
        if not entry.sources or not entry.destinations or entry.withheld:
            raise ValueError(f"{entry.name}: a line without source or destination, or withheld, is never written")
        final = [{"counter": self.names.counter(key, entry.name)}, self._verdict(entry, tier_of(key))]
        made: list[list[Json]] = []
        for match in self._matches(entry):
            if entry.log:
                made.append([*match, *self._logging(key, entry)])
            made.append([*match, *final])
        return made

    def read(self, key: ObjectKey, rules: Iterable[wire.Rule]) -> tuple[RuleEntry, ...]:
        """The lines that a chain holds; one without sources where it holds what we would not write."""
        return tuple(self._entry(key, name, list(group)) for name, group in groupby(rules, _label))

    def _entry(self, key: ObjectKey, name: str, rules: list[wire.Rule]) -> RuleEntry:
        try:
            entry = self._guess(key, name, rules)
            return entry if same(self.rules(key, entry), rules) else unreadable(name)
        except (ValueError, KeyError, IndexError, StopIteration):
            return unreadable(name)

    def _guess(self, key: ObjectKey, name: str, rules: list[wire.Rule]) -> RuleEntry:
        """The only line that these rules can be; whether they are is seen by writing it."""
        sides: dict[str, set[ObjectKey]] = {"saddr": set(), "daddr": set()}
        action, schedule = self._action(rules[-1], tier_of(key))
        entry, types = RuleEntry(name, action, (), (), schedule=schedule), list[IcmpType]()
        for statement in (one for rule in rules for one in rule.expr):
            match statement:
                case {"match": {"left": {"payload": {"field": ("saddr" | "daddr") as field}}, "right": str(right)}}:
                    group = self.names.set_key(right.removeprefix("@"))
                    if group is not None:
                        sides[field].add(group[0])
                case {"match": {"left": {"payload": {"field": "dport", "protocol": word}}, "right": str(right)}}:
                    ports = self.names.key(untwinned(right.removeprefix("@")))
                    entry = replace(entry, protocol=_HEADERS[word], ports=ports)
                case {"match": {"left": {"payload": {"field": "type", "protocol": word}}, "right": int(right)}}:
                    entry = replace(entry, protocol=_HEADERS[word])
                    types.append(IcmpType(right))
                case {"match": {"left": {"payload": {"field": "code"}}, "right": int(right)}}:
                    types[-1] = IcmpType(types[-1].type, right)
                case {"match": {"left": {"meta": {"key": "l4proto"}}, "right": int(right)}}:
                    protocol = _NUMBERED.get(right, Protocol.OTHER)
                    entry = replace(entry, protocol=protocol, number=right if protocol is Protocol.OTHER else 0)
        return replace(
            entry,
            sources=tuple(sorted(sides["saddr"])),
            destinations=tuple(sorted(sides["daddr"])),
            log=any("log" in statement for statement in rules[0].expr),
            icmp=icmp_types(types),
        )

    def _matches(self, entry: RuleEntry) -> Iterator[list[Json]]:
        ending = [ends.before(self.ends(entry.schedule))] if entry.schedule else []
        kinds = [[*traffic, *ending] for traffic in self._traffic(entry)]
        for source, destination in product(entry.sources, entry.destinations):
            for left, right in product(sorted(self.shapes(source)), sorted(self.shapes(destination))):
                if left.family == right.family:
                    sides = [
                        _address("saddr", left, self.names.set_name(source, left)),
                        _address("daddr", right, self.names.set_name(destination, right)),
                    ]
                    yield from ([*sides, *traffic] for traffic in kinds)

    def _traffic(self, entry: RuleEntry) -> list[list[Json]]:
        """What tells a line's traffic; each of these is a rule of its own."""
        if entry.protocol is Protocol.ANY:
            return [[]]
        if entry.ports is not None:
            name = self.names.ports_name(entry.ports, turned=entry.ports in self.turned)
            return [[_header(WITH_PORTS[entry.protocol], "dport", f"@{name}")]]
        if entry.icmp:
            return [list(_messages(WITH_TYPES[entry.protocol], one)) for one in entry.icmp]
        number = entry.number if entry.protocol is Protocol.OTHER else NUMBERS[entry.protocol]
        return [[_match({"meta": {"key": "l4proto"}}, number)]]

    def _verdict(self, entry: RuleEntry, tier: Tier) -> Json:
        return jump(self.names.name(entry.schedule)) if entry.schedule else _verdict(entry.action, tier)

    def _action(self, rule: wire.Rule, tier: Tier) -> tuple[Action, ObjectKey | None]:
        """The action whose verdict ends the rule, and what ends the line; StopIteration when it is none of ours."""
        key = self.names.key(target(rule.expr[-1:]))
        if key is not None and key.kind is Kind.SCHEDULE:
            return Action.ALLOW, key
        return next(one for one in Action if _plain([_verdict(one, tier)]) == _plain(rule.expr[-1:])), None

    def _logging(self, key: ObjectKey, entry: RuleEntry) -> Iterator[Json]:
        if entry.action in (Action.ALLOW, Action.PASS):
            yield _match({"ct": {"key": "state"}}, "new", "in")  # a flow once, not each of its packets
        if self.log_rate:
            yield {"limit": {"rate": self.log_rate, "burst": self.log_rate, "per": "second"}}
        prefix = self.names.prefix(key, entry.name)
        yield {"log": {"prefix": prefix, "level": "info"} if self.log_group is None else self._grouped(prefix)}

    def _grouped(self, prefix: str) -> Json:
        return {"prefix": prefix, "group": self.log_group}


def unreadable(name: str) -> RuleEntry:
    """A line that stands on the device and is none that we could have written; its chain is written anew."""
    return RuleEntry(name, Action.PASS, (), ())


def reject_rules() -> list[list[Json]]:
    """How a Reject answers."""
    return [
        [_match({"meta": {"key": "l4proto"}}, NUMBERS[Protocol.TCP]), {"reject": {"type": "tcp reset"}}],
        [{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}],
    ]


def jump(target: str) -> Json:
    """Into another chain and back."""
    return {"jump": {"target": target}}


def replies() -> list[Json]:
    """Lets packets in the reply direction of a tracked flow go by: policy is about who opens a flow."""
    return [_match({"ct": {"key": "direction"}}, "reply"), {"return": None}]


def accept() -> list[Json]:
    """The end of our chains."""
    return [{"accept": None}]


def same(ours: list[list[Json]], rules: Iterable[wire.Rule]) -> bool:
    """Whether a chain holds exactly these rules."""
    return [_plain(rule) for rule in ours] == [_plain(rule.expr) for rule in rules]


def target(statements: list[Json]) -> str:
    """Where these statements jump to and do nothing else; empty when they are others."""
    match statements:
        case [{"jump": {"target": str(name)}}]:
            return name
    return ""


def mentions(rule: wire.Rule, chain: str) -> bool:
    """Whether a rule leads into a chain, under whatever condition."""
    return any(
        isinstance(statement.get(word), dict) and statement[word].get("target") == chain
        for statement in rule.expr
        for word in ("jump", "goto")
    )


def policy_rules(names: Names, lists: Iterable[ObjectKey]) -> list[list[Json]]:
    """A policy: its lists one after the other."""
    return [[jump(names.name(key))] for key in lists]


def icmp_types(listed: Iterable[IcmpType]) -> tuple[IcmpType, ...]:
    """Types of ICMP in order, each once."""
    return tuple(sorted(set(listed)))


def _label(rule: wire.Rule) -> str:
    return rule.comment or f"handle-{rule.handle}"


def _verdict(action: Action, tier: Tier) -> Json:
    match action:
        case Action.ALLOW:
            return {"accept": None}
        case Action.DENY:
            return {"drop": None}
        case Action.REJECT:
            return {"goto": {"target": REJECT}}
        case Action.PASS:
            return {"goto": {"target": next_chain(tier)}}


def _messages(word: str, one: IcmpType) -> Iterator[Json]:
    yield _header(word, "type", one.type)
    if one.code is not None:
        yield _header(word, "code", one.code)


def _header(protocol: str, field: str, value: str | int) -> Json:
    return _match({"payload": {"protocol": protocol, "field": field}}, value)


def _address(field: str, flavour: Flavour, name: str) -> Json:
    return _header(flavour.family, field, f"@{name}")


def _match(left: Json, right: str | int, op: str = "==") -> Json:
    return {"match": {"op": op, "left": left, "right": right}}


def _plain(statements: Iterable[Json]) -> list[Any]:
    """Statements less what nft versions write in different ways."""
    return [_statement(one) for one in statements]


def _statement(one: Json) -> Any:  # noqa: ANN401 (JSON)
    plain: Any = one
    match one:
        case {"match": {"op": op, "left": left, "right": right}} if ends.is_clock(left):
            plain = (op, left, ends.second(right))
        case {"match": {"op": op, "left": left, "right": right}}:
            plain = ("==" if op == "in" else op, left, _numeric(right))
        case {"reject": {"type": kind, **rest}}:
            plain = ("reject", kind, _numeric(rest.get("expr")))
        case {"log": {"prefix": prefix, **rest}}:
            plain = ("log", prefix, rest.get("group"))
        case {"limit": limit}:
            plain = ("limit", limit.get("rate"), limit.get("per"), limit.get("burst", 5), limit.get("inv", False))
        case {"counter": {"name": name}}:
            plain = {"counter": name}
    return plain


def _numeric(value: Any) -> Any:  # noqa: ANN401 (JSON)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return _WORDS.get(value, value) if isinstance(value, str) else value
