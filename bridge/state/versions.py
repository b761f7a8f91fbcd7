"""What of a batch the past needs to know word for word: accepted policy, the namespaces that it reaches, and which groups there were."""

from collections.abc import Iterator
from dataclasses import replace

from bridge.model.observed import KINDS, Namespace, Resource
from bridge.model.policy import Ref
from bridge.state.batch import Batch
from bridge.state.encoding import encode_slim

NAMESPACE = KINDS[Resource.NAMESPACES]
GROUP = "group"  # of which it is recorded who was in it, as long as it is there
_OF_PODS = frozenset({KINDS[Resource.PODS], KINDS[Resource.SERVICES], NAMESPACE})


def versions(batch: Batch) -> Iterator[tuple[Ref, str | None]]:
    """What holds from the time of the batch on of each object that it names; None: nothing does."""
    yield from _policy(batch)
    for key in batch.groups_gone:
        yield Ref(GROUP, key.namespace, str(key)), None
    for key in batch.groups:
        yield Ref(GROUP, key.namespace, str(key)), "true"
    for resource, _, name in batch.objects_gone:
        if resource is Resource.NAMESPACES:
            yield Ref(NAMESPACE, "", name), None
    for value in batch.objects:
        if isinstance(value, Namespace):
            yield Ref(NAMESPACE, "", value.name), encode_slim(replace(value, resource_version=""))


def _policy(batch: Batch) -> Iterator[tuple[Ref, str | None]]:
    for ref in batch.verdicts_gone:
        if ref.kind not in _OF_PODS:
            yield ref, None
    for verdict in batch.verdicts:
        if verdict.accepted is not None:
            yield verdict.ref, encode_slim(replace(verdict.accepted, resource_version=""))
        elif verdict.ref.kind not in _OF_PODS:
            yield verdict.ref, None
