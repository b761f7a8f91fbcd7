"""What one object was told: kept word for word, so that nothing is told twice and nothing is lost when it could not be told yet."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

import msgspec

from bridge.model.policy import Ref
from bridge.state.policy_picture import Told

Content = dict[str, Any] | str
"""The status of an object of ours; the text of an annotation; "" for nothing of the kind."""
NEVER = datetime.min.replace(tzinfo=UTC)


class Due(msgspec.Struct, frozen=True):
    """An Event that is still to be created. The name is chosen before the first try, so that a second one creates no second Event."""

    name: str
    reason: str
    message: str
    marks: tuple[str, ...]


class Body(msgspec.Struct, frozen=True):
    """What is to stand on the object, and whether it was written there.

    `marks` name what is amiss, each where it is and its reason, with the words that were given for it: of each, people are told once.
    """

    content: Content = ""
    marks: dict[str, str] = {}
    due: tuple[Due, ...] = ()
    written: bool = True


_decode = msgspec.json.Decoder(Body).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Account:
    """What the object of this uid was told, and when it was last tried."""

    ref: Ref
    uid: str
    body: Body = field(default_factory=Body)
    at: datetime = NEVER

    @classmethod
    def of(cls, told: Told) -> Self:
        """As it was recorded."""
        return cls(told.ref, told.uid, _decode(told.body), told.at)

    @property
    def told(self) -> Told:
        """To be recorded."""
        return Told(self.ref, self.uid, _encode(self.body).decode(), self.at)

    @property
    def settled(self) -> bool:
        """Everything of it was told."""
        return self.body.written and not self.body.due

    def written(self) -> Self:
        """The content stands on the object."""
        return replace(self, body=msgspec.structs.replace(self.body, written=True))

    def announced(self) -> Self:
        """The first Event that was due was created."""
        return replace(self, body=msgspec.structs.replace(self.body, due=self.body.due[1:]))
