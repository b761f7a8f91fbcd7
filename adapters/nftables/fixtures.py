"""The chains between the hook and the policies, which are no objects of their own. Pure.

* `enter` is where everything begins: packets of replies go by, then one policy after the other. A base chain leads here, or is ours.
* `next/<tier>` is where a Pass of that tier goes on: the policies below, then the end. It accepts, which says no more than that none
  of our lines took the packet: `enter` left at its end means the same in a base chain whose policy is accept. A flat gateway has no Pass,
  and none of these.
* `verdict/reject` answers what is rejected.
"""

from collections.abc import Iterable
from typing import Any

from adapters.nftables import rules
from adapters.nftables.names import ENTER, REJECT, Names, next_chain
from bridge.model.capabilities import Form
from bridge.model.policy import Tier
from bridge.model.tiers import policy_key

NAMES = frozenset({ENTER, REJECT, *map(next_chain, Tier)})


def entry(names: Names, tiers: Iterable[Tier]) -> list[list[dict[str, Any]]]:
    """The rules that lead to these tiers' policies, in order."""
    return [rules.replies(), *([rules.jump(names.name(policy_key(tier)))] for tier in Tier if tier in set(tiers))]


def chains(names: Names, tiers: Iterable[Tier], form: Form) -> dict[str, list[list[dict[str, Any]]]]:
    """All of these chains on a gateway of this form, for the tiers that have a policy."""
    there = set(tiers)
    found = {ENTER: entry(names, there), REJECT: rules.reject_rules()}
    for tier in Tier if form is Form.TIERED else ():
        below = [one for one in Tier if one.rank > tier.rank and one in there]
        jumps = [[rules.jump(names.name(policy_key(one)))] for one in below]
        found[next_chain(tier)] = [*jumps, rules.accept()]
    return found
