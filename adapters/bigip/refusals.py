"""What a refused write means, from the device's status and words. Pure."""

import re
from collections.abc import Sequence

from adapters.bigip.client import Refusal
from adapters.bigip.names import PARTITION, Names
from adapters.bigip.writes import Change
from bridge.model.identity import Kind
from bridge.model.plan import Op

_TITLES = {
    Kind.GROUP: "address list",
    Kind.SHARD: "address list",
    Kind.PORTS: "port list",
    Kind.SCHEDULE: "schedule",
    Kind.RULE_LIST: "rule list",
    Kind.POLICY: "policy",
}
_GONE = ("was not found", "do not point at an item")
_EXISTS = "already exists"
_MISSING = re.compile(rf"\((/{PARTITION}/[A-Za-z0-9_./-]+)\)")


def means_exists(refusal: Refusal) -> bool:
    """Whether something of that name stands there already."""
    return refusal.status == 409 or _EXISTS in refusal.text


def means_gone(refusal: Refusal, names: Names) -> bool:
    """Whether something of ours that should be there is not: the device is not as it was read.

    What is missing elsewhere, such as an iRule that the settings name, was never ours to be read, and reading again makes nothing better.
    """
    if not (refusal.status == 404 or any(words in refusal.text for words in _GONE)):
        return False
    missing = _MISSING.search(refusal.text)
    return missing is None or names.in_folder(f"{missing.group(1)}/") or names.in_folder(missing.group(1))


def blamed(refusal: Refusal, changes: Sequence[Change], names: Names) -> Change | None:
    """The change that the device's words name: the first path in them that is one of ours; None when that is not certain."""
    if len(changes) == 1:
        return changes[0]
    for match in re.finditer(rf"{re.escape(names.folder)}/[A-Za-z0-9_.-]+", refusal.text):
        path = match.group().rstrip(".")
        named = [change for change in changes if names.path(change.step.key) == path]
        if len(named) > 1:
            before = refusal.text[: match.start()].lower()
            named = [change for change in named if before.rstrip(" (").endswith(_TITLES[change.step.key.kind])]
        if len(named) == 1:
            return named[0]
        if named:
            return None
    return None


def is_creation(change: Change) -> bool:
    """Whether the change makes the object."""
    return change.step.op is Op.CREATE
