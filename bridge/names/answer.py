"""What name servers say about one name."""

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """A kind of address, by the type of record that is asked for."""

    IPV4 = "A"
    IPV6 = "AAAA"

    def holds(self, address: str) -> bool:
        """Whether a canonical address is of this family."""
        return (":" in address) is (self is Family.IPV6)


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of one family, which may be none, and for how many seconds that is so: of all aliases on the way, the least."""

    addresses: frozenset[str]
    ttl: float


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No server gave an answer that counts; `problem` says of each why. It says nothing about the name."""

    problem: str


Found = dict[Family, Answer | Unanswered]
"""What was found out about one name, by family."""
