"""Rules to what a device holds that can only allow: for each Allow what is left of it (SEMANTICS 5).

Taken out of it is whatever a Deny or Reject above it stops, which is the rule less the Passes before it in its own tier, and whatever a
Pass before it in the Allow's own tier leaves to lower tiers. The order of what remains has no meaning, and what no line lets through is
stopped, or decided by entries of the device's owner: a default has no line here.
"""

from collections.abc import Iterator
from functools import cached_property

from bridge.model.policy import Action, Ref, Rule
from bridge.policy.compiled import ClusterPolicy, Compiled, Remark, Target
from bridge.policy.ground import Meeting
from bridge.policy.memory import Memory
from bridge.policy.pieces import Inexpressible
from bridge.policy.standing import Standing, cut
from bridge.policy.untiered import Lists, Part, compile_untiered, parts_less, pieces, unsupported


def compile_allow_only(policy: ClusterPolicy, target: Target, memory: Memory | None = None) -> Compiled:
    """What `policy` asks of a device that holds Allows without an order."""
    return compile_untiered(policy, target, _attempt, memory or Memory())


def _attempt(_policy: ClusterPolicy, target: Target, judged: Standing, lists: Lists) -> None:
    _AllowOnly(judged, lists, target.capabilities.blocks).build()


class _AllowOnly:
    """One round."""

    def __init__(self, judged: Standing, lists: Lists, blocks: tuple[tuple[str, ...], ...]) -> None:
        self._blocks = blocks
        self._ground = lists.ground
        self._rules = judged.rules
        self._place = {rule.ref: place for place, rule in enumerate(self._rules)}
        self._lists = lists
        self._effective: dict[Ref, tuple[Part, ...]] = {}

    @cached_property
    def _stopping(self) -> Meeting:
        return Meeting((rule for rule in self._rules if rule.action is not Action.ALLOW), self._ground)

    def build(self) -> None:
        """Fill the lists."""
        above = {rule.ref: self._above(rule) for rule in self._rules if rule.action is Action.ALLOW}
        self._lists.write([rule for rule in self._rules if rule.ref in above and not above[rule.ref]])
        for rule in self._rules:
            if rule.ref not in above:
                self._tell(rule)
            elif above[rule.ref]:
                self._add(rule, above[rule.ref])
            else:
                self._lists.add(rule)

    def _tell(self, rule: Rule) -> None:
        self._lists.tell(rule)
        if rule.log and rule.action is not Action.PASS:
            words = "what it stops is not logged on a device that only allows"
            self._lists.result.remarks.setdefault(rule.ref, Remark("", words))

    def _above(self, rule: Rule) -> list[Rule]:
        """What takes something out of an Allow. A Pass of a higher tier does nothing but to what follows it there."""
        return [one for one in self._before(rule) if one.action is not Action.PASS or one.tier is rule.tier]

    def _before(self, rule: Rule) -> Iterator[Rule]:
        """What may take something out of a rule, highest first."""
        return (one for one in self._stopping.of(rule) if self._place[one.ref] < self._place[rule.ref])

    def _add(self, rule: Rule, above: list[Rule]) -> None:
        if self._ground.named(rule):
            self._refuse(
                rule, f"{above[0].ref} takes precedence, and nothing can be taken out of names; state addresses"
            )
            return
        try:
            holes = [part for one in above for part in self._stopped(one)]
            parts = parts_less(self._ground.regions(rule), holes, self._lists.cap(rule), ordered=False)
            made = tuple(
                pieces(rule, parts, holes, withheld=rule.ref in self._lists.withheld, end=self._lists.end(rule))
            )
            self._lists.add_pieces(rule, made, above)
        except Inexpressible as why:
            self._refuse(rule, f"what takes precedence is taken out of it here: {why}")
            return
        self._lists.tell(rule)
        names = ", ".join(str(one.ref) for one in above)
        for part, whole in (found for one in made for found in cut(one.region.where, self._blocks)):
            words = f"{names} leaves of it a part of what stands behind one place ({part} of {whole}), which is not let through there"
            self._lists.result.remarks.setdefault(rule.ref, Remark("Withheld", words))
        if not made:
            self._lists.result.remarks.setdefault(
                rule.ref, Remark("", f"nothing of it is there: every packet is taken before it by {names}")
            )

    def _stopped(self, rule: Rule) -> tuple[Part, ...]:
        """What lower rules lose because of this one: a Deny less the Passes before it in its tier, a Pass as it is."""
        found = self._effective.get(rule.ref)
        if found is None:
            passes = [one for one in self._before(rule) if one.action is Action.PASS and one.tier is rule.tier]
            by_name = [one for one in (rule, *passes) if self._ground.named(one)]
            for one in by_name:
                self._refuse(
                    one, "names cannot be taken out of what a device that only allows lets through; state addresses"
                )
            holes = [part for one in passes for part in self._ground.regions(one)]
            most = self._lists.cap(rule)
            found = self._ground.regions(rule)
            if rule.action is not Action.PASS:
                found = parts_less(found, holes, most, ordered=False)
            self._effective[rule.ref] = found
        return found

    def _refuse(self, rule: Rule, words: str) -> None:
        self._lists.refused[rule.ref] = unsupported(words)
