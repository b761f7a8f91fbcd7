"""A simulated cluster, the real program and a simulated FortiGate."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.lab.devices.fortigate import Fortigate
from tests.acceptance.site import CLUSTER, OWNER, Bridge, ClusterEntry
from tests.acceptance.world import Cluster, cluster

ANCHOR = "clean up"
ADDRESS, ADDRESS6, GROUP, GROUP6 = "firewall/address", "firewall/address6", "firewall/addrgrp", "firewall/addrgrp6"
SERVICE, POLICY = "firewall.service/custom", "firewall/policy"


@dataclass
class Box(Cluster):
    """One cluster, one FortiGate and the bridge between them."""

    device: Fortigate
    bridge: Bridge
    vdom: str = "root"

    def called(self, scope: str, *names: str) -> str:
        """What one of our groups is called."""
        return "_".join((OWNER, self.name, scope, *names))

    def members(self, group: str, table: str = GROUP) -> frozenset[str]:
        """What the addresses of a group stand for, nested groups included."""
        held: set[str] = set()
        groups = self.device.objects(table, self.vdom)
        for one in groups.get(group, {}).get("member", ()):
            name = one["name"]
            held |= self.members(name, table) if name in groups else {name.removeprefix(f"{OWNER}_")}
        return frozenset(held - {"nothing"})

    def ours(self, table: str) -> dict[str, dict[str, Any]]:
        """Our entries of a table, by name; of policies in their order."""
        shown = self.device.objects(table, self.vdom)
        return {one["name"]: one for one in shown.values() if one["name"].startswith(f"{OWNER}_")}

    def allowed(self, source: str, destination: str, port: int = 443, **more: Any) -> bool:  # noqa: ANN401
        """What the box decides for a TCP packet; the last word is its own implicit deny."""
        return self.device.decide(source, destination, port=port, vdom=self.vdom, **more).allowed

    def action(self, source: str, destination: str, port: int = 443) -> str:
        """The box's own word for it, and the number of the policy that said so."""
        found = self.device.decide(source, destination, port=port, vdom=self.vdom)
        return f"{found.action} {found.name}"

    def told(self, namespace: str, name: str) -> str:
        """What people are told at a rule of a service: why it is not programmed, and what about."""
        status = self.store.get("serviceegressrules", namespace, name).get("status", {})
        states = [f"{one['state']}: {one.get('message', '')}" for one in status.get("devices", ())]
        return " ".join(states)

    def written(self) -> int:
        """How often the bridge has changed anything."""
        return sum(write.agent.startswith("fusion-bridge") for write in self.device.writes())


@contextlib.contextmanager
def box(
    folder: Path,
    *,
    vdoms: tuple[str, ...] = ("root",),
    attach: str = "ifEmpty",
    more: Mapping[str, Any] | None = None,
    **scope: Any,  # noqa: ANN401
) -> Iterator[Box]:
    """A cluster, a box and a bridge that is not started; `scope` is the adapter's, `more` are settings of the device."""
    device = Fortigate(vdoms=vdoms)
    with cluster() as made, device:
        (folder / "token").write_text(device.password)
        entry = ClusterEntry(CLUSTER, made.api.kubeconfig)
        with Bridge(folder, {}, [entry]) as bridge:
            listed = {
                "name": "edge",
                "kind": "fortigate",
                "url": device.url,
                "timeout": 5,
                "credentials": {"token": {"file": "token"}},
                "tls": {"caFile": str(device.ca)},
                "scope": {"clusters": {CLUSTER: {"default": dict(bridge.default)}}, "fortigate": scope},
                "attach": attach,
                **(more or {}),
            }
            bridge.write_settings({"devices": [listed]})
            yield Box(made.name, made.store, made.api, device, bridge, vdoms[-1])
