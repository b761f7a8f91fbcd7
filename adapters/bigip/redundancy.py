"""The setting `scope.ha` of a BIG-IP that is one of several, checked and as a value.

ha:
  deviceGroup: /Common/failover       # the sync-failover group that the units are in
  peers: [https://192.0.2.11]         # the management addresses of the other units, none where `url` leads to the active one by itself
  configSync: none                    # or push: where the group does not do so by itself, the bridge brings its changes to the others
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_GROUP = re.compile(r"/Common/[A-Za-z0-9_.-]+\Z")
_KNOWN = ("deviceGroup", "peers", "configSync")


@dataclass(frozen=True, slots=True)
class Redundancy:
    """The units of one device group, the one in `url` left out, and whether the bridge pushes its changes to the group."""

    group: str
    peers: tuple[str, ...] = ()
    push: bool = False

    @classmethod
    def of(cls, given: Mapping[str, object] | None) -> "Redundancy | None":
        """The value of a setting without problems; None for a unit that is alone."""
        if not given:
            return None
        peers = given.get("peers", ())
        listed = tuple(str(one) for one in peers) if isinstance(peers, list | tuple) else ()
        return cls(str(given["deviceGroup"]), listed, given.get("configSync", "none") == "push")


def problems(given: object) -> Iterator[tuple[str, str]]:
    """What is wrong with the setting, by path below `scope`."""
    if not isinstance(given, Mapping):
        yield "ha", f"an object with {', '.join(_KNOWN)}"
        return
    for name in sorted(set(given) - set(_KNOWN)):
        yield f"ha.{name}", f"unknown; there are {', '.join(_KNOWN)}"
    group, peers = given.get("deviceGroup"), given.get("peers", [])
    if not isinstance(group, str) or not _GROUP.match(group):
        yield "ha.deviceGroup", "the full path of a device group, such as /Common/failover"
    if not isinstance(peers, list) or not all(isinstance(one, str) and one.startswith("http") for one in peers):
        yield "ha.peers", "a list of the addresses of management interfaces, such as https://192.0.2.11"
    if given.get("configSync", "none") not in ("none", "push"):
        yield "ha.configSync", "none or push"
