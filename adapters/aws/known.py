"""What is known of an account between calls: our lists, what the register says, and the entries of security groups. Never the truth.

A prefix list has a version, and is changed only in the version that was read; so what is known is refused where it is not so any more.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from adapters.aws.compiled import Entry, compiled, families
from adapters.aws.names import KEEPER, Names
from adapters.aws.register import Register
from adapters.aws.scope import FAMILIES, V4, Place, Scope
from adapters.aws.values import AMAZON, PrefixList, Rule
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import Attachment, DeviceObject, FenceState, Foreign, Group, Shard

Spot = tuple[ObjectKey, str]
"""Where members stand: a group or part, and a family."""


@dataclass(frozen=True, slots=True)
class Held:
    """A list of ours, and the members in it."""

    told: PrefixList
    members: frozenset[str]


@dataclass
class Known:
    """The account as last read, moved on by our own changes.

    `others` are the lists that are not ours; `strange` those of them under a name of ours, by that name; `surplus` those of ours that
    should not be there: a second one of the same name, or one that could not be made. `missing` are security groups of the settings that
    are not there.
    """

    names: Names
    scope: Scope
    lists: dict[Spot, Held] = field(default_factory=dict)
    register: PrefixList | None = None
    entries: dict[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    others: list[PrefixList] = field(default_factory=list)
    strange: dict[str, str] = field(default_factory=dict)
    surplus: list[PrefixList] = field(default_factory=list)
    missing: frozenset[str] = frozenset()

    @cached_property
    def said(self) -> Register:
        """What the register says."""
        return Register.of(self.entries)

    def moved(self) -> None:
        """The entries of the register have changed."""
        self.__dict__.pop("said", None)

    @property
    def fence(self) -> FenceState:
        """Who may write."""
        found = self.said.records.get(ObjectKey.fence())
        return found if isinstance(found, FenceState) else FenceState()

    @property
    def account(self) -> str:
        """Whose account it is, where anything of ours or in the security groups tells; a list of others may be shared by theirs."""
        told = [held.told.account for held in self.lists.values()] + [rule.account for rule in self.rules]
        return next(filter(None, [self.register.account if self.register else "", *told]), "")

    @property
    def keeper(self) -> str:
        """Which device of the settings keeps this account for our owner; empty where none says so."""
        return self.register.tags.get(KEEPER, "") if self.register else ""

    # ---- objects

    def objects(self) -> dict[ObjectKey, DeviceObject]:
        """Everything of ours as it was meant when it was written: attachments are there whether or not their entries are."""
        records = self.said.records
        found = {key: value for key, value in records.items() if not isinstance(value, FenceState)}
        found.update((key, self.members(key)) for key, version in self.lists if version == V4)
        return found

    def reported(self) -> dict[ObjectKey, DeviceObject]:
        """Everything of ours as it stands: an attachment is there when the security groups hold what it stands for, and nothing more."""
        found = self.objects()
        attached = [key for key, value in found.items() if isinstance(value, Attachment)]
        if not attached or not self.scope.attach:
            return found
        there = self.permitted()
        for key in attached:
            if not compiled(_alone(found, key), self.scope.places) <= there.keys():
                del found[key]
        if self.strays():
            return {key: value for key, value in found.items() if not isinstance(value, Attachment)}
        return found

    def members(self, key: ObjectKey) -> DeviceObject:
        """A group or part as its lists have it."""
        held = [self.lists[spot].members for version in FAMILIES if (spot := (key, version)) in self.lists]
        members = held[0] if len(held) == 1 else frozenset().union(*held)
        return Group(key, members) if key.kind is Kind.GROUP else Shard(key, members)

    # ---- entries of security groups

    def spots(self) -> dict[str, Spot]:
        """Whose list it is, by id."""
        return {held.told.id: spot for spot, held in self.lists.items()}

    def permitted(self) -> dict[Entry, Rule]:
        """The entries for our lists, whoever made them: two alike cannot stand in one security group."""
        spots = self.spots()
        named = {place.group for place in self.scope.places}
        found = {}
        for rule in self.rules:
            if rule.peer in spots and rule.group in named:
                found[Entry(rule.group, *spots[rule.peer], rule.way)] = rule
        return found

    def strays(self) -> list[Rule]:
        """Entries of ours that stand for nothing that is attached."""
        wanted = compiled(self.objects(), self.scope.places)
        good = {rule.id for entry, rule in self.permitted().items() if entry in wanted}
        return [rule for rule in self.rules if self.ours(rule) and rule.id not in good]

    @property
    def places(self) -> tuple[Place, ...]:
        """The security groups that can be written to."""
        return tuple(place for place in self.scope.places if place.group not in self.missing)

    def unwritten(self, keys: Collection[ObjectKey]) -> dict[ObjectKey, str]:
        """Those of these attachments that do not stand everywhere because security groups are not there, each with what to do."""
        if not self.missing or not self.scope.attach:
            return {}
        objects, found = self.objects(), {}
        for key in keys:
            if key.kind is Kind.ATTACHMENT:
                lacking = {entry.group for entry in compiled(_alone(objects, key), self.scope.places)} & self.missing
                if lacking:
                    found[key] = f"{no_such(lacking)}; the others have their entries"
        return found

    def ours(self, rule: Rule) -> bool:
        """Whether an entry carries our marks."""
        return self.names.owns(rule.description, rule.tags)

    # ---- others

    def foreign(self) -> Iterator[Foreign]:
        """The lists and entries of others, with the reason where they could be taken for ours, or let through more than we do."""
        for one in self.others:
            if one.account != AMAZON:
                why = self.names.resembles(one.name, one.tags)
                yield Foreign(one.id, f"{one.name} {why}" if why else "")
        for rule in self.rules:
            if not self.ours(rule):
                yield Foreign(rule.id, f"lets through more: {rule.peer} to {rule.group}, {rule.way}")

    def count(self) -> int:
        """How many lists the account has, of those that count."""
        others = sum(one.account != AMAZON for one in self.others)
        return others + len(self.lists) + len(self.surplus) + (self.register is not None)

    # ---- moved on by our own changes

    def put(self, spot: Spot, told: PrefixList, members: frozenset[str]) -> None:
        """What a list holds now."""
        self.lists[spot] = Held(told, members)

    def stale(self, value: DeviceObject) -> list[Spot]:
        """Lists of a group or part that it has no members for any more."""
        wanted = () if isinstance(value, Group) and value.shards else families(getattr(value, "members", ()))
        return [spot for version in FAMILIES if version not in wanted and (spot := (value.key, version)) in self.lists]


def _alone(objects: Mapping[ObjectKey, DeviceObject], attachment: ObjectKey) -> dict[ObjectKey, DeviceObject]:
    """As if nothing else were attached."""
    return {key: value for key, value in objects.items() if key == attachment or not isinstance(value, Attachment)}


def no_such(groups: Collection[str]) -> str:
    """What a person does about security groups that are not there."""
    names, them = ", ".join(sorted(groups)), "them" if len(groups) > 1 else "it"
    return f"there is no security group {names}: make {them} again, or take {them} out of attach.securityGroups"
