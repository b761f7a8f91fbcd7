"""Reading: what is ours, and the names of what only looks so. Nothing that cannot be read stops the rest: it is set aside by name."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from adapters.bigip import wire
from adapters.bigip.attach import Places, Slots
from adapters.bigip.client import Client, Refusal
from adapters.bigip.known import Known
from adapters.bigip.names import COLLECTIONS
from adapters.bigip.translate import Translator
from adapters.bigip.writes import rest
from bridge.errors import Denied
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Foreign

_RULES = (Kind.RULE_LIST, Kind.POLICY)
LISTED = (Kind.GROUP, Kind.PORTS, Kind.RULE_LIST, Kind.POLICY)
_UNMARKED = "stands in our folder without our mark"
_NAMED = "has our name prefix and is not ours"


@dataclass(slots=True)
class Found:
    """What a read has found so far."""

    objects: dict[ObjectKey, DeviceObject] = field(default_factory=dict)
    foreign: list[Foreign] = field(default_factory=list)
    policies: list[wire.RuleHolder] = field(default_factory=list)


class Reader:
    """Reads the objects of one device."""

    def __init__(self, client: Client, translator: Translator) -> None:
        self._client = client
        self._translator = translator

    def everything(self, partition: str = "", kinds: Collection[Kind] = LISTED) -> Found:
        """All objects of ours, everything that could be mistaken for ours, and every policy: of the device, or of one partition."""
        found = Found()
        for kind in kinds:
            for raw in self._client.items(COLLECTIONS[kind], expand=kind in _RULES, partition=partition):
                self._take(kind, raw, found)
                if kind is Kind.POLICY:
                    found.policies.extend(_policy(raw))
        return found

    def named(self, keys: Iterable[ObjectKey]) -> Found:
        """These objects, as far as they are there."""
        found = Found()
        for key in sorted(keys):
            raw = self.raw(key)
            if raw is not None:
                self._take(key.kind, raw, found)
        return found

    def raw(self, key: ObjectKey) -> bytes | None:
        """The answer for one object, its rules with it; None when there is none. Raises Busy, Denied."""
        query = {"expandSubcollections": "true"} if key.kind in _RULES else None
        path = rest(self._translator, key)
        try:
            return self._client.get(path, query)
        except Refusal as refusal:
            if refusal.status == 404:
                return None
            raise self._client.denied(path, refusal) from None

    def one(self, key: ObjectKey, raw: bytes) -> DeviceObject | None:
        """The object of ours that the answer shows, None when it is not ours or not to be read."""
        try:
            return self._translator.read(key.kind, raw)
        except msgspec.MsgspecError:
            return None

    def _take(self, kind: Kind, raw: bytes | msgspec.Raw, found: Found) -> None:
        path, description = _labels(raw)
        names = self._translator.names
        if not names.looks_ours(path, description) or names.is_enforced(path, description):
            return
        try:
            value = self._translator.read(kind, raw)
        except msgspec.MsgspecError:
            found.foreign.append(Foreign(path, "cannot be read"))
            return
        if value is not None:
            found.objects[value.key] = value
        elif description.startswith(names.mark_prefix):
            found.foreign.append(Foreign(path, "has our mark and another name"))
        else:
            found.foreign.append(Foreign(path, _UNMARKED if names.in_folder(path) else _NAMED))


def schedules(reader: Reader, known: Known, *, wanted: bool) -> Found:
    """Those of ours, also where the settings want none any more, until none is there. AS3 makes no rule that names one."""
    if known.names.tenant or not (wanted or known.scheduled):
        return Found()
    try:
        found = reader.everything(kinds=(Kind.SCHEDULE,))
    except Denied:
        if wanted:
            raise
        return Found()  # the account need not be allowed to read what nobody wants
    known.scheduled = bool(found.objects)
    return found if wanted else Found(found.objects)


def places(slots: Slots, found: Found) -> Places:
    """What is enforced where."""
    return slots.places(found.policies)


def serial(client: Client) -> str:
    """The serial of the unit that answers; empty where it does not say."""
    units: list[wire.Cluster] = []
    for raw in client.items("cm/device"):
        try:
            units.append(msgspec.json.decode(raw, type=wire.Cluster))
        except msgspec.MsgspecError:
            continue
    own = [unit for unit in units if unit.answers] or units
    return own[0].chassis_id if len(own) == 1 else ""


def compiled(statistics: wire.Statistics) -> bool:
    """Whether the statistics of the firewall's contexts say that nothing waits to be compiled. What they do not say is not claimed."""
    return all(
        (waiting := context.nested.entries.get("compilePending")) is not None and waiting.description == "no"
        for context in statistics.entries.values()
    )


def _labels(raw: bytes | msgspec.Raw) -> tuple[str, str]:
    """Full path and description, as far as they can be read."""
    try:
        item = msgspec.json.decode(raw, type=wire.Item)
    except msgspec.MsgspecError:
        loose = msgspec.json.decode(raw)
        shown = loose if isinstance(loose, dict) else {}
        return str(shown.get("fullPath", shown.get("name", ""))), str(shown.get("description", ""))
    return item.full_path or item.name, item.description


def _policy(raw: msgspec.Raw) -> Iterator[wire.RuleHolder]:
    try:
        yield msgspec.json.decode(raw, type=wire.RuleHolder)
    except msgspec.MsgspecError:
        return
