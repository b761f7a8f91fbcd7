"""How many rules a security group holds, as its quota counts them."""

from collections.abc import Iterable, Iterator

from bridge.lab.devices.aws.backend import OWNED_BY_AWS
from bridge.lab.devices.aws.item import Rule, State, peer_kind

_BOTH = ("IPv4", "IPv6")


def weights(state: State, rules: Iterable[Rule], grown: str = "", size: int = 0) -> Iterator[tuple[bool, str, int]]:
    """Direction, family and weight of each rule. A list of one's own weighs its MaxEntries, be it `size` for the list `grown`."""
    for rule in rules:
        kind = peer_kind(rule.peer)
        found = state.prefix_list(rule.peer)
        if kind == "list" and found is not None and found.owner != OWNED_BY_AWS:
            yield rule.egress, found.family, size if rule.peer == grown else found.max_entries or 0
            continue
        for family in _BOTH if kind in ("list", "group") else (kind,):
            yield rule.egress, family, 1


def fits(state: State, rules: Iterable[Rule], most: int, grown: str = "", size: int = 0) -> bool:
    """Whether one security group takes these rules."""
    totals: dict[tuple[bool, str], int] = {}
    for egress, family, weight in weights(state, rules, grown, size):
        totals[egress, family] = totals.get((egress, family), 0) + weight
    return all(total <= most for total in totals.values())


def overloaded(state: State, grown: str, size: int, most: int) -> list[str]:
    """The security groups that could not hold the list any more if it were of that size."""
    users = dict.fromkeys(rule.group for rule in state.rules() if rule.peer == grown)
    return [group for group in users if not fits(state, state.rules(group), most, grown, size)]
