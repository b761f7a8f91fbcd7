"""Reading: what of our table is ours, and the names of what only stands there. Pure: it looks at what nft listed.

What stands and cannot be said in the model must never read as equal to what we want: a rule that we would not write is a line without
sources, a jump elsewhere a list of the cluster "?". So the next plan sees a difference and puts it right.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from adapters.nftables import ends, fixtures, members, rules, wire
from adapters.nftables.known import Known
from adapters.nftables.names import ENTER, HOOK, MARKS, ODD, Flavour, Names, untwinned
from adapters.nftables.rules import Lines
from adapters.nftables.scope import Scope
from bridge.model.identity import Kind, ObjectKey
from bridge.model.identity import Scope as KeyScope
from bridge.model.intent import Attachment, FenceState, Foreign, Group, Policy, Ports, RuleList, Schedule
from bridge.model.policy import Tier
from bridge.model.tiers import attachment, policy_key

_UNMARKED = "has a name of ours and not our mark"
_STRANGER = "stands in our table and is not ours"


@dataclass(frozen=True, slots=True)
class Reader:
    """Turns listings of one owner's table into what is known of it."""

    names: Names
    scope: Scope

    def absent(self) -> Known:
        """There is no table of our name."""
        return Known()

    def table(self, listed: wire.Listing) -> Known:
        """All that the table holds."""
        found = Known(stands=True)
        marks = listed.sets.get(MARKS)
        carried: Mapping[str, str] = members.marks(marks.elem) if marks is not None else {}
        found.ours = self._is_marked(MARKS, carried)
        if not found.ours:
            name = f"table inet {self.names.table}"
            found.foreign.append(Foreign(name, "has our name and not our mark"))
            return found
        for name in (*listed.chains, *map(untwinned, listed.sets), *(name.rpartition(".")[0] for name in listed.sets)):
            self.names.learn(name, carried)
        found.strays = set(self._strays(listed, carried))
        for one in listed.sets.values():
            if one.name != MARKS and one.name not in found.strays:
                self._set(one, carried, found)
        for chain in listed.chains.values():
            self._chain(chain, carried, found)
        self._counters(listed, found)
        found.foreign.extend(self._foreign(*one.partition(" ")[::2]) for one in listed.others)
        self._contents(listed, found)
        self._enforced(listed, found)
        return found

    def lines(self, found: Known) -> Lines:
        """Between lines and rules as the table stands."""
        return Lines(self.names, found.shape, found.until, self.scope.log_rate, self.scope.log_group, found.turned)

    def rule_list(self, key: ObjectKey, listed: wire.Listing, found: Known) -> RuleList:
        """A rule list as its chain shows it."""
        return RuleList(key, self.lines(found).read(key, listed.rules.get(self.names.name(key), ())))

    def schedule(self, key: ObjectKey, listed: wire.Listing) -> Schedule:
        """A schedule as its chain shows it."""
        return ends.read(key, listed.rules.get(self.names.name(key), ()))

    def policy(self, key: ObjectKey, listed: wire.Listing) -> Policy:
        """A policy as its chain shows it."""
        return Policy(key, tuple(self._reference(rule) for rule in listed.rules.get(self.names.name(key), ())))

    def attachments(self, listed: wire.Listing) -> list[Attachment]:
        """What our own base chain leads to; one to an odd policy when the chain is not as we make it."""
        chain, held = listed.chains[HOOK], listed.rules.get(HOOK, [])
        led = [tier for tier in Tier if any(rules.target(rule.expr) == self._policy(tier) for rule in held)]
        hooked = (chain.type, chain.hook, chain.policy, chain.prio)
        meant = hooked == ("filter", "forward", "accept", self.scope.priority)
        if led and meant and rules.same(fixtures.entry(self.names, led), held):
            return [attachment(tier) for tier in led]
        return [replace(attachment(Tier.CLUSTER), policy=_odd(HOOK))]

    def is_sound(self, listed: wire.Listing, tiers: list[Tier]) -> bool:
        """Whether the chains between hook and policies are as we make them."""
        made = fixtures.chains(self.names, tiers, self.scope.form)
        if any(name in listed.chains for name in fixtures.NAMES - made.keys()):
            return False  # the gateway had another form
        return all(name in listed.chains and rules.same(one, listed.rules.get(name, ())) for name, one in made.items())

    def _set(self, one: wire.Set, carried: Mapping[str, str], found: Known) -> None:
        group = self.names.set_key(one.name)
        key = group[0] if group else self.names.key(untwinned(one.name))
        flavour = group[1] if group else None
        if key is None or not _fits(one, key, flavour):
            found.foreign.append(self._foreign("set", one.name))
            if key is not None:
                found.strange.add(self.names.name(key))
            return
        if not self._is_marked(self.names.name(key), carried):
            found.foreign.append(self._foreign("set", one.name, _UNMARKED))
            found.strange.add(self.names.name(key))
            return
        found.marked.add(self.names.name(key))
        if flavour is None:
            found.objects[key] = _ports(key, one)
            if one.name != untwinned(one.name):
                found.turned.add(key)
            return
        try:
            held = members.members(one.elem)
        except ValueError:
            held = frozenset()
            found.skewed.add(key)
        if any(members.flavour(member) is not flavour.plain for member in held):
            found.skewed.add(key)
        if flavour.intervals and flavour.twin in found.shape(key):
            found.skewed.add(key)
        before = found.objects.get(key)
        found.objects[key] = Group(key, held | (before.members if isinstance(before, Group) else frozenset()))
        found.sets[key] = found.shape(key) | {flavour}

    def _strays(self, listed: wire.Listing, carried: Mapping[str, str]) -> Iterator[str]:
        """Of twins that both stand, the one that no rule looks into."""
        for name in listed.sets:
            twins = self.names.twins(name)
            if twins is None or name != twins[1] or twins[2] not in listed.sets:
                continue
            spare = twins[1] if listed.looks_into(twins[2]) and not listed.looks_into(name) else twins[2]
            if not listed.looks_into(spare) and self._is_marked(self.names.name(twins[0]), carried):
                yield spare

    def _chain(self, chain: wire.Chain, carried: Mapping[str, str], found: Known) -> None:
        name = chain.name
        fence = self.names.fence_of(name)
        key = self.names.key(name)
        listing = key is not None and key.kind in (Kind.SCHEDULE, Kind.RULE_LIST, Kind.POLICY)
        if fence is not None:
            found.fences[name] = FenceState(*fence)
        elif name in fixtures.NAMES:
            found.chains.add(name)
        elif (name == HOOK or listing) and (name == HOOK or not chain.hook) and self._is_marked(name, carried):
            found.chains.add(name)
            found.marked.add(name)
        else:
            alike = name == HOOK or listing
            # A base chain in our table is how a site puts our policies in force itself.
            why = _UNMARKED if alike else "" if chain.hook == "forward" else _STRANGER
            found.foreign.append(self._foreign("chain", name, why))
            found.strange.update([name] if alike else [])

    def _counters(self, listed: wire.Listing, found: Known) -> None:
        for name in listed.counters:
            chain = name.rpartition("/")[0]
            if chain in found.chains:
                found.counters.setdefault(chain, set()).add(name)
            else:
                found.foreign.append(self._foreign("counter", name))

    def _contents(self, listed: wire.Listing, found: Known) -> None:
        keys = [key for key in map(self.names.key, found.chains) if key is not None]
        found.objects.update({key: self.schedule(key, listed) for key in keys if key.kind is Kind.SCHEDULE})
        for key in keys:
            if key.kind is Kind.RULE_LIST:
                found.objects[key] = self.rule_list(key, listed, found)
            elif key.kind is Kind.POLICY:
                found.objects[key] = self.policy(key, listed)

    def _enforced(self, listed: wire.Listing, found: Known) -> None:
        """What is reachable from the hook; a policy whose way there is not as it should be reads as another one."""
        tiers = found.tiers
        found.sound = self.is_sound(listed, tiers)
        if not found.sound:
            for tier in tiers:
                found.objects[policy_key(tier)] = Policy(policy_key(tier), (_odd(ENTER),))
        found.reached_by = next(
            (
                chain.name
                for chain in listed.chains.values()
                if chain.hook == "forward"
                and chain.name != HOOK
                and any(rules.mentions(rule, ENTER) for rule in listed.rules.get(chain.name, ()))
            ),
            "",
        )
        if HOOK in found.chains:
            found.objects.update({one.key: one for one in self.attachments(listed)})

    def _reference(self, rule: wire.Rule) -> ObjectKey:
        name = rules.target(rule.expr)
        key = self.names.key(name) if name else None
        if key is None or key.kind is not Kind.RULE_LIST:
            return _odd(name or f"handle-{rule.handle}")
        return key

    def _policy(self, tier: Tier) -> str:
        return self.names.name(policy_key(tier))

    def _is_marked(self, name: str, carried: Mapping[str, str]) -> bool:
        value, comment = self.names.mark(name)
        return carried.get(value) == comment

    def _foreign(self, kind: str, name: str, why: str = _STRANGER) -> Foreign:
        return Foreign(f"{kind} inet {self.names.table} {name}", why)


def attached(found: Known) -> dict[Tier, bool]:
    """For each tier, whether our policy is reachable from the hook."""
    ours = {tier for tier in Tier if found.objects.get(attachment(tier).key) == attachment(tier)}
    return {tier: found.sound and tier in found.tiers and (tier in ours or bool(found.reached_by)) for tier in Tier}


def _odd(name: str) -> ObjectKey:
    return ObjectKey(Kind.RULE_LIST, ODD, KeyScope.CLUSTER, "", name)


def _fits(one: wire.Set, key: ObjectKey, flavour: Flavour | None) -> bool:
    if flavour is not None:
        return one.type == flavour.type and one.intervals == flavour.intervals
    return key.kind is Kind.PORTS and one.type == "inet_service" and one.intervals


def _ports(key: ObjectKey, one: wire.Set) -> Ports:
    try:
        return Ports(key, members.read_ports(one.elem))
    except ValueError:
        return Ports(key, ())
