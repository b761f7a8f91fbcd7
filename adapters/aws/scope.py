"""The settings of one account and region: `url`, `scope` and `attach`, checked and as values.

url: https://ec2.eu-central-1.amazonaws.com   # the endpoint of EC2
scope:
  region: eu-central-1
  credentials: settings      # username and password are the access key and its secret, token a session's
                             # or ambient: as the AWS SDK finds them (a role of the machine or of the pod)
  rulesPerGroup: 60          # quota: of a security group, inbound, for each family; a prefix list weighs its MaxEntries
  prefixLists: 100           # quota: of the account in the region, those of others included
  entries: 1000              # quota: of one prefix list
  headroom: 25               # how much larger a list is made than it must be, in percent of its members, so that it seldom grows
  changesPerCall: 100        # entries added, and as many removed, in one call
  waitSeconds: 60            # for a change of a prefix list to be complete
attach:
  mode: none                 # or ifEmpty: entries of our own in these security groups, beside whatever else stands there
  securityGroups:            # each with the prefixes that stand behind it, all of them and nothing else
    - {id: sg-0123456789abcdef0, destinations: [10.20.0.0/24]}
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from bridge.contract import DeviceConfig
from bridge.model.addresses import canonical_member, networks

V4, V6 = "IPv4", "IPv6"
FAMILIES = (V4, V6)

_OWNER = re.compile(r"[a-z0-9]{1,12}\Z")
_REGION = re.compile(r"[a-z]{2}(-[a-z0-9]+)+\Z")
_GROUP = re.compile(r"sg-[0-9a-f]{8,17}\Z")
_NUMBERS = {
    "rulesPerGroup": (1, 1000, 60),
    "prefixLists": (1, 10_000, 100),
    "entries": (1, 1000, 1000),
    "headroom": (0, 100, 25),
    "changesPerCall": (1, 100, 100),
    "waitSeconds": (1, 600, 60),
}
_CREDENTIALS = ("settings", "ambient")
_KNOWN = ", ".join(sorted({*_NUMBERS, "region", "credentials"}))


@dataclass(frozen=True, slots=True)
class Place:
    """A security group that may hold entries of ours, and the prefixes behind it by family."""

    group: str
    behind: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings of one account and region as values."""

    region: str = ""
    ambient: bool = False
    rules: int = 60
    lists: int = 100
    entries: int = 1000
    headroom: int = 25
    changes: int = 100
    wait: float = 60.0
    attach: bool = False
    places: tuple[Place, ...] = ()

    @classmethod
    def of(cls, config: DeviceConfig) -> "Scope":
        """The values of settings without problems."""
        scope, attach = config.scope, config.attach
        number = {name: int(scope.get(name, default)) for name, (_, _, default) in _NUMBERS.items()}
        places = tuple(map(_place, attach.get("securityGroups", ())))
        return cls(
            region=str(scope.get("region", "")),
            ambient=scope.get("credentials", "settings") == "ambient",
            rules=number["rulesPerGroup"],
            lists=number["prefixLists"],
            entries=number["entries"],
            headroom=number["headroom"],
            changes=number["changesPerCall"],
            wait=float(number["waitSeconds"]),
            attach=bool(places) and attach.get("mode", "none") == "ifEmpty",
            places=places,
        )

    def size(self, members: int) -> int:
        """The MaxEntries of a list of so many members: a function of their number alone, and never above the quota."""
        spare = members * self.headroom // 100
        step = 1 << (spare.bit_length() - 1) if spare else 1
        return max(1, min(-(-members // step) * step, self.entries))


def family(member: str) -> str:
    """Which lists an address or prefix can stand in."""
    return V6 if ":" in member else V4


def problems(config: DeviceConfig) -> dict[str, str]:
    """What is wrong with the settings, by path."""
    found = dict(_scope_problems(config.scope))
    if not _OWNER.match(config.owner):
        found["owner"] = "1 to 12 of a-z and 0-9"
    if not _is_endpoint(config.url):
        found["url"] = "the endpoint of EC2, as https://ec2.eu-central-1.amazonaws.com"
    if find_spec("boto3") is None:
        found["kind"] = "aws needs boto3: pip install 'fusion-bridge[aws]'"
    found.update(_attach_problems(config.attach))
    return found


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.path in ("", "/")


def _scope_problems(scope: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not _REGION.match(str(scope.get("region", ""))):
        yield "scope.region", "the region's code, as eu-central-1"
    for name, value in scope.items():
        if name in _NUMBERS:
            least, most, _ = _NUMBERS[name]
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                yield f"scope.{name}", f"a number from {least} to {most}"
        elif name == "credentials":
            if value not in _CREDENTIALS:
                yield "scope.credentials", f"one of {', '.join(_CREDENTIALS)}"
        elif name != "region":
            yield f"scope.{name}", f"unknown; there are {_KNOWN}"


def _attach_problems(attach: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in attach.items():
        if name == "mode":
            if value not in ("none", "ifEmpty"):
                yield "attach.mode", "none or ifEmpty"
        elif name == "securityGroups":
            yield from _places_problems(value)
        else:
            yield f"attach.{name}", "unknown; there are mode and securityGroups"
    if attach.get("mode") == "ifEmpty" and not attach.get("securityGroups"):
        yield "attach.securityGroups", "which security groups, and what stands behind each"


def _places_problems(given: object) -> Iterator[tuple[str, str]]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        yield "attach.securityGroups", "a list of {id, destinations}"
        return
    seen: set[str] = set()
    for at, one in enumerate(given):
        path = f"attach.securityGroups.{at}"
        if not isinstance(one, Mapping) or set(one) != {"id", "destinations"}:
            yield path, "id and destinations, and nothing else"
            continue
        if not isinstance(one["id"], str) or not _GROUP.match(one["id"]) or one["id"] in seen:
            yield f"{path}.id", "the id of a security group, as sg-0123456789abcdef0, each once"
        seen.add(str(one["id"]))
        if not _are_prefixes(one["destinations"]):
            yield f"{path}.destinations", "the prefixes behind it, one at least"


def _are_prefixes(given: object) -> bool:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        return False
    try:
        return all(canonical_member(str(one)) for one in given)
    except ValueError:
        return False


def _place(given: Mapping[str, Any]) -> Place:
    prefixes = sorted(canonical_member(str(net)) for net in networks(map(str, given["destinations"])))
    return Place(str(given["id"]), {one: held for one in FAMILIES if (held := _of(one, prefixes))})


def _of(wanted: str, prefixes: Sequence[str]) -> tuple[str, ...]:
    return tuple(one for one in prefixes if family(one) == wanted)
