"""Where one object of the cluster stands on one device, judged from the recorded rows alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.policy import Ref
from bridge.model.reasons import Reason
from bridge.policy.withhold import not_in_force, with_withheld
from bridge.state.desired import ObjectState
from bridge.state.policy_picture import DeviceRow, Placed, PolicyPicture, Unfinished

ALWAYS = datetime.min.replace(tzinfo=UTC)
_UNKNOWN_DEVICE = DeviceRow("not read yet")
_REFUSED = (ObjectState.QUARANTINED, ObjectState.UNSUPPORTED)
_LASTING = {ObjectState.HELD: ""}  # how much is held changes as pods come and go
_FOR_A_PERSON = ("denied", "stopped")  # states of a device that trying again does not end
_STATED = (*_REFUSED, ObjectState.HELD)  # what a row says of itself, the first of these
_RULE_KINDS = {
    Scope.CLUSTER: "ClusterEgressRule",
    Scope.NAMESPACE: "NamespaceEgressRule",
    Scope.SERVICE: "ServiceEgressRule",
}
_LIST = f"{Kind.RULE_LIST}:"
_PLAN = "the bridge only plans for it (mode: plan) and writes nothing there"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one object stands on one device; `words` are the device's or the compiler's own, "" for none.

    `holds`: the device was seen to hold the version in force, whether or not it enforces it. `lasting`: as long as it stays so the
    words may differ each time and hardly matter; the value tells apart what is not the same.
    """

    device: str
    reason: Reason
    words: str = ""
    holds: bool = False
    lasting: str | None = None

    @property
    def mark(self) -> str:
        """What is amiss, and where."""
        return f"{self.device}:{self.reason}" + (f":{self.lasting}" if self.lasting else "")


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A change is on its way and not late: nothing is said yet, at `until` at the latest."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """How an object is judged. `fresh`: its version in force was never told of as standing on the device; `since` is its time, if known.

    `hurry`: it was unsettled for long, so what is still on its way is told as that.
    """

    fresh: bool = False
    since: datetime | None = None
    hurry: bool = False


class Standings:
    """Judges by one picture, at one moment. What waits for less than `patience` does not count: pods come and go all the time.

    Nobody can have served what waits before `began`, so it counts from there.
    """

    def __init__(self, picture: PolicyPicture, now: datetime, patience: timedelta, began: datetime = ALWAYS) -> None:
        self._picture = picture
        self._now = now
        self._patience = patience
        self._began = began
        self._withheld = {device: self._withheld_lines(device) for device in picture.lists}

    def of(self, ref: Ref, placed: Placed, asked: Asked) -> Standing | Unsettled:
        """How the object stands on the device of `placed`: the first thing that holds of the order in docs/status.md."""
        name = placed.device
        if placed.reason:
            return Standing(name, Reason(placed.reason), placed.message)
        device = self._picture.devices.get(name, _UNKNOWN_DEVICE)
        listed = self._rows(placed)
        if not listed and name not in self._withheld and not self._loose(placed, device):
            return Standing(name, Reason.PROGRAMMED, placed.message, holds=True)
        rows = list(listed.values())
        found = (
            self._planned(name, device, rows)
            or self._on_its_way(rows, asked)
            or self._stated(name, rows)
            or self._withheld_from(ref, placed, listed)
            or self._late(name, device, rows)
            or self._undeployed(name, rows, asked)
            or self._unattached(placed, device, listed, asked)
        )
        return found or Standing(name, Reason.PROGRAMMED, placed.message, holds=True)

    def _rows(self, placed: Placed) -> dict[str, Unfinished]:
        unfinished = self._picture.unfinished
        return {key: row for key in placed.keys if (row := unfinished.get((placed.device, key))) is not None}

    def _planned(self, name: str, device: DeviceRow, rows: Iterable[Unfinished]) -> Standing | None:
        if device.mode == "plan" and any(row.waiting_since for row in rows):
            return Standing(name, Reason.PENDING, _PLAN)
        return None

    def _on_its_way(self, rows: Iterable[Unfinished], asked: Asked) -> Unsettled | None:
        """A new version is told of once it stands, or is late. Later changes of its groups do not count as its own."""
        if not asked.fresh:
            return None
        times = [
            since
            for row in rows
            if (since := row.waiting_since)
            and not self._over(since)
            and (not row.applied or (since <= asked.since if asked.since else not asked.hurry))
        ]
        if not asked.hurry:
            deploying = (row.verified_at for row in rows if row.state is ObjectState.AWAITING_DEPLOY)
            times += [time for time in deploying if time and not self._over(time)]
        return Unsettled(min(times) + self._patience) if times else None

    def _stated(self, name: str, rows: Sequence[Unfinished]) -> Standing | None:
        for state in _STATED:
            for row in rows:
                if row.state is state:
                    return Standing(name, Reason(state), row.message, lasting=_LASTING.get(state))
        return None

    def _withheld_from(self, ref: Ref, placed: Placed, rows: Mapping[str, Unfinished]) -> Standing | None:
        """A rule by its own lines; besides, whoever uses a group that nobody may join meanwhile."""
        lines = self._withheld.get(placed.device, {})
        for key in placed.keys if placed.tier else ():
            if (ref.namespace, ref.label) in lines.get(key, {}):
                return Standing(placed.device, Reason.WITHHELD, lines[key][ref.namespace, ref.label])
        for key, row in rows.items():
            if row.state is ObjectState.WITHHELD and not key.startswith(_LIST):
                return Standing(placed.device, Reason.WITHHELD, row.message)
        return None

    def _late(self, name: str, device: DeviceRow, rows: Iterable[Unfinished]) -> Standing | None:
        if not any(row.waiting_since and self._over(row.waiting_since) for row in rows):
            return None
        if device.state == "ok":
            return Standing(name, Reason.PENDING)
        kind = device.state if device.state in _FOR_A_PERSON else ""
        return Standing(name, Reason.DEVICE_UNREACHABLE, device.message or device.state, lasting=kind)

    def _undeployed(self, name: str, rows: Iterable[Unfinished], asked: Asked) -> Standing | None:
        hurry = asked.fresh and asked.hurry
        for row in rows:
            if row.state is ObjectState.AWAITING_DEPLOY and (
                hurry or not row.verified_at or self._over(row.verified_at)
            ):
                return Standing(name, Reason.AWAITING_DEPLOY, holds=True)
        return None

    def _unattached(
        self, placed: Placed, device: DeviceRow, rows: Mapping[str, Unfinished], asked: Asked
    ) -> Standing | Unsettled | None:
        """Whether a policy is attached is known from a reading of the device after the rule was written there."""
        if not self._loose(placed, device):
            return None
        written = max(
            (row.verified_at for key, row in rows.items() if key.startswith(_LIST) and row.verified_at), default=None
        )
        unread = written and (device.last_read is None or written > device.last_read)
        if written and unread and not self._over(written) and not asked.hurry:
            return Unsettled(written + self._patience)
        return Standing(placed.device, Reason.NOT_ATTACHED, device.attach_by.get(placed.tier, ""), holds=True)

    def _loose(self, placed: Placed, device: DeviceRow) -> bool:
        return bool(placed.tier) and not device.attached.get(placed.tier, True)

    def _over(self, since: datetime) -> bool:
        return max(since, self._began) + self._patience <= self._now

    def _withheld_lines(self, device: str) -> dict[str, dict[tuple[str, str], str]]:
        """By the text of a list's key: the rules whose lines are withheld there, each with the rule that it waits for."""
        lists = self._picture.lists[device]
        refused = [
            ObjectKey.parse(key)
            for (name, key), row in self._picture.unfinished.items()
            if name == device and row.state in _REFUSED
        ]
        first = next((_rule(key, entry.name) for key, entry in not_in_force(lists, refused)), "a rule above it")
        found: dict[str, dict[tuple[str, str], str]] = {}
        for key, each in with_withheld(lists, refused).items():
            rules = {_whose(key, entry.name) for entry in each.entries if entry.withheld}
            if rules:
                found[str(key)] = dict.fromkeys(rules, f"{first} takes precedence and is not in force there")
        return found


def _rule(key: ObjectKey, line: str) -> str:
    """The rule that a line stands for: a line's name is the rule's, and "_" with what it is about."""
    if "_" not in line or key.scope not in _RULE_KINDS:
        return f"the line {line!r} of the bridge"
    return str(Ref.labelled(_RULE_KINDS[key.scope], *_whose(key, line)))


def _whose(key: ObjectKey, line: str) -> tuple[str, str]:
    """The namespace and the label of the rule that a line stands for; in a list of many namespaces its name begins with one."""
    if key.namespace or key.scope is Scope.CLUSTER:
        return key.namespace, line.partition("_")[0]
    namespace, _, rest = line.partition("_")
    return namespace, rest.partition("_")[0]
