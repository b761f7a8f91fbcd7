"""Attachment: our policy in a place where one policy is enforced; the only write to an object that is not ours (SEMANTICS 7).

We write to an empty place only, never replace what stands there, and take out only what is still ours. A site that has a policy
of its own can refer to our rule lists from it instead: that counts as attached once every list of the tier is referred to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from adapters.bigip import wire
from adapters.bigip.client import Client, Refusal
from adapters.bigip.names import Names
from adapters.bigip.slots import Slot
from bridge.errors import Busy, Drifted
from bridge.model.identity import ObjectKey
from bridge.model.intent import Attachment, DeviceObject, Objects, Policy
from bridge.model.plan import Op, Step
from bridge.model.policy import Tier
from bridge.model.tiers import attachment, policy_key, tier_of

_PROFILES = "securityLogProfiles"


@dataclass(frozen=True, slots=True)
class Places:
    """What stands in each place, by tier (empty: nothing), and which lists each site policy refers to.

    `unlogged` are the tiers whose place lacks the log profile that the settings name.
    """

    holders: Mapping[Tier, str]
    site_lists: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unlogged: frozenset[Tier] = frozenset()

    def attached(self, objects: Objects, names: Names) -> dict[Tier, bool]:
        """For each tier, whether our policy is reachable from an enforced place."""
        return {tier: self._reachable(tier, objects, names) for tier in Tier}

    def attachments(self, names: Names) -> dict[ObjectKey, DeviceObject]:
        """The attachments that hold our policy, whole: one without its log profile is to be made again."""
        ours = {tier for tier, path in self.holders.items() if path == names.path(policy_key(tier))}
        return {one.key: one for one in map(attachment, sorted(ours - self.unlogged))}

    def _reachable(self, tier: Tier, objects: Objects, names: Names) -> bool:
        holder = self.holders.get(tier, "")
        if holder == names.path(policy_key(tier)):
            return True
        policy = objects.get(policy_key(tier))
        if not holder or not isinstance(policy, Policy) or not policy.lists:
            return False
        return {names.path(key) for key in policy.lists} <= self.site_lists.get(holder, frozenset())


class Slots:
    """The places of one device, read and written over REST."""

    def __init__(self, client: Client, names: Names, slots: Mapping[Tier, Slot]) -> None:
        self._client = client
        self._names = names
        self._slots = slots

    def places(self, policies: Iterable[wire.RuleHolder] = ()) -> Places:
        """What stands in each place now. A place that does not exist holds nothing."""
        found = {tier: self._client.find(slot.rest, wire.Slot) or wire.Slot() for tier, slot in self._slots.items()}
        unlogged = (tier for tier, place in found.items() if _unlogged(self._slots[tier], place))
        return Places({tier: _held(place) for tier, place in found.items()}, site_lists(policies), frozenset(unlogged))

    def hint(self, tier: Tier) -> str:
        """The one line that attaches our policy by hand."""
        path = self._names.path(policy_key(tier))
        if tier in self._slots:
            return self._slots[tier].hint(path)
        return f"tmsh modify ltm virtual <virtual server> fw-enforced-policy {path}"

    def advice(self, tier: Tier, holder: str) -> str:
        """How a person attaches our policy, `holder` being what stands in its place; empty for nothing."""
        if not holder:
            return self.hint(tier)
        return (
            f"{self._slots[tier].shown} holds {holder}, which is not replaced; attach by: {self.hint(tier)}, "
            f"or refer to our rule lists from {holder}"
        )

    def apply(self, step: Step) -> tuple[Attachment | None, str]:
        """Attach or detach; what stands there of ours afterwards, and why it was refused where it was."""
        tier = tier_of(step.key)
        slot, ours = self._slots.get(tier), self._names.path(policy_key(tier))
        if slot is None:
            return None, f"the settings name no place for this tier; attach by: {self.hint(tier)}"
        place = self._client.find(slot.rest, wire.Slot)
        holder = _held(place) if place else ""
        if step.op is Op.DELETE:
            if place is not None and holder == ours:
                self._set(slot, "", _without(slot, place))
            return None, ""
        if place is None:
            return None, f"{slot.shown} does not exist: make it, or name another place in the settings"
        if holder not in ("", ours):
            return None, self.advice(tier, holder)
        logged = {_PROFILES: [slot.log_profile]} if _unlogged(slot, place) else {}
        if holder == ours and not logged:
            return attachment(tier), ""
        why = self._set(slot, ours, logged)
        return (None, why) if why else (attachment(tier), "")

    def _set(self, slot: Slot, policy: str, logged: Mapping[str, list[str]]) -> str:
        """One write; why it was refused, where that is for the sake of the log profile."""
        try:
            answer = self._client.call("PATCH", slot.rest, {slot.attribute: policy or "none", **logged})
        except Refusal as refusal:
            if slot.log_profile and slot.log_profile in refusal.text:
                return f"{slot.shown}: {refusal.text}"
            raise Drifted(self._client.device, f"{slot.shown}: {refusal.text}") from None
        if not answer:
            raise Busy(self._client.device, f"{slot.shown}: no answer to the change; read again")
        place = self._client.decoded(answer, wire.Slot)
        if _held(place) != policy or (policy and _unlogged(slot, place)):
            raise Drifted(self._client.device, f"{slot.shown} does not hold what was written")
        return ""


def site_lists(policies: Iterable[wire.RuleHolder]) -> dict[str, frozenset[str]]:
    """The rule lists that each policy refers to, disabled rules left out."""
    return {
        policy.full_path: frozenset(
            rule.rule_list for rule in policy.rules_reference.items if rule.rule_list and rule.status == "enabled"
        )
        for policy in policies
    }


def _unlogged(slot: Slot, place: wire.Slot) -> bool:
    """Whether the place lacks a log profile: one of the site's own serves as well, and is never replaced."""
    return bool(slot.log_profile) and not place.security_log_profiles


def _without(slot: Slot, place: wire.Slot) -> dict[str, list[str]]:
    """The change that takes our log profile out; none where others stand beside it."""
    return {_PROFILES: []} if slot.log_profile and place.log_profiles == [slot.log_profile] else {}


def _held(slot: wire.Slot) -> str:
    path = slot.enforced_policy or slot.fw_enforced_policy
    return "" if path == "none" else path
