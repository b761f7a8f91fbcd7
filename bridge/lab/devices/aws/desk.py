"""What the handlers of the actions share: who calls with what, the account, and the way to note a change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.lab.devices.aws.answers import invalid
from bridge.lab.devices.aws.store import Author
from bridge.lab.devices.aws.values import check_tags

if TYPE_CHECKING:
    from bridge.lab.devices.aws.simulator import Aws

Told = dict[str, Any]
"""An answer by the names of the API."""


@dataclass(frozen=True)
class Desk:
    """One call; `given` are its parameters by their names in the API."""

    device: "Aws"
    author: Author
    given: Mapping[str, Any]

    def touch(self, *names: str) -> None:
        """Note that this call changed these."""
        self.device.store.record(names, self.author)

    def tags(self, kind: str) -> dict[str, str]:
        """The tags for what the call makes; Refusal where they are for something else, or cannot be."""
        found: list[Mapping[str, str]] = []
        for one in self.given.get("TagSpecifications") or []:
            if one.get("ResourceType") != kind:
                raise invalid(f"'{one.get('ResourceType')}' is not a valid taggable resource type for this operation.")
            found += one.get("Tags") or []
        check_tags(found, self.device.limits.tags)
        return {tag["Key"]: tag.get("Value") or "" for tag in found}
