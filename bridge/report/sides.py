"""The devices of a cluster by the policy that they hold: that of the moment that is asked about, or in a freeze that of an earlier time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from bridge.model.baseline import Baseline
from bridge.policy.compiled import Target
from bridge.report.times import time_text
from bridge.report.trace_model import Answer, Decided


@dataclass(frozen=True, slots=True)
class Side:
    """Devices that hold the policy of one time: `as_of`, or of the moment that is asked about. `note` says so to people."""

    targets: tuple[Target, ...]
    as_of: datetime | None = None
    note: str = ""


def sides(targets: Iterable[Target], kept: Mapping[str, Baseline]) -> Iterator[Side]:
    """All of these devices; at least one side, be there devices or not."""
    listed = tuple(targets)
    plain = tuple(target for target in listed if target.name not in kept)
    if plain or not listed:
        yield Side(plain)
    for target in listed:
        found = kept.get(target.name)
        if found is not None:
            yield Side((_as_then(target, found),), found.as_of, _note(found))


def together(answers: Sequence[Answer]) -> Answer:
    """The answers of all sides for one sender as one."""
    first, *others = answers
    if not others:
        return first
    looked = {one.rule: one for answer in reversed(answers) for one in answer.rules}
    order = dict.fromkeys(one.rule for answer in answers for one in answer.rules)
    return Answer(
        first.senders,
        tuple(_decisions(one for answer in answers for one in answer.decisions)),
        tuple(looked[rule] for rule in order),
        tuple(row for answer in answers for row in answer.devices),
    )


def _decisions(listed: Iterable[Decided]) -> Iterator[Decided]:
    """What is decided alike on several devices is one decision; what no device decides counts where none does."""
    found: dict[Decided, list[str]] = {}
    for one in listed:
        found.setdefault(msgspec.structs.replace(one, devices=()), []).extend(one.devices)
    some = any(found.values())
    for one, devices in found.items():
        if devices or not some:
            yield msgspec.structs.replace(one, devices=tuple(devices))


def _as_then(target: Target, kept: Baseline) -> Target:
    """As the settings said of it when its freeze began."""
    stance = kept.stance
    namespaces = None if stance.namespaces is None else frozenset(stance.namespaces)
    return replace(target, defaults=stance.defaults, accept_shared=stance.accept_shared, namespaces=namespaces)


def _note(kept: Baseline) -> str:
    end = f"until {time_text(kept.until)}" if kept.until else "without an end in sight"
    then = f"that was accepted by {time_text(kept.as_of)}" if kept.as_of else "of its beginning"
    return f"{kept.device} is frozen {end} ({', '.join(kept.names)}): it keeps to the policy {then}"
