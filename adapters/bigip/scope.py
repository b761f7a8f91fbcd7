"""The settings `scope` and `attach` of a BIG-IP, checked and as values; for `attach` see slots.py.

scope:
  routeDomain: /Common/0    # the route domain that pod addresses belong to: its path, or its number; default: that of attach.namespace
  activation: security/firewall/container-stat/stats   # where to ask what is compiled, or none: stored counts as active
  loginProvider: tmos
  tokenSeconds: 1200        # lifetime asked for a token, 36000 at most; one that is left behind by a crash counts against the 100 of a user
  pageSize: 500
  bandwidth: []             # the iRules of /Common that rules may name to limit their rate; none unless told
  schedules: false          # whether rules that are over end by themselves on the device too; see schedules.py for what nobody confirmed
  fqdn: bridge              # who resolves names: bridge, or device, whose firewall needs a resolver for that
  transactionSize: 400      # writes in one transaction: it must be filled before the device's own limit of 30 to 120 s
  ha: {…}                   # for a unit that is one of several: see redundancy.py
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from adapters.bigip import redundancy
from adapters.bigip import slots as places
from adapters.bigip.redundancy import Redundancy
from adapters.bigip.slots import Slot
from bridge.contract import DeviceConfig
from bridge.model.policy import Tier

ACTIVATION = "security/firewall/container-stat/stats"  # unverified over REST: settable
_NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")
_OWNER = re.compile(r"[a-z0-9]{1,12}\Z")
_HIGHEST_DOMAIN = 65_534
_NUMBERS = {"tokenSeconds": (60, 36_000), "pageSize": (1, 10_000), "transactionSize": (2, 5_000)}


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings of one BIG-IP as values. `slots` has no entry for a tier without a place."""

    slots: Mapping[Tier, Slot]
    attach: bool = False
    route_domain: int | str = places.DEFAULT_DOMAIN
    activation: str = ACTIVATION
    provider: str = "tmos"
    token_seconds: int = 1200
    page_size: int = 500
    transaction_size: int = 400
    bandwidth: tuple[str, ...] = ()
    fqdn: bool = False
    schedules: bool = False
    ha: Redundancy | None = None

    @classmethod
    def of(cls, config: DeviceConfig) -> "Scope":
        """The values of settings without problems."""
        scope, attach = config.scope, config.attach
        activation = scope.get("activation", ACTIVATION)
        return cls(
            slots=dict(places.slots(attach)),
            attach=attach.get("mode", "none") == "ifEmpty",
            route_domain=scope.get("routeDomain", places.pod_domain(attach)),
            activation="" if activation in (None, "none") else str(activation).removeprefix("/mgmt/tm/").strip("/"),
            provider=str(scope.get("loginProvider", "tmos")),
            token_seconds=int(scope.get("tokenSeconds", 1200)),
            page_size=int(scope.get("pageSize", 500)),
            transaction_size=int(scope.get("transactionSize", 400)),
            bandwidth=tuple(scope.get("bandwidth", ())),
            fqdn=scope.get("fqdn", "bridge") == "device",
            schedules=bool(scope.get("schedules", False)),
            ha=Redundancy.of(scope.get("ha")),
        )


def problems(config: DeviceConfig) -> dict[str, str]:
    """What is wrong with the settings, by path."""
    found: dict[str, str] = {}
    if not _OWNER.match(config.owner):
        found["owner"] = "1 to 12 of a-z and 0-9"
    if not config.url.startswith(("https://", "http://")):
        found["url"] = "the address of the management interface, such as https://192.0.2.10"
    for name, value in config.scope.items():
        found.update((f"scope.{path}", problem) for path, problem in _problems(name, value))
    found.update(places.problems(config.attach))
    return found


def _problems(name: str, value: object) -> Iterator[tuple[str, str]]:
    if name == "ha":
        yield from redundancy.problems(value)
    elif name in _NUMBERS:
        least, most = _NUMBERS[name]
        if not _is_number(value, least, most):
            yield name, f"a number from {least} to {most}"
    elif name not in _FORMS:
        yield name, f"unknown; there are {', '.join(_KNOWN)}"
    elif not _FORMS[name][0](value):
        yield name, _FORMS[name][1]


def _is_number(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and _NAME.match(one) for one in value)


_FORMS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "loginProvider": (_is_text, "text wanted"),
    "activation": (lambda value: value is None or _is_text(value), "text wanted"),
    "fqdn": (lambda value: value in ("bridge", "device"), "bridge or device"),
    "schedules": (lambda value: isinstance(value, bool), "true or false"),
    "bandwidth": (_are_names, "a list of the names of iRules in /Common"),
    "routeDomain": (
        lambda value: places.is_path(value) or _is_number(value, 0, _HIGHEST_DOMAIN),
        f"the full path of a route domain, such as /Common/0, or a number from 0 to {_HIGHEST_DOMAIN}",
    ),
}
_KNOWN = sorted({*_NUMBERS, *_FORMS, "ha"})
