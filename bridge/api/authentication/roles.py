"""Which role somebody has, by name or by group."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.api.access import Forbidden, Person, Role, Unknown

_LONGEST: Final = 253  # characters of a name: it stands in the audit and in objects of clusters


@dataclass(frozen=True, slots=True)
class Granted:
    """Who has a role."""

    names: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Roles:
    """Who has which; nobody else has any."""

    granted: Mapping[Role, Granted] = field(default_factory=dict)

    def person(self, name: str, groups: Collection[str]) -> Person:
        """This person with the highest role that name or groups give. Forbidden for none, Unknown for a name that is none."""
        if not name or len(name) > _LONGEST or not name.isprintable() or name != name.strip():
            raise Unknown("the name that the token bears is none: 1 to 253 printable characters")
        found = [role for role, to in self.granted.items() if name in to.names or not to.groups.isdisjoint(groups)]
        if not found:
            raise Forbidden(f"{name} has no role here: api.roles says who has one")
        return Person(name, max(found))
