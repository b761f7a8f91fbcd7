"""From words to a page of history: which of the things that they can mean are recorded, and what is told of one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bridge.model.identity import ObjectKey
from bridge.report import history
from bridge.report.history import Timeline
from bridge.report.subject import Subject, What, objects_called, rule_lists
from bridge.state.history_store import Asked, HistoryStore, Page
from bridge.state.past import DeviceChange, Membership, Standing
from bridge.state.reported import LeaseRecord

_NEVER = datetime.max.replace(tzinfo=UTC)
_ONE = Asked(1)


@dataclass(frozen=True, slots=True)
class Told:
    """A page of the history of `subject`, and where the next one starts; "" where there is none."""

    subject: str
    timeline: Timeline
    next: str

    @property
    def known(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.timeline.rows or self.timeline.notes or self.next)


class Past:
    """The history of these clusters; `cluster` is set where one was asked for. Raises as the store does."""

    def __init__(self, store: HistoryStore, clusters: Sequence[str], cluster: str | None) -> None:
        self._store = store
        self._clusters = clusters
        self._cluster = cluster

    def recorded(self, subjects: Iterable[Subject]) -> list[Subject]:
        """Those of which anything is recorded, each by itself; where they can mean one thing only, that."""
        found = [one for subject in subjects for one in self._each(subject)]
        return found if len(found) == 1 else [one for one in found if self._known(one)]

    def told(self, subject: Subject, asked: Asked) -> Told:
        """One page about it. ValueError when `asked.start` is no place in its history."""
        page, timeline = self._page(subject, asked)
        return Told(str(subject), timeline, page.next)

    def _each(self, subject: Subject) -> list[Subject]:
        """Groups and other objects by their keys, rules by their kinds."""
        if subject.what is What.GROUP and subject.key is None:
            groups = [key for cluster in self._clusters for key in self._store.groups(cluster)]
            return objects_called(subject.name, self._clusters, groups)
        if subject.what is What.RULE:
            return [replace(subject, kinds=(kind,)) for kind in subject.kinds]
        return [subject]

    def _known(self, subject: Subject) -> bool:
        if subject.what is What.DEVICE:
            return self._store.knows_device(subject.name)
        if subject.what is What.RULE and self._standings(subject):
            return True
        page, _ = self._page(subject, _ONE)
        return bool(page.rows or page.next)

    def _page(
        self, subject: Subject, asked: Asked
    ) -> tuple[Page[LeaseRecord] | Page[Membership] | Page[DeviceChange], Timeline]:
        store, name = self._store, str(subject)
        match subject.what:
            case What.ADDRESS:
                leases = store.leases_of_address(subject.name, asked, self._cluster)
                return leases, history.of_address(subject.name, leases.rows, self._groups(leases.rows))
            case What.POD | What.UID:
                leases = self._leases(subject, asked)
                return leases, history.of_pod(name, leases.rows)
            case What.GROUP if store.knows_group(_key(subject)):
                members = store.memberships_of_group(_key(subject), asked)
                return members, history.of_group(name, members.rows)
            case What.RULE:
                return self._rule(subject, asked)
            case What.DEVICE:
                changes = store.changes_of_device(subject.name, asked)
                return changes, history.of_changes(name, changes.rows)
            case _:  # an object that has no members of its own: what was done with it on devices
                changes = store.changes_of_objects([name], asked)
                return changes, history.of_changes(name, changes.rows)

    def _leases(self, subject: Subject, asked: Asked) -> Page[LeaseRecord]:
        if subject.what is What.UID:
            if asked.start:
                raise ValueError("the history of one pod has one page")
            return Page(self._store.leases_of_uid(subject.name, asked.limit))
        return self._store.leases_of_pod(subject.namespace, subject.name, asked, self._cluster)

    def _rule(self, subject: Subject, asked: Asked) -> tuple[Page[DeviceChange], Timeline]:
        changes = self._store.changes_of_rule(rule_lists(subject, self._clusters), subject.name, asked)
        notes = [history.standing_note(one) for one in self._standings(subject)]
        sources = history.source_groups(changes.rows, subject.name)
        notes += [f"its source: {key} (who came and went: fusion-bridge history {key})" for key in sources]
        return changes, history.of_changes(str(subject), changes.rows, subject.name, notes)

    def _standings(self, subject: Subject) -> tuple[Standing, ...]:
        return self._store.standings(subject.kinds, subject.namespace, subject.name, self._cluster)

    def _groups(self, leases: Sequence[LeaseRecord]) -> dict[LeaseRecord, list[Membership]]:
        """In which groups the address was while each of these held it."""
        found: dict[LeaseRecord, list[Membership]] = {}
        for cluster in {one.cluster for one in leases}:
            here = [one for one in leases if one.cluster == cluster]
            first, last = min(one.t1 for one in here), max(one.t2 or _NEVER for one in here)
            namespaces = {one.namespace for one in here}
            memberships = self._store.memberships(cluster, here[0].address, namespaces, first, last)
            for lease in here:
                found[lease] = [one for one in memberships if _meet(lease, one)]
        return found


def _key(subject: Subject) -> ObjectKey:
    if subject.key is None:
        raise ValueError(f"{subject} has no key yet")
    return subject.key


def _meet(lease: LeaseRecord, membership: Membership) -> bool:
    """Whether the address was in the group for this workload: at the same time, and the group can select it."""
    together = membership.t1 < (lease.t2 or _NEVER) and lease.t1 < (membership.t2 or _NEVER)
    return together and membership.group.namespace in ("", lease.namespace)
