"""What a consumer has been told of one resource, by uid. Values are shared with the consumer, not copied."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from bridge.cluster.decode import Value
from bridge.cluster.departures import Departure, Departures
from bridge.model.observed import Change, Event, Resource, Undecodable


class Picture:
    """Turns what a list or a watch showed into events, and remembers what has been delivered. For one thread at a time."""

    def __init__(
        self,
        resource: Resource,
        known: Iterable[Value],
        known_at: datetime | None,
        departures: Departures | None = None,
    ) -> None:
        self._resource = resource
        self._objects = {value.uid: value for value in known}
        self._fresh_at = known_at
        self._departures = departures
        self._late: dict[str, datetime] = {}  # objects first seen in a list that has not been completed yet

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def objects(self) -> Mapping[str, Value]:
        """By uid, as they are now."""
        return self._objects

    @property
    def fresh_at(self) -> datetime | None:
        """The last moment at which all of it is known to have been so."""
        return self._fresh_at

    def differing(self, values: Iterable[Value]) -> list[Event]:
        """The upserts that bring the consumer up to these values of a list."""
        known, since = self._objects.get, self._fresh_at
        return [Event(Change.UPSERT, self._resource, value, since) for value in values if known(value.uid) != value]

    def deletion(self, value: Value, since: datetime | None = None) -> Event:
        """A deletion that is proven. The last good value is told where the event's own makes no sense."""
        if isinstance(value, Undecodable):
            value = self._objects.get(value.uid, value)
        return Event(Change.DELETED, self._resource, value, since)

    def delivered(self, events: Iterable[Event], listed_at: datetime | None = None) -> None:
        """The consumer took these. `listed_at` is the time of the page when they come from a list that is still going on."""
        for event in events:
            uid = event.value.uid
            if self._departures is not None and uid:
                self._departures.note(event)
            if event.change is not Change.UPSERT:
                self._objects.pop(uid, None)
            elif uid:
                if listed_at and uid not in self._objects:
                    self._late[uid] = listed_at
                self._objects[uid] = event.value

    def fresh(self, now: datetime) -> None:
        """All of it was so at this moment."""
        self._fresh_at = now
        self._late.clear()

    def missing(self, listed: Collection[str]) -> list[Value]:
        """What the consumer holds and a complete list of these uids does not."""
        if len(listed) == len(self._objects):  # every listed uid is among the objects by now
            return []
        return [value for uid, value in self._objects.items() if uid not in listed]

    def ended(self, missing: Iterable[Value], listed: Collection[str]) -> list[Event]:
        """The ends of those that are proven: seen as an event, or another object has the name now, which is given to one at a time."""
        names = {_name(self._objects[uid]) for uid in listed if uid in self._objects}
        found = []
        for value in missing:
            departure = self._departure(value.uid)
            if departure is not None and departure.change is Change.DELETED:
                found.append(self.deletion(_as_it_went(value, departure), self.last_seen(value)))
            elif _name(value) in names:
                found.append(self.deletion(value, self.last_seen(value)))
        return found

    def vanished(self, value: Value) -> Event:
        """A deletion that is inferred."""
        return Event(Change.GONE, self._resource, value, since=self.last_seen(value))

    def last_seen(self, value: Value) -> datetime | None:
        """The last moment at which the object is known to have been there."""
        return self._late.get(value.uid, self._fresh_at)

    def since(self, known: Collection[Value], known_at: datetime | None) -> list[Event] | None:
        """What brings a consumer that held `known` up to this picture, as lists and watches would have told it.

        None where that cannot be told: something is gone, and nothing here says how.
        """
        objects, ends = self._objects, []
        before = {value.uid: value for value in known}
        names: set[tuple[str, str]] | None = None
        for uid, value in before.items():
            if uid in objects:
                continue
            departure = self._departure(uid)
            if departure is not None:
                since = max((one for one in (known_at, departure.since) if one), default=None)
                ends.append(Event(departure.change, self._resource, _as_it_went(value, departure), since))
                continue
            names = names if names is not None else {_name(one) for one in objects.values()}
            if _name(value) not in names:
                return None
            ends.append(Event(Change.DELETED, self._resource, value, known_at))
        return [
            Event(Change.UPSERT, self._resource, value, known_at)
            for uid, value in objects.items()
            if (held := before.get(uid)) is not value and held != value
        ] + ends

    def _departure(self, uid: str) -> Departure | None:
        return self._departures.of(uid) if self._departures is not None else None


def _name(value: Value) -> tuple[str, str]:
    return getattr(value, "namespace", ""), value.name


def _as_it_went(value: Value, departure: Departure) -> Value:
    return replace(value, resource_version=departure.version)
