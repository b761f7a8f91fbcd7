"""The settings `scope` and `attach` of a BIG-IP, checked and as values.

scope:
  routeDomain: 0            # the domain that pod addresses belong to; other than 0 is written behind each address
  activation: security/firewall/container-stat/stats   # where to ask what is compiled, or none: stored counts as active
  loginProvider: tmos
  tokenSeconds: 36000       # lifetime asked for a token; the device gives 36000 at most
  pageSize: 500
  bandwidth: []             # the iRules of /Common that rules may name to limit their rate; none unless told
  transactionSize: 400      # writes in one transaction: it must be filled before the device's own limit of 30 to 120 s
attach:
  mode: none                # or ifEmpty
  cluster: {context: global}
  namespace: {routeDomain: /Common/0}
  service: {virtualServer: /Common/egress}     # no default: without it, service rules are not attached
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.contract import DeviceConfig
from bridge.model.policy import Tier

ACTIVATION = "security/firewall/container-stat/stats"  # unverified over REST: settable
_PATH = re.compile(r"/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+\Z")
_NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")
_OWNER = re.compile(r"[a-z0-9]{1,12}\Z")
_SLOT_KEY = {Tier.CLUSTER: "context", Tier.NAMESPACE: "routeDomain", Tier.SERVICE: "virtualServer"}


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where one policy can be enforced: its path over REST, the attribute that holds the policy, and how tmsh says it."""

    tier: Tier
    rest: str
    attribute: str
    shown: str
    tmsh: str

    def hint(self, policy: str) -> str:
        """The one line that attaches the policy by hand."""
        return f"tmsh modify {self.tmsh} {policy}"


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings of one BIG-IP as values. `slots` has no entry for a tier without a place."""

    slots: Mapping[Tier, Slot]
    attach: bool = False
    route_domain: int = 0
    activation: str = ACTIVATION
    provider: str = "tmos"
    token_seconds: int = 36_000
    page_size: int = 500
    transaction_size: int = 400
    bandwidth: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: DeviceConfig) -> "Scope":
        """The values of settings without problems."""
        scope, attach = config.scope, config.attach
        activation = scope.get("activation", ACTIVATION)
        return cls(
            slots=dict(_slots(attach)),
            attach=attach.get("mode", "none") == "ifEmpty",
            route_domain=int(scope.get("routeDomain", 0)),
            activation="" if activation in (None, "none") else str(activation).removeprefix("/mgmt/tm/").strip("/"),
            provider=str(scope.get("loginProvider", "tmos")),
            token_seconds=int(scope.get("tokenSeconds", 36_000)),
            page_size=int(scope.get("pageSize", 500)),
            transaction_size=int(scope.get("transactionSize", 400)),
            bandwidth=tuple(scope.get("bandwidth", ())),
        )


def problems(config: DeviceConfig) -> dict[str, str]:
    """What is wrong with the settings, by path."""
    found: dict[str, str] = {}
    if not _OWNER.match(config.owner):
        found["owner"] = "1 to 12 of a-z and 0-9"
    if not config.url.startswith(("https://", "http://")):
        found["url"] = "the address of the management interface, such as https://192.0.2.10"
    found.update(_scope_problems(config.scope))
    found.update(_attach_problems(config.attach))
    return found


def _scope_problems(scope: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    numbers = {
        "routeDomain": (0, 65534),
        "tokenSeconds": (60, 36_000),
        "pageSize": (1, 10_000),
        "transactionSize": (2, 5_000),
    }
    texts = {"loginProvider", "activation"}
    for name, value in scope.items():
        if name in numbers:
            least, most = numbers[name]
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                yield f"scope.{name}", f"a number from {least} to {most}"
        elif name in texts:
            if not isinstance(value, str) and not (name == "activation" and value is None):
                yield f"scope.{name}", "text wanted"
        elif name == "bandwidth":
            if not isinstance(value, list) or not all(isinstance(one, str) and _NAME.match(one) for one in value):
                yield f"scope.{name}", "a list of the names of iRules in /Common"
        else:
            yield f"scope.{name}", f"unknown; there are {', '.join(sorted({*numbers, *texts, 'bandwidth'}))}"


def _attach_problems(attach: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    tiers = {tier.value: tier for tier in Tier}
    for name, value in attach.items():
        if name == "mode":
            if value not in ("none", "ifEmpty"):
                yield "attach.mode", "none or ifEmpty"
        elif name in tiers:
            yield from _slot_problems(tiers[name], value)
        else:
            yield f"attach.{name}", f"unknown; there are mode, {', '.join(tiers)}"


def _slot_problems(tier: Tier, value: object) -> Iterator[tuple[str, str]]:
    wanted = _SLOT_KEY[tier]
    if not isinstance(value, Mapping) or set(value) != {wanted}:
        yield f"attach.{tier}", f"an object with {wanted} only"
        return
    if tier is Tier.CLUSTER:
        if value[wanted] != "global":
            yield f"attach.{tier}.{wanted}", "only global: cluster rules are met first"
    elif not isinstance(value[wanted], str) or not _PATH.match(value[wanted]):
        yield f"attach.{tier}.{wanted}", "the full path of an object, such as /Common/name"


def _slots(attach: Mapping[str, Any]) -> Iterator[tuple[Tier, Slot]]:
    yield (
        Tier.CLUSTER,
        Slot(
            Tier.CLUSTER,
            "security/firewall/global-rules",
            "enforcedPolicy",
            "global-rules",
            "security firewall global-rules enforced-policy",
        ),
    )
    domain = attach.get("namespace", {}).get("routeDomain", "/Common/0")
    yield Tier.NAMESPACE, _path_slot(Tier.NAMESPACE, "net/route-domain", "net route-domain", domain)
    if "service" in attach:
        virtual = attach["service"]["virtualServer"]
        yield Tier.SERVICE, _path_slot(Tier.SERVICE, "ltm/virtual", "ltm virtual", virtual)


def _path_slot(tier: Tier, collection: str, words: str, path: str) -> Slot:
    return Slot(
        tier,
        f"{collection}/{path.replace('/', '~')}",
        "fwEnforcedPolicy",
        f"{words} {path}",
        f"{words} {path} fw-enforced-policy",
    )
