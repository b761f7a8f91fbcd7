"""The entries of security groups on their way: granted before others are revoked, except where both together would be too many."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from adapters.aws.client import Client
from adapters.aws.compiled import Entry, compiled
from adapters.aws.errors import Meaning, Refusal
from adapters.aws.known import Known
from adapters.aws.reading import Reader
from adapters.aws.room import weights
from bridge.errors import DeviceError, Drifted, Rejected
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Objects

_BLAMED = (Kind.RULE_LIST, Kind.POLICY, Kind.PORTS, Kind.ATTACHMENT)


class Permits:
    """Changes entries, and keeps what is known of them up to date. `ends` is how each object of the whole plan ends."""

    def __init__(
        self, client: Client, reader: Reader, known: Known, ends: Mapping[ObjectKey, DeviceObject | None]
    ) -> None:
        self._client = client
        self._reader = reader
        self._known = known
        self._ends = ends

    def bring(self, objects: Objects, changed: Collection[ObjectKey]) -> None:
        """What the objects ask for. Rejected names the objects among those `changed` whose entries EC2 does not take."""
        wanted, there = self._fitting(objects), self._known.permitted()
        missing: defaultdict[str, set[Entry]] = defaultdict(set)
        for entry in wanted - there.keys():
            missing[entry.group].add(entry)
        going: defaultdict[str, list[str]] = defaultdict(list)
        for entry, rule in there.items():
            if entry not in wanted and self._known.ours(rule):
                going[entry.group].append(rule.id)
        blamed = [key for key in changed if key.kind in _BLAMED] or list(changed)
        for group in sorted({*missing, *going}):
            full = self._full(group, wanted | there.keys(), objects)
            if full:
                self._revoke(group, going[group], blamed)
            self._grant(group, missing[group], blamed)
            if not full:
                self._revoke(group, going[group], blamed)
        if missing or going:
            self._reader.look_at_groups(self._known)

    def revoke_strays(self) -> None:
        """Entries of ours that stand for nothing."""
        going: defaultdict[str, list[str]] = defaultdict(list)
        for rule in self._known.strays():
            going[rule.group].append(rule.id)
        for group, rules in going.items():
            self._revoke(group, rules, ())
        if going:
            self._reader.look_at_groups(self._known)

    # ---- how much fits

    def _fitting(self, objects: Objects) -> frozenset[Entry]:
        """What the objects ask for; of a security group that cannot hold it on the way, only what is wanted in the end as well."""
        wanted = compiled(objects, self._known.places)
        full = {place.group for place in self._known.places if self._full(place.group, wanted, objects)}
        if not full:
            return wanted
        last = {key: value for key, value in {**objects, **self._ends}.items() if value is not None}
        end = compiled(last, self._known.places)
        return frozenset(entry for entry in wanted if entry.group not in full or entry in end)

    def _full(self, group: str, entries: Iterable[Entry], objects: Objects) -> bool:
        """Whether a security group cannot hold these entries of ours beside those of others."""
        own = [entry for entry in entries if entry.group == group]
        found = weights(self._known, objects, own, actual=True)
        return any(weight > self._known.scope.rules for (name, _), weight in found.items() if name == group)

    # ---- calls

    def _grant(self, group: str, entries: Collection[Entry], blamed: Iterable[ObjectKey]) -> None:
        names, lists = self._known.names, self._known.lists
        wanted = [
            (entry.way, lists[entry.source, entry.family].told.id, names.description(entry.source))
            for entry in sorted(entries)
        ]
        most = self._known.scope.changes
        for at in range(0, len(wanted), most):
            part = wanted[at : at + most]
            self._asked(partial(self._client.authorize, group, part, names.entry_tags), blamed)

    def _revoke(self, group: str, rules: Collection[str], blamed: Iterable[ObjectKey]) -> None:
        most, wanted = self._known.scope.changes, sorted(rules)
        for at in range(0, len(wanted), most):
            part = wanted[at : at + most]
            self._asked(partial(self._client.revoke, group, part), blamed)

    def _asked(self, call: Callable[[], None], blamed: Iterable[ObjectKey]) -> None:
        try:
            call()
        except Refusal as refusal:
            refused = refusal
        else:
            return
        raise self._meaning(refused, blamed)

    def _meaning(self, refusal: Refusal, blamed: Iterable[ObjectKey]) -> DeviceError:
        names = [str(key) for key in blamed]
        if refusal.meaning is Meaning.CONFLICT or not names:
            return Drifted(self._client.device, f"a security group is not as it was read: {refusal}")
        return Rejected(self._client.device, dict.fromkeys(names, str(refusal)))
