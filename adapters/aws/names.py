"""Names and marks: what a prefix list of ours is called, and what is written on it and on entries of security groups.

A prefix list is ours when its tags say so and its name is the one that they lead to. Its name is not what tells it: names are not unique
there, and a list of our name without our tags stops that object. An entry is ours when its tag and the beginning of its description agree.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.aws.scope import FAMILIES, V4
from bridge.model.identity import Kind, ObjectKey

OWNER, OBJECT, MORE = "fusionbridge.io/owner", "fusionbridge.io/object", "fusionbridge.io/object-more"
KEEPER = "fusionbridge.io/device"
NAME_LENGTH, TAG_LENGTH, DESCRIPTION_LENGTH = 255, 256, 255

_ODD = re.compile(r"[^A-Za-z0-9 ._\-:/()#,@\[\]+=;{}!$*]")
_SUFFIX = {V4: "ipv4", "IPv6": "ipv6"}
_MEMBERS = (Kind.GROUP, Kind.SHARD)


@dataclass(frozen=True, slots=True)
class Names:
    """For one owner."""

    owner: str

    @property
    def register(self) -> str:
        """What the list is called that holds rules, ports and the fence."""
        return f"{self.owner}/register"

    def stem(self, key: ObjectKey) -> str:
        """What the lists of a group or part have in common."""
        part = f"/{key.part}" if key.part else ""
        return f"{self.owner}/{key.cluster}/{key.scope}/{key.namespace}/{key.name}{part}"

    def name(self, key: ObjectKey, family: str) -> str:
        """What the list of this family is called: at most 255 characters, and never two alike."""
        if key.kind is Kind.FENCE:
            return self.register
        full = f"{self.stem(key)}/{_SUFFIX[family]}"
        plain = _ODD.sub("_", full)
        if plain == full and len(full) <= NAME_LENGTH:
            return full
        digest = hashlib.sha256(full.encode()).hexdigest()[:16]
        return f"{plain[: NAME_LENGTH - 22]}-{digest}/{_SUFFIX[family]}"

    def tags(self, key: ObjectKey) -> dict[str, str]:
        """What is written on a list."""
        text = str(key)
        more = {MORE: text[TAG_LENGTH:]} if len(text) > TAG_LENGTH else {}
        return {OWNER: self.owner, OBJECT: text[:TAG_LENGTH], **more}

    def register_tags(self, device: str) -> dict[str, str]:
        """What is written on the register: which device of the settings keeps the account as well."""
        return {**self.tags(ObjectKey.fence()), KEEPER: device}

    def key(self, name: str, family: str, tags: Mapping[str, str]) -> ObjectKey | None:
        """What a list of ours holds; None for any other."""
        if tags.get(OWNER) != self.owner or family not in FAMILIES:
            return None
        try:
            key = ObjectKey.parse(tags.get(OBJECT, "") + tags.get(MORE, ""))
        except ValueError:
            return None
        if key.kind not in _MEMBERS and key != ObjectKey.fence():
            return None
        return key if self.name(key, family) == name else None

    def resembles(self, name: str, tags: Mapping[str, str]) -> str:
        """Why a list that is not ours could be taken for ours; empty when it could not."""
        if name.startswith(f"{self.owner}/"):
            return "has a name of ours and not our tags"
        return "has our tags and another name" if tags.get(OWNER) == self.owner else ""

    def names(self, key: ObjectKey) -> tuple[str, ...]:
        """Every name under which something of a key can stand."""
        return tuple(self.name(key, one) for one in FAMILIES) if key.kind in _MEMBERS else ()

    # ---- entries of security groups

    @property
    def entry_tags(self) -> dict[str, str]:
        """What is written on an entry."""
        return {OWNER: self.owner}

    def description(self, key: ObjectKey) -> str:
        """By what a person knows an entry: whom it lets in."""
        return _ODD.sub("_", self.stem(key))[:DESCRIPTION_LENGTH]

    def owns(self, description: str, tags: Mapping[str, str]) -> bool:
        """Whether an entry is ours."""
        return tags.get(OWNER) == self.owner and description.startswith(f"{self.owner}/")
