"""What is known of a device in memory between calls: its contents, which of them are ours, and what others let through."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.lab.devices.memory.contents import Contents, Stored
from bridge.lab.devices.memory.translate import Translator, read
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, FenceState, Foreign
from bridge.model.policy import Tier
from bridge.model.tiers import attachment, policy_key


@dataclass(slots=True)
class Known:
    """The contents as last read and moved on by our own writes, and what of them is ours. Never the truth: the device refuses."""

    terms: Translator
    contents: Contents
    keys: dict[str, ObjectKey] = field(default_factory=dict)
    objects: dict[ObjectKey, DeviceObject] = field(default_factory=dict)

    @classmethod
    def of(cls, terms: Translator, held: Contents, *, attach: bool) -> "Known":
        """Of contents that were read; attachments are objects of ours only where the settings ask for them."""
        known = cls(terms, Contents(dict(held.objects), dict(held.claims), dict(held.places), held.version))
        for name, stored in held.objects.items():
            key = terms.key(name, stored)
            if key is not None:
                known.keys[name] = key
        known.objects = {key: read(held.objects[name].body, key, known.keys) for name, key in known.keys.items()}
        if attach:
            known.objects.update({attachment(tier).key: attachment(tier) for tier in Tier if known.in_force(tier)})
        return known

    @property
    def fence(self) -> FenceState:
        """What our owner's claim says."""
        claim = self.contents.claims.get(self.terms.owner)
        return FenceState(claim.epoch, claim.holder) if claim else FenceState()

    def in_force(self, tier: Tier) -> bool:
        """Whether our policy of this tier is in its place."""
        return self.contents.places.get(tier) == self.terms.name(policy_key(tier))

    def occupied(self, tier: Tier) -> str:
        """What of somebody else's is in the place of a tier; empty when nothing is."""
        return "" if self.in_force(tier) else self.contents.places.get(tier, "")

    def foreign(self) -> Iterator[Foreign]:
        """What is not ours, with the reason where it could be taken for ours or lets through more than we do."""
        more: dict[str, str] = {}
        for name, entry in self.contents.enforced():
            if name not in self.keys and entry.action == "allow":
                sides = f"{', '.join(entry.sources)} to {', '.join(entry.destinations)}"
                more.setdefault(name, f"lets through more: {sides}")
        for name, stored in self.contents.objects.items():
            if name not in self.keys:
                yield Foreign(name, self.terms.resembles(name, stored) or more.get(name, ""))

    def note(self, key: ObjectKey, answer: Stored | None) -> DeviceObject | None:
        """Move on by the answer of a write; what stands there now."""
        name = self.terms.name(key)
        if answer is None:
            self.contents.objects.pop(name, None)
            self.keys.pop(name, None)
            self.objects.pop(key, None)
            return None
        self.contents.objects[name] = answer
        self.keys[name] = key
        self.objects[key] = value = read(answer.body, key, self.keys)
        return value

    def place(self, tier: Tier, held: str) -> DeviceObject | None:
        """Move on by what was put in a place; our attachment where it stands now."""
        key = attachment(tier).key
        self.contents.places[tier] = held
        if held:
            self.objects[key] = attachment(tier)
            return attachment(tier)
        self.contents.places.pop(tier)
        self.objects.pop(key, None)
        return None
