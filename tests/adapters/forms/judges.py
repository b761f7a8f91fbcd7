"""What whole devices decide, quickly: for each sender only the rules are looked at whose sources hold it, by the device's own referee."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import msgspec

from bridge.lab.devices.bigip import rig as bigip
from bridge.lab.devices.bigip.item import Item, State
from bridge.lab.devices.bigip.kinds import ADDRESS_LIST, RULE_LIST
from bridge.lab.devices.fortigate.item import POLICY
from bridge.lab.devices.fortigate.item import Item as Entry
from bridge.lab.devices.fortigate.item import State as Tables
from bridge.lab.devices.fortigate.rig import verdict as fortigate_verdict
from bridge.lab.devices.fortigate.simulator import Fortigate
from bridge.lab.devices.memory import referee as memory
from bridge.lab.devices.memory.contents import AddressSet, Contents, EntrySet
from bridge.model.addresses import networks
from bridge.policy.evaluate import Packet, Verdict
from tests.adapters.forms.fleet import Question
from tests.adapters.nftables.referee import Ruleset, text

Judge = Callable[[Packet], Verdict]


class Senders:
    """Which sets of a device hold an address."""

    def __init__(self, sets: Mapping[str, Iterable[str]]) -> None:
        self._single: dict[tuple[int, int], set[str]] = defaultdict(set)
        self._spans: dict[int, list[tuple[int, int, str]]] = {4: [], 6: []}
        for name, members in sets.items():
            for net in networks(members):
                first, last = int(net[0]), int(net[-1])
                if first == last:
                    self._single[net.version, first].add(name)
                else:
                    self._spans[net.version].append((first, last, name))

    def holding(self, address: str) -> set[str]:
        """The names of the sets."""
        parsed = ip_address(address)
        number = int(parsed)
        wide = {name for first, last, name in self._spans[parsed.version] if first <= number <= last}
        return wide | self._single.get((parsed.version, number), set())


def decided(questions: Sequence[Question], narrow: Callable[[str], Judge]) -> Iterator[tuple[Question, Verdict]]:
    """Each question with what the device says; `narrow` gives the judge for one sender."""
    by_sender: dict[str, list[Question]] = defaultdict(list)
    for one in questions:
        by_sender[one.packet.source].append(one)
    for sender, asked in by_sender.items():
        judge = narrow(sender)
        yield from ((one, judge(one.packet)) for one in asked)


def memory_judges(held: Contents) -> Callable[[str], Judge]:
    """The referee of the device in memory."""
    sets = {name: one.body.addresses for name, one in held.objects.items() if isinstance(one.body, AddressSet)}
    senders = Senders(sets)
    listed = {name: one for name, one in held.objects.items() if isinstance(one.body, EntrySet)}

    def narrow(sender: str) -> Judge:
        kept, holding = dict(held.objects), senders.holding(sender)
        for name, one in listed.items():
            body = one.body
            assert isinstance(body, EntrySet)
            entries = tuple(each for each in body.entries if not holding.isdisjoint(each.sources))
            kept[name] = msgspec.structs.replace(one, body=EntrySet(entries))
        seen = msgspec.structs.replace(held, objects=kept)
        return lambda packet: memory.verdict(seen, packet)

    return narrow


def nftables_judges(table: str) -> Callable[[str], Judge]:
    """The reading of the kernel's own listing."""
    whole = Ruleset.of(table)
    typed = {
        name: elements for name, elements in whole.sets.items() if not name.startswith("ports/") and name != "marks"
    }
    senders = Senders({name: [text(one) for one in elements] for name, elements in typed.items()})

    begun = {chain: [(frozenset(_sources(rule)), rule) for rule in listed] for chain, listed in whole.rules.items()}

    def narrow(sender: str) -> Judge:
        holding = senders.holding(sender)
        rules = {chain: [rule for names, rule in listed if names <= holding] for chain, listed in begun.items()}
        empty = {chain for chain, listed in rules.items() if not listed}
        for chain, listed in rules.items():
            rules[chain] = [rule for rule in listed if _target(rule) not in empty]  # from where it would only come back
        return Ruleset(whole.listing, whole.sets, rules, whole.hooks).verdict

    return narrow


def _sources(rule: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for statement in rule:
        match statement:
            case {"match": {"left": {"payload": {"field": "saddr"}}, "right": str(name)}}:
                yield name.removeprefix("@")


def _target(rule: Sequence[Mapping[str, Any]]) -> str:
    match rule:
        case [{"jump": {"target": str(name)}}]:
            return name
    return ""


def bigip_judges(state: State) -> Callable[[str], Judge]:
    """The referee of the simulated BIG-IP."""
    lists = {path: item for (kind, path), item in state.items() if kind == ADDRESS_LIST}
    senders = Senders({path: list(_members(lists, path)) for path in lists})

    def narrow(sender: str) -> Judge:
        kept: dict[Any, Item] = dict(state)
        holding = senders.holding(sender)
        for key, item in state.items():
            if key[0] == RULE_LIST:
                rules = tuple(rule for rule in item.rules if not holding.isdisjoint(_sides(rule.body)))
                kept[key] = Item(item.kind, item.path, item.body, item.generation, item.own_references, rules)
        return lambda packet: bigip.verdict(kept, packet, at=0)  # none of these rules ends

    return narrow


def fortigate_judges(device: Fortigate) -> Callable[[str], Judge]:
    """The referee of the simulated FortiGate."""
    state, now = device.state(), device.clock.now()
    policies = state.tables["root", POLICY]
    senders = Senders({name: list(_addresses(state, name)) for name in _sources_of(policies.values())})

    def narrow(sender: str) -> Judge:
        holding, side = senders.holding(sender), "srcaddr6" if ":" in sender else "srcaddr"
        kept = {number: one for number, one in policies.items() if not holding.isdisjoint(one.body[side])}
        court = device.court(Tables({**state.tables, ("root", POLICY): kept}), default="unmatched")
        return lambda packet: fortigate_verdict(court, packet, at=now)

    return narrow


def _sources_of(policies: Iterable[Entry]) -> set[str]:
    return {name for one in policies for side in ("srcaddr", "srcaddr6") for name in one.body[side]}


def _addresses(state: Tables, name: str) -> Iterator[str]:
    """What an address or a group of either family stands for; names stand for nothing here."""
    for table in ("firewall/address", "firewall/address6", "firewall/addrgrp", "firewall/addrgrp6"):
        one = state.get(("root", table, name))
        if one is None:
            continue
        kind = one.body.get("type", "")
        if table.startswith("firewall/addrgrp"):
            for nested in one.body["member"]:
                yield from _addresses(state, nested)
        elif kind == "ipmask":
            yield one.body["subnet"].replace(" ", "/")
        elif kind == "iprange":
            yield f"{one.body['start-ip']}-{one.body['end-ip']}"
        elif kind == "ipprefix":
            yield one.body["ip6"]


def _members(lists: Mapping[str, Item], path: str) -> Iterator[str]:
    yield from lists[path].body.get("addresses", ())
    for nested in lists[path].body.get("addressLists", ()):
        yield from _members(lists, nested)


def _sides(body: Mapping[str, Any]) -> Sequence[str]:
    return list(body.get("source", {}).get("addressLists", ()))
