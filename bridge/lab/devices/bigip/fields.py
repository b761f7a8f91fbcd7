"""How an attribute is read, kept and shown: the shapes of value that BIG-IP objects are made of.

A value is checked and brought into the device's own spelling when it comes in; what is kept is immutable.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bridge.lab.devices.bigip.answers import ApiError, bad_value, unknown_property

Json = dict[str, Any]
Key = tuple[str, str]
"""Collection and full path."""


@dataclass(slots=True)
class Limits:
    """What fits; every figure can be set, for none of them is documented."""

    members: int = 50_000
    objects: int = 20_000
    rules: int = 5_000
    name: int = 255
    description: int = 255
    record: int = 65_520
    body: int = 32 * 1024 * 1024
    transaction: int = 5_000


@dataclass(frozen=True, slots=True)
class Field:
    """One attribute: how what was sent becomes what is kept, and how that is shown. `target` is the collection that it refers to."""

    parse: Callable[[str, Any, Limits], Any]
    show: Callable[[Any], Any] = lambda value: value
    target: str = ""

    def references(self, value: Any) -> Iterable[Key]:  # noqa: ANN401
        """What the kept value refers to."""
        if not self.target or not value:
            return ()
        paths = (value,) if isinstance(value, str) else value
        return ((self.target, path) for path in paths)


def text(limit: str = "description") -> Field:
    """Text no longer than the named limit."""

    def parse(name: str, raw: object, limits: Limits) -> str:
        if raw is None:
            return ""
        most: int = getattr(limits, limit)
        if not isinstance(raw, str):
            raise bad_value(name, raw, "text wanted")
        if len(raw) > most:
            raise ApiError(400, f"01070712:3: Max string size exceeded for {name}: {len(raw)} > {most}.")
        return raw

    return Field(parse)


def choice(*options: str) -> Field:
    """One of a few words."""

    def parse(name: str, raw: object, _limits: Limits) -> str:
        if raw not in options:
            raise bad_value(name, raw, "one of " + ", ".join(options))
        return str(raw)

    return Field(parse)


def number(least: int, most: int) -> Field:
    """A number within bounds."""

    def parse(name: str, raw: object, _limits: Limits) -> int:
        if isinstance(raw, bool) or not str(raw).isdecimal() or not least <= int(str(raw)) <= most:
            raise bad_value(name, raw, f"a number from {least} to {most}")
        return int(str(raw))

    return Field(parse)


def single(canonical: Callable[[str], str]) -> Field:
    """One value in the device's own spelling."""

    def parse(name: str, raw: object, _limits: Limits) -> str:
        try:
            return canonical(str(raw))
        except ValueError as error:
            raise bad_value(name, raw, str(error)) from None

    return Field(parse)


def named(canonical: Callable[[str], str]) -> Field:
    """A set of `{"name": value}`, plain values too; kept sorted, a value twice is refused."""

    def parse(name: str, raw: object, limits: Limits) -> tuple[str, ...]:
        entries = [_entry(name, one) for one in _array(name, raw)]
        if len(entries) > limits.members:
            raise ApiError(
                400, f"01070911:3: {len(entries)} entries in {name} are more than the maximum of {limits.members}."
            )
        try:
            kept = [canonical(one) for one in entries]
        except ValueError as error:
            wrong = next(one for one in entries if not _taken(canonical, one))
            raise bad_value(name, wrong, str(error)) from None
        if len(set(kept)) != len(kept):
            twice = next(one for at, one in enumerate(kept) if one in kept[:at])
            raise ApiError(409, f"01020066:3: The requested {name} entry ({twice}) already exists in the list.")
        return tuple(sorted(kept))

    return Field(parse, lambda kept: [{"name": one} for one in kept])


def _taken(canonical: Callable[[str], str], raw: str) -> bool:
    try:
        canonical(raw)
    except ValueError:
        return False
    return True


def _array(name: str, raw: object) -> list[Any]:
    if raw is None or raw == "none":
        return []
    if not isinstance(raw, list):
        raise bad_value(name, raw, "a list wanted")
    return raw


def _entry(name: str, raw: object) -> str:
    if isinstance(raw, dict):
        if set(raw) != {"name"}:
            extra = next((key for key in raw if key != "name"), "name")
            raise unknown_property(f"{name}/{extra}")
        raw = raw["name"]
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise bad_value(name, raw, "text wanted")
    return str(raw).strip()


def reference(target: str) -> Field:
    """The full path of one object, or nothing."""

    def parse(name: str, raw: object, _limits: Limits) -> str:
        return "" if raw in (None, "", "none") else full_path(name, raw)

    return Field(parse, target=target)


def references(target: str) -> Field:
    """The full paths of several objects, each once."""

    def parse(name: str, raw: object, _limits: Limits) -> tuple[str, ...]:
        paths = [full_path(name, one) for one in _array(name, raw)]
        if len(set(paths)) != len(paths):
            raise ApiError(409, f"01020066:3: The requested {name} entry is given twice.")
        return tuple(sorted(paths))

    return Field(parse, list, target)


def full_path(name: str, raw: object) -> str:
    """`/P/n`, `n` (in /Common), or `{partition, subPath, name}`."""
    if isinstance(raw, dict) and isinstance(raw.get("name"), str):
        parts = (raw.get("partition", "Common"), raw.get("subPath", ""), raw["name"])
        raw = raw["name"] if raw["name"].startswith("/") else "/" + "/".join(part for part in parts if part)
    if not isinstance(raw, str) or not raw:
        raise bad_value(name, raw, "the full path of an object wanted")
    return raw if raw.startswith("/") else f"/Common/{raw}"


def anything() -> Field:
    """Kept as it came: attributes of objects that the firewall does not look at."""
    return Field(lambda _name, raw, _limits: raw)


def records() -> Field:
    def parse(name: str, raw: object, limits: Limits) -> tuple[tuple[str, str], ...]:
        records: dict[str, str] = {}
        for one in _array(name, raw):
            if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not set(one) <= {"name", "data"}:
                raise bad_value(name, one, "records are {name, data}")
            if one["name"] in records:
                raise ApiError(
                    409, f"01020066:3: The requested class item ({one['name']}) already exists in the data group."
                )
            data = str(one.get("data", ""))
            if max(len(data), len(one["name"])) > limits.record:
                raise ApiError(400, f"01070712:3: Max string size exceeded: {max(len(data), len(one['name']))}.")
            records[one["name"]] = data
        return tuple(sorted(records.items()))

    return Field(parse, lambda kept: [{"name": name, "data": data} if data else {"name": name} for name, data in kept])
