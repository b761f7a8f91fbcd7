"""Which address of a workload a device sees, for each part of the destinations (SEMANTICS 3)."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bridge.model.addresses import overlap
from bridge.model.policy import AddressSource, View
from bridge.settings.fields import Address, NamespaceName, Prefix, Section


class ViewSettings(Section):
    """How the device sees workloads in packets to some destinations."""

    source: AddressSource = Field(
        description="Pod: their own address. Node: that of their node. Egress: one that is stated here."
    )
    destinations: tuple[Prefix, ...] = Field((), description="In packets to these; without them, to all others.")
    addresses: tuple[Address, ...] = Field((), description="Of Egress: the addresses by which workloads leave.")
    namespaces: tuple[NamespaceName, ...] = Field(
        (), description="Of Egress: whose workloads leave by them; without any, those of the whole cluster."
    )

    @model_validator(mode="after")
    def _states_what_it_needs(self) -> Self:
        stated = self.source is AddressSource.EGRESS
        if stated and not self.addresses:
            raise ValueError("Egress needs addresses: nobody can find them out yet")
        if not stated and (self.addresses or self.namespaces):
            raise ValueError(f"addresses and namespaces belong to Egress, not to {self.source}")
        return self


def _listed(value: Any) -> Any:  # noqa: ANN401 (whatever somebody typed)
    """One word says how the device sees workloads wherever they go."""
    if not isinstance(value, str):
        return value
    if value not in ("Pod", "Node"):
        raise ValueError("must be Pod, Node, or a list of source and destinations, in which Egress has its addresses")
    return [{"source": value}]


def _apart(views: tuple[ViewSettings, ...]) -> tuple[ViewSettings, ...]:
    if not views:
        raise ValueError("must be Pod, Node or a list of at least one")
    if sum(not view.destinations for view in views) > 1:
        raise ValueError("only one of the list may go without destinations: it is about all others")
    for one, other in combinations(views, 2):
        if overlap(one.destinations, other.destinations):
            raise ValueError(f"destinations of {one.source} and {other.source} meet; each belongs to one only")
    return views


AddressSourceSettings = Annotated[
    tuple[ViewSettings, ...],
    BeforeValidator(_listed, json_schema_input_type=Literal["Pod", "Node"] | list[ViewSettings]),
    AfterValidator(_apart),
]

AS_POD = (ViewSettings(source=AddressSource.POD),)


def views(settings: Iterable[ViewSettings], device: str) -> tuple[View, ...]:
    """The model's values: one as Pod, one as Node, and one for each Egress, which has a name that is the device's own.

    Destinations that nothing is said about are seen as Pod.
    """
    listed = list(settings)
    if all(view.destinations for view in listed):
        listed += AS_POD
    return (
        *_merged(listed, AddressSource.POD, ""),
        *_merged(listed, AddressSource.NODE, "node"),
        *_egresses(listed, device),
    )


def _merged(listed: Iterable[ViewSettings], source: AddressSource, name: str) -> Iterator[View]:
    found = [view.destinations for view in listed if view.source is source]
    if found:
        whole = () in found
        yield View(source, () if whole else tuple(sorted({one for some in found for one in some})), name=name)


def _egresses(listed: Iterable[ViewSettings], device: str) -> Iterator[View]:
    stated = (view for view in listed if view.source is AddressSource.EGRESS)
    for number, view in enumerate(stated, 1):
        name = f"egress.{device}.{number}"
        yield View(view.source, view.destinations, tuple(sorted(view.addresses)), tuple(sorted(view.namespaces)), name)
