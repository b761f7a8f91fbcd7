"""The setting `attach` of a BIG-IP: the places where a policy of ours may be enforced, checked and as values.

attach:
  mode: none                # or ifEmpty
  cluster: {context: global}
  namespace: {routeDomain: /Common/0}
  service: {virtualServer: /Common/egress}     # no default: without it, service rules are not attached
           # and logProfile: /Common/name, put beside our policy where the virtual server has none
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.model.policy import Tier

DEFAULT_DOMAIN = "/Common/0"
_PATH = re.compile(r"/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+\Z")
_KEY = {Tier.CLUSTER: "context", Tier.NAMESPACE: "routeDomain", Tier.SERVICE: "virtualServer"}
_LOG_PROFILE = "logProfile"


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where one policy can be enforced: its path over REST, the attribute that holds the policy, and how tmsh says it.

    `log_profile` is what makes the rules log that are met there, where the settings name one.
    """

    tier: Tier
    rest: str
    attribute: str
    shown: str
    tmsh: str
    log_profile: str = ""

    def hint(self, policy: str) -> str:
        """The one line that attaches the policy by hand."""
        logged = f" security-log-profiles add {{ {self.log_profile} }}" if self.log_profile else ""
        return f"tmsh modify {self.tmsh} {policy}{logged}"


def is_path(value: object) -> bool:
    """Whether it is the full path of an object."""
    return isinstance(value, str) and bool(_PATH.match(value))


def pod_domain(attach: Mapping[str, Any]) -> str:
    """The path of the route domain in which namespace rules are enforced."""
    return str(attach.get("namespace", {}).get("routeDomain", DEFAULT_DOMAIN))


def slots(attach: Mapping[str, Any]) -> Iterator[tuple[Tier, Slot]]:
    """The place of each tier that has one, of settings without problems."""
    words = "security firewall global-rules enforced-policy"
    yield Tier.CLUSTER, Slot(Tier.CLUSTER, "security/firewall/global-rules", "enforcedPolicy", "global-rules", words)
    yield Tier.NAMESPACE, _slot(Tier.NAMESPACE, "net/route-domain", "net route-domain", pod_domain(attach))
    if "service" in attach:
        virtual, profile = attach["service"]["virtualServer"], attach["service"].get(_LOG_PROFILE, "")
        yield Tier.SERVICE, _slot(Tier.SERVICE, "ltm/virtual", "ltm virtual", virtual, profile)


def problems(attach: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the settings, by path."""
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
    wanted = _KEY[tier]
    may = {wanted, _LOG_PROFILE} if tier is Tier.SERVICE else {wanted}
    if not isinstance(value, Mapping) or not {wanted} <= set(value) <= may:
        yield f"attach.{tier}", f"an object with {' and perhaps '.join(sorted(may, reverse=True))} only"
        return
    if tier is Tier.CLUSTER:
        if value[wanted] != "global":
            yield f"attach.{tier}.{wanted}", "only global: cluster rules are met first"
        return
    for name in value:
        if not is_path(value[name]):
            yield f"attach.{tier}.{name}", "the full path of an object, such as /Common/name"


def _slot(tier: Tier, collection: str, words: str, path: str, log_profile: str = "") -> Slot:
    rest, tmsh = f"{collection}/{path.replace('/', '~')}", f"{words} {path} fw-enforced-policy"
    return Slot(tier, rest, "fwEnforcedPolicy", f"{words} {path}", tmsh, log_profile)
