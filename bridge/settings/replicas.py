"""How the processes on one database share the work."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from bridge.settings.fields import Seconds, Section


class Standby(StrEnum):
    """What a replica does about a cluster that another one acts for."""

    WARM = "warm"
    COLD = "cold"


class ReplicasSettings(Section):
    """Who acts for a cluster or a device holds a lease of it; times in seconds, and the same for every replica."""

    term: Seconds = Field(
        6.0, ge=1, description="A lease that is not renewed for so long may be taken over by another replica."
    )
    renewal: Seconds = Field(1.5, description="Between two renewals.")
    deadline: Seconds = Field(
        4.0,
        description="From a renewal on, changes are sent to a device for so long; then only after the next renewal.",
    )
    standby: Standby = Field(
        Standby.WARM, description="warm: watch the clusters of other replicas too, to take over at once; cold: do not."
    )

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.renewal >= self.deadline:
            raise ValueError("renewal must be below deadline, or work stops between two renewals")
        if self.deadline + self.renewal >= self.term:
            raise ValueError("deadline and renewal together must be below term: nobody may act when another takes over")
        return self
