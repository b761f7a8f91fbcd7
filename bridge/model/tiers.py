"""Which objects of a device belong to which tier: one policy each, and where it is attached."""

from collections.abc import Iterable

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Attachment, Objects
from bridge.model.policy import Tier

SCOPES = {Tier.CLUSTER: Scope.CLUSTER, Tier.NAMESPACE: Scope.NAMESPACE, Tier.SERVICE: Scope.SERVICE}


def policy_key(tier: Tier) -> ObjectKey:
    """The key of the policy of one tier."""
    return ObjectKey(Kind.POLICY, "", SCOPES[tier])


def attachment(tier: Tier) -> Attachment:
    """Our policy of this tier standing where the device enforces it."""
    return Attachment(ObjectKey(Kind.ATTACHMENT, "", SCOPES[tier]), policy_key(tier))


def attachments(objects: Objects, tiers: Iterable[Tier] = Tier) -> dict[ObjectKey, Attachment]:
    """The attachments, in these tiers, of the policies that are among the objects."""
    return {one.key: one for one in map(attachment, tiers) if one.policy in objects}


def tier_of(key: ObjectKey) -> Tier:
    """The tier of an attachment or policy; StopIteration when it has none."""
    return next(tier for tier, scope in SCOPES.items() if scope is key.scope)
