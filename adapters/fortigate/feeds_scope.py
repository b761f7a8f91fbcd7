"""The settings `scope.feeds`, `scope.acknowledge` and `scope.units` of a FortiGate, checked and as values.

feeds:                      # without it none is made or looked for; the token then needs no rights to sysgrp.cfg
  most: 64                  # groups at once; 0 takes back those that there are. A VDOM has room for 256
  entries: 300000           # members of all of them; a unit has room for so many from 7.4.4 on, whoever's they are
  renewSeconds: 3600        # after so long what was pushed is pushed again with the next change; 0: only when it is seen to be lost
acknowledge: []             # policyBased, fortiManager: serve a unit that is refused otherwise
units: []                   # the serials of a cluster's units, so that a failover between them is no other device
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.fortigate.feeds import ENTRIES_MOST, MOST
from adapters.fortigate.unit import ACKNOWLEDGEABLE

KNOWN = ("acknowledge", "feeds", "units")
_NUMBERS = {"most": (0, MOST), "entries": (1, ENTRIES_MOST), "renewSeconds": (0, 30 * 86_400)}


@dataclass(frozen=True, slots=True)
class Pushing:
    """How many groups may be feeds, with how many members, and how often all of those are sent again."""

    most: int = 64
    entries: int = ENTRIES_MOST
    renew: int = 3600

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> "Pushing | None":
        """The value of settings without problems; None where feeds are not spoken of."""
        if "feeds" not in scope:
            return None
        given = scope["feeds"]
        return cls(
            int(given.get("most", 64)), int(given.get("entries", ENTRIES_MOST)), int(given.get("renewSeconds", 3600))
        )


def problems(name: str, value: object) -> Iterator[tuple[str, str]]:
    """What is wrong with one of these settings, by path."""
    if name == "feeds":
        yield from _feeds_problems(value)
        return
    listed = isinstance(value, list | tuple)
    words = list(value) if isinstance(value, list | tuple) else []
    if name == "acknowledge" and not (listed and set(map(str, words)) <= set(ACKNOWLEDGEABLE)):
        yield "scope.acknowledge", f"a list of any of {', '.join(ACKNOWLEDGEABLE)}"
    if name == "units" and not (listed and all(isinstance(one, str) and one.isalnum() for one in words)):
        yield "scope.units", "a list of serial numbers"


def _feeds_problems(value: object) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield "scope.feeds", f"an object with any of {', '.join(_NUMBERS)}"
        return
    for name, given in value.items():
        least, most = _NUMBERS.get(name, (0, 0))
        if not most:
            yield f"scope.feeds.{name}", f"unknown; there are {', '.join(_NUMBERS)}"
        elif isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            yield f"scope.feeds.{name}", f"a number from {least} to {most}"
