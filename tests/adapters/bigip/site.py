"""What the tests share: an adapter for a simulated device, the keys of a small site, and the loop that delivery runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.bigip import BigipAdapter, factory
from bridge.contract import DeviceConfig
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import (
    EVERYTHING,
    DeviceObject,
    Group,
    Intent,
    Objects,
    Policy,
    Ports,
    RuleEntry,
    RuleList,
    Shard,
)
from bridge.model.plan import Fence, Outcome, Plan
from bridge.model.policy import Action, PortRange, Protocol
from bridge.policy.diff import diff, plan
from bridge.policy.shard import spread

OWNER = "fb"
FOLDER = f"/Common/{OWNER}"
FENCE = Fence(3, "installation-a")

CART = ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "cart")
WEB = ObjectKey(Kind.GROUP, "prod", Scope.SERVICE, "shop", "web")
BANK = ObjectKey(Kind.GROUP, "prod", Scope.EXTERNAL, "shop", "bank")
HTTPS = ObjectKey(Kind.PORTS, "prod", Scope.EXTERNAL, "shop", "bank.tcp")
SHOP = ObjectKey(Kind.RULE_LIST, "prod", Scope.SERVICE, "shop")
EVERYONE = ObjectKey(Kind.RULE_LIST, "prod", Scope.CLUSTER)
SERVICES = ObjectKey(Kind.POLICY, "", Scope.SERVICE)
CLUSTERS = ObjectKey(Kind.POLICY, "", Scope.CLUSTER)


@dataclass
class Secrets:
    """Credentials that can be changed, and say how often they were read."""

    values: dict[str, str] = field(repr=False)
    reads: list[str] = field(default_factory=list)

    def value(self, name: str) -> str:
        self.reads.append(name)
        return self.values[name]


def config(device: Bigip, **changes: object) -> DeviceConfig:
    given: dict[str, Any] = {
        "name": "edge",
        "kind": "bigip",
        "url": device.url,
        "owner": OWNER,
        "credentials": Secrets({"username": device.username, "password": device.password}),
        "ca_file": device.ca,
        "timeout": 5.0,
    }
    return DeviceConfig(**(given | changes))


OPENED: list[BigipAdapter] = []


def open_adapter(device: Bigip, **changes: object) -> BigipAdapter:
    """An adapter that is closed at the end of the test."""
    OPENED.append(factory.open(config(device, **changes)))
    return OPENED[-1]


def line(
    name: str,
    source: ObjectKey = CART,
    action: Action = Action.ALLOW,
    protocol: Protocol = Protocol.ANY,
    ports: ObjectKey | None = None,
) -> RuleEntry:
    return RuleEntry(name, action, (source,), (BANK,), protocol, ports)


def shop(
    *members: str, lines: Iterable[RuleEntry] = (), extra: Iterable[DeviceObject] = ()
) -> dict[ObjectKey, DeviceObject]:
    """A small site: one group, one destination, one list in the policy of services."""
    listed = tuple(lines) or (line("pay.bank.tcp", protocol=Protocol.TCP, ports=HTTPS),)
    objects: list[DeviceObject] = [
        Group(CART, frozenset(members)),
        Group(WEB, frozenset({"10.9.0.1"})),
        Group(BANK, frozenset({"198.51.100.0/24", "2001:db8::/32"})),
        Ports(HTTPS, (PortRange(443, 443), PortRange(8000, 8010))),
        RuleList(SHOP, listed),
        Policy(SERVICES, (SHOP,)),
        *extra,
    ]
    return {value.key: value for value in objects}


def sharded(key: ObjectKey, members: Iterable[str], of: int) -> list[Group | Shard]:
    return list(spread(key, members, of))


def wanted(adapter: BigipAdapter, objects: Mapping[ObjectKey, DeviceObject]) -> Objects:
    return adapter.normalize(Intent("edge", objects))


def planned(adapter: BigipAdapter, have: Objects, objects: Objects) -> Plan:
    return plan("edge", diff(have, Intent("edge", objects)), have, adapter.capabilities, adapter.limits)


def reconcile(adapter: BigipAdapter, objects: Mapping[ObjectKey, DeviceObject], fence: Fence = FENCE) -> Outcome:
    """Read, plan, apply once."""
    have = adapter.read(EVERYTHING).objects
    return adapter.apply(planned(adapter, have, wanted(adapter, objects)), fence)


def firewall(device: Bigip) -> dict[str, Any]:
    """All that the firewall holds, as GET shows it, without what counts changes."""
    kinds = ("address-list", "port-list", "rule-list", "policy")
    return {kind: _plain(device.objects(f"security/firewall/{kind}")) for kind in kinds}


def _plain(shown: Any) -> Any:  # noqa: ANN401
    if isinstance(shown, dict):
        return {name: _plain(value) for name, value in shown.items() if name != "generation"}
    return [_plain(one) for one in shown] if isinstance(shown, list) else shown
