"""The settings of a BIG-IP whose policies AS3 makes, checked and as values; the rest of `scope` is as without AS3.

scope:
  mode: as3                 # rest, the default, writes all of it over iControl REST
  tenant: fb_egress         # a tenant that is the bridge's alone; default: <owner>_egress
  taskSeconds: 300          # how long a declaration is waited for
attach:
  mode: none                # or ifEmpty: the virtual servers below are declared, and our policy enforced on them
  services:                 # by name, in AS3's words: a service and the one address on which it takes the traffic of the pods
    egress: {class: Service_Forwarding, forwardingType: ip, virtualAddresses: [0.0.0.0], virtualPort: 0, snat: none}
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.bigip import scope as rest
from bridge.contract import DeviceConfig

MODES = ("rest", "as3")
_OWN = frozenset({"mode", "tenant", "taskSeconds"})
_TENANT = re.compile(r"[A-Za-z][0-9A-Za-z_.-]{0,62}\Z")
_ITEM = re.compile(r"[A-Za-z]([0-9A-Za-z_.-]{0,60}[0-9A-Za-z_.])?\Z")
_OWNER = re.compile(r"[a-z][a-z0-9]{0,11}\Z")
_TAKEN = ("Common", "Shared", "appsvcs")
_REST = ("cluster", "namespace", "service")  # where policies are attached without AS3


@dataclass(frozen=True, slots=True)
class As3Scope:
    """The settings as values. `services` are bodies of AS3 without a policy; `attach`: whether they are to be declared."""

    tenant: str
    seconds: float = 300.0
    attach: bool = False
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: DeviceConfig) -> "As3Scope":
        """The values of settings without problems."""
        return cls(
            tenant=_tenant(config),
            seconds=float(config.scope.get("taskSeconds", 300)),
            attach=config.attach.get("mode", "none") == "ifEmpty",
            services=dict(config.attach.get("services", {})),
        )


def _tenant(config: DeviceConfig) -> str:
    """The tenant of this owner; one that the settings name holds what their owner declared, and a trial stands beside it."""
    given = config.scope.get("tenant")
    if given is None:
        return f"{config.owner}_egress"
    return f"{str(given)[:50]}_{config.owner}" if config.trial else str(given)


def chosen(config: DeviceConfig) -> bool:
    """Whether AS3 makes the policies of this device."""
    return bool(config.scope.get("mode", "rest") == "as3")


def plain(config: DeviceConfig) -> DeviceConfig:
    """The settings without what is AS3's, as the rest of the adapter reads them."""
    own = _OWN if chosen(config) else frozenset({"mode"})
    bare = {name: value for name, value in config.scope.items() if name not in own}
    return replace(config, scope=bare, attach={} if chosen(config) else config.attach)


def problems(config: DeviceConfig) -> dict[str, str]:
    """What is wrong with the settings, by path."""
    found = rest.problems(plain(config))
    if config.scope.get("mode", "rest") not in MODES:
        found["scope.mode"] = " or ".join(MODES)
    if chosen(config):
        found.update(_problems(config))
    return found


def _problems(config: DeviceConfig) -> Iterator[tuple[str, str]]:
    if not _OWNER.match(config.owner):
        yield "owner", "1 to 12 of a-z and 0-9, a letter first: AS3 takes no other names"
    tenant = config.scope.get("tenant", f"{config.owner}_egress")
    if not isinstance(tenant, str) or not _TENANT.match(tenant) or tenant in _TAKEN:
        yield "scope.tenant", "the name of a tenant that is the bridge's alone: a letter, then letters, digits and _.-"
    seconds = config.scope.get("taskSeconds", 300)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 10 <= seconds <= 3600:
        yield "scope.taskSeconds", "a number from 10 to 3600"
    if config.scope.get("schedules") is True:
        yield "scope.schedules", "AS3 has no words for schedules; leave it out"
    mode, services = config.attach.get("mode", "none"), config.attach.get("services", {})
    for name in sorted(config.attach.keys() - {"mode", "services"}):
        words = (
            "AS3 binds nothing outside of its tenant, nor a virtual server of others: declare one in attach.services"
        )
        yield (
            f"attach.{name}",
            f"{words}, or choose scope.mode: rest" if name in _REST else "unknown; there are mode, services",
        )
    if mode not in ("none", "ifEmpty"):
        yield "attach.mode", "none or ifEmpty"
    if not isinstance(services, Mapping):
        yield "attach.services", "virtual servers by name"
        return
    if mode == "ifEmpty" and not services:
        yield "attach.services", "at least one virtual server, or attach.mode: none"
    for name, body in services.items():
        yield from _service_problems(name, body, config.owner)


def _service_problems(name: object, body: object, owner: str) -> Iterator[tuple[str, str]]:
    path = f"attach.services.{name}"
    if (
        not isinstance(name, str)
        or not _ITEM.match(name)
        or name.startswith(f"{owner}_")
        or name in ("class", "template")
    ):
        yield path, f"a letter, then letters, digits and _.-, and not {owner}_ in front: those names are the bridge's"
    if not isinstance(body, Mapping) or not str(body.get("class", "")).startswith("Service_"):
        yield path, "an object of AS3 with class: Service_…"
        return
    ours = sorted(one for one in body if one == "remark" or str(one).startswith("policyFirewall"))
    if ours:
        yield f"{path}.{ours[0]}", "is the bridge's to say"
    addresses = body.get("virtualAddresses")
    if not isinstance(addresses, list) or len(addresses) != 1 or not isinstance(addresses[0], str):
        yield f"{path}.virtualAddresses", "a list of one address: name a virtual server for each"
    if _points_inside(body):
        yield path, "refer to what stands elsewhere with bigip: nothing of the tenant but the policy is to be used"


def _points_inside(value: object) -> bool:
    if isinstance(value, Mapping):
        return "use" in value or any(_points_inside(one) for one in value.values())
    return isinstance(value, list) and any(_points_inside(one) for one in value)
