"""A dialect as a third party would bring it: one kind, which says in one word where nobody may go."""

from typing import Final

from bridge.dialects.dialect import Context, Dialect, Policy, ref_of
from bridge.errors import PolicyError
from bridge.model.kinds import Brings, Kind, Resource
from bridge.model.observed import PolicyObject
from bridge.model.policy import Action, ExternalService, Protocol, Rule, Source, SourceKind, Tier, Traffic

WALL: Final = Kind(
    Resource("walls.tiny.example"), "Wall", "tiny.example/v1", namespaced=True, brings=Brings.RULE, tier=Tier.NAMESPACE
)
PLACE: Final = Kind(
    Resource("places.tiny.example"), "Place", "tiny.example/v1", namespaced=True, brings=Brings.EXTERNAL_SERVICE
)


def read(obj: PolicyObject, _context: Context) -> Policy:
    """A wall names a place, a place an address."""
    if obj.resource is PLACE.resource:
        address = obj.spec.get("address")
        if not isinstance(address, str):
            raise PolicyError("spec.address", "must be an address")
        return ExternalService(ref_of(PLACE, obj), (address,), (), (Traffic(Protocol.ANY),))
    place = ref_of(PLACE, PolicyObject(PLACE.resource, "", obj.namespace, str(obj.spec.get("before")), "", 0, {}, {}))
    source = Source(SourceKind.NAMESPACE, obj.namespace)
    return Rule(ref_of(WALL, obj), Tier.NAMESPACE, 1, Action.DENY, source, (place,), log=False)


DIALECT = Dialect("tiny", (WALL, PLACE), read)
