"""The settings `scope` and `attach` of a FortiGate, checked and as values.

scope:
  mode: groups              # the bridge keeps addresses, groups and services, people write policies; or policies: it keeps those too
  vdom: root                # without it the management VDOM
  ipv6: true                # a twin of IPv6 for each group; false: members of IPv6 are refused
  wildcards: false          # names with a "*": such a FortiGate learns what they stand for from the DNS answers that pass it
  transactions: true        # X-TRANSACTION-ID; false: every write for itself, in the order that is safe so
  filters: true             # ask for what is ours only; false: read whole tables, where the unit does not filter as Fortinet says
  transactionSize: 100      # changed objects in one transaction
  transactionSeconds: 60    # after which the unit drops what was not committed
  groupMembers: 600         # most members of one address group; Fortinet's Swagger says 600
  shardMembers: 200         # a larger group is split into nested groups of about this size
  policies:                 # mode policies only
    before: deny-all        # the name of the policy that our block stands before, or `after: <name>`
    template:
      srcintf: [any]
      dstintf: [any]
      schedule: always      # of your own, for every Allow
      nat: false
      poolname: []          # with nat: the pools of addresses to choose from; none is the outgoing interface's own
      inspectionMode: flow
      profiles: {}          # on Allow: ips-sensor, application-list, av-profile, webfilter-profile, dnsfilter-profile, ssl-ssh-profile, …
      logtraffic: disable   # of rules that do not log; rules that do have all
  schedules: {timeZone: UTC}  # mode policies: the unit ends by itself what will be over; the zone in which it keeps its time
  acknowledge: []           # policyBased, fortiManager: serve a unit that is refused otherwise
  units: []                 # the serials of a cluster's units, so that a failover between them is no other device
  feeds: {most: 64}         # see feeds_scope; without it no feeds
attach:
  mode: none                # or ifEmpty: our policies are switched on; until then they stand there disabled
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from adapters.fortigate import feeds_scope
from adapters.fortigate.feeds_scope import Pushing
from adapters.fortigate.schedules import zone_of
from bridge.contract import DeviceConfig

ALWAYS = "always"
"""FortiOS's own schedule, which never ends."""

_OWNER = re.compile(r"[a-z0-9]{1,12}\Z")
_TEXT = re.compile(r"[^<>\"'\\\x00-\x1f]{1,79}\Z")
_MODES = ("groups", "policies")
_NUMBERS = {
    "transactionSize": (2, 5_000),
    "transactionSeconds": (10, 3600),
    "groupMembers": (2, 100_000),
    "shardMembers": (2, 100_000),
}
_SWITCHES = ("ipv6", "wildcards", "transactions", "filters")
_KNOWN = {"mode", "vdom", "policies", "schedules", *_SWITCHES, *_NUMBERS, *feeds_scope.KNOWN}
_PROFILES = (
    "application-list",
    "av-profile",
    "dnsfilter-profile",
    "ips-sensor",
    "profile-protocol-options",
    "ssl-ssh-profile",
    "webfilter-profile",
)
_TEMPLATE = ("srcintf", "dstintf", "schedule", "nat", "poolname", "inspectionMode", "profiles", "logtraffic")


@dataclass(frozen=True, slots=True)
class Template:
    """What our policies have in common."""

    srcintf: tuple[str, ...] = ("any",)
    dstintf: tuple[str, ...] = ("any",)
    schedule: str = ALWAYS
    nat: bool = False
    poolname: tuple[str, ...] = ()
    inspection: str = "flow"
    profiles: Mapping[str, str] = field(default_factory=dict)
    logtraffic: str = "disable"


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings of one FortiGate as values. `policies` is the mode; `anchor` and `before` say where our block stands.

    `zone` is that of the unit's own time, None where it is to end nothing by itself.
    """

    policies: bool = False
    vdom: str = ""
    ipv6: bool = True
    wildcards: bool = False
    transactions: bool = True
    filters: bool = True
    transaction_size: int = 100
    transaction_seconds: int = 60
    group_members: int = 600
    shard_members: int = 200
    anchor: str = ""
    before: bool = True
    template: Template = field(default_factory=Template)
    zone: ZoneInfo | None = None
    attach: bool = False
    acknowledged: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    feeds: Pushing | None = None

    @classmethod
    def of(cls, config: DeviceConfig) -> "Scope":
        """The values of settings without problems."""
        scope = config.scope
        policies = scope.get("policies", {})
        writes_policies = scope.get("mode", "groups") == "policies"
        return cls(
            policies=writes_policies,
            vdom=str(scope.get("vdom", "")),
            ipv6=bool(scope.get("ipv6", True)),
            wildcards=bool(scope.get("wildcards", False)),
            transactions=bool(scope.get("transactions", True)),
            filters=bool(scope.get("filters", True)),
            transaction_size=int(scope.get("transactionSize", 100)),
            transaction_seconds=int(scope.get("transactionSeconds", 60)),
            group_members=int(scope.get("groupMembers", 600)),
            shard_members=int(scope.get("shardMembers", 200)),
            anchor=str(policies.get("before", policies.get("after", ""))),
            before="before" in policies,
            template=_template(policies.get("template", {})),
            zone=zone_of(scope["schedules"]["timeZone"]) if writes_policies and "schedules" in scope else None,
            attach=config.attach.get("mode", "none") == "ifEmpty",
            acknowledged=tuple(scope.get("acknowledge", ())),
            units=tuple(scope.get("units", ())),
            feeds=Pushing.of(scope),
        )


def problems(config: DeviceConfig) -> dict[str, str]:
    """What is wrong with the settings, by path."""
    found: dict[str, str] = {}
    if not _OWNER.match(config.owner):
        found["owner"] = "1 to 12 of a-z and 0-9"
    if not config.url.startswith(("https://", "http://")):
        found["url"] = "the address of the management interface, such as https://192.0.2.10"
    for name, value in config.scope.items():
        found.update(_scope_problems(name, value))
    if config.scope.get("mode") == "policies" and not isinstance(config.scope.get("policies"), Mapping):
        found["scope.policies"] = "needed with mode policies: before or after which policy our block stands"
    found.update(_schedules_problems(config.scope))
    found.update(_attach_problems(config.attach))
    return found


def _template(given: Mapping[str, Any]) -> Template:
    return Template(
        srcintf=tuple(given.get("srcintf", ("any",))),
        dstintf=tuple(given.get("dstintf", ("any",))),
        schedule=str(given.get("schedule", ALWAYS)),
        nat=bool(given.get("nat", False)),
        poolname=tuple(given.get("poolname", ())),
        inspection=str(given.get("inspectionMode", "flow")),
        profiles=dict(given.get("profiles", {})),
        logtraffic=str(given.get("logtraffic", "disable")),
    )


def _scope_problems(name: str, value: object) -> Iterator[tuple[str, str]]:
    wanted = ""
    if name == "mode":
        wanted = "" if value in _MODES else f"one of {', '.join(_MODES)}"
    elif name == "vdom":
        wanted = "" if _is_text(value) else "the name of a VDOM"
    elif name in _SWITCHES:
        wanted = "" if isinstance(value, bool) else "true or false"
    elif name in _NUMBERS:
        least, most = _NUMBERS[name]
        number = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        wanted = "" if number else f"a number from {least} to {most}"
    elif name == "policies":
        yield from _policies_problems(value)
    elif name == "schedules":
        known = (
            isinstance(value, Mapping) and set(value) == {"timeZone"} and zone_of(str(value["timeZone"])) is not None
        )
        wanted = "" if known else "{timeZone: …}: UTC, or a name such as Europe/Berlin that is known here"
    elif name in feeds_scope.KNOWN:
        yield from feeds_scope.problems(name, value)
    else:
        wanted = f"unknown; there are {', '.join(sorted(_KNOWN))}"
    if wanted:
        yield f"scope.{name}", wanted


def _schedules_problems(scope: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A policy of FortiOS has one schedule, and the template may name one."""
    policies = scope.get("policies")
    template = policies.get("template") if isinstance(policies, Mapping) else None
    if "schedules" in scope and isinstance(template, Mapping) and template.get("schedule", ALWAYS) != ALWAYS:
        yield "scope.schedules", "not with a schedule in the template: a policy takes one"


def _policies_problems(value: object) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield "scope.policies", "an object with before or after, and template"
        return
    if len({"before", "after"} & value.keys()) != 1:
        yield "scope.policies", "either before or after: the name of the policy next to which our block stands"
    for name, given in value.items():
        if name in ("before", "after"):
            if not _is_text(given) or len(str(given)) > 35:
                yield f"scope.policies.{name}", "the name of a policy"
        elif name == "template":
            yield from _template_problems(given)
        else:
            yield f"scope.policies.{name}", "unknown; there are before, after and template"


def _template_problems(value: object) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield "scope.policies.template", f"an object with any of {', '.join(_TEMPLATE)}"
        return
    for name, given in value.items():
        wanted = _template_problem(str(name), given)
        if wanted:
            yield f"scope.policies.template.{name}", wanted


def _template_problem(name: str, given: object) -> str:
    """What is wrong with one setting of the template; empty when nothing is."""
    if name in ("srcintf", "dstintf"):
        good, wanted = _is_list(given) and bool(given), "a list of interfaces or zones, or [any]"
    elif name == "poolname":
        good, wanted = _is_list(given), "a list of the names of IP pools"
    elif name == "schedule":
        good, wanted = _is_text(given), "the name of a schedule"
    elif name == "nat":
        good, wanted = isinstance(given, bool), "true or false"
    elif name == "inspectionMode":
        good, wanted = given in ("flow", "proxy"), "flow or proxy"
    elif name == "logtraffic":
        good, wanted = given in ("disable", "utm"), "disable or utm: rules that log have all"
    elif name == "profiles":
        good = isinstance(given, Mapping) and all(key in _PROFILES and _is_text(one) for key, one in given.items())
        wanted = f"the names of profiles under any of {', '.join(_PROFILES)}"
    else:
        good, wanted = False, f"unknown; there are {', '.join(_TEMPLATE)}"
    return "" if good else wanted


def _attach_problems(attach: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in attach.items():
        if name != "mode":
            yield f"attach.{name}", "unknown; there is mode"
        elif value not in ("none", "ifEmpty"):
            yield "attach.mode", "none or ifEmpty"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _TEXT.match(value) is not None


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple) and all(_is_text(one) for one in value)
