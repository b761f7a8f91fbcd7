"""A simulated FortiGate in the hands of the conformance suite, with what depends on how the adapter names things."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from adapters.fortigate import feeds
from adapters.fortigate.groups import Forms
from adapters.fortigate.names import Names
from bridge.contract import DeviceConfig
from bridge.lab.devices.fortigate.item import State
from bridge.lab.devices.fortigate.rig import FortigateRig
from bridge.lab.devices.fortigate.simulator import Fortigate
from bridge.lab.devices.fortigate.store import Author, Push
from bridge.model.identity import ObjectKey

OWNER = "fb"
ANCHOR = "site deny"
ZONE = "Europe/Berlin"
_SOMEBODY = Author("somebody", "lab", "POST", feeds.PUSH)
SITE: Mapping[str, Any] = {
    "srcintf": [{"name": "any"}],
    "dstintf": [{"name": "any"}],
    "schedule": "always",
    "service": [{"name": "ALL"}],
}


@dataclass(frozen=True)
class Token:
    """The token as the box knows it now."""

    device: Fortigate

    def value(self, name: str) -> str:
        return {"token": self.device.password}[name]


class Rig(FortigateRig):
    """A box whose rules the bridge keeps, before a policy that never matches."""

    def __init__(self, device: Fortigate, **scope: object) -> None:
        super().__init__(device)
        self._scope: dict[str, Any] = dict(scope)

    def config(self, *, owner: str = OWNER, batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        scope: dict[str, Any] = {"mode": "policies", "policies": {"before": ANCHOR}, "schedules": {"timeZone": ZONE}}
        scope |= self._scope
        scope |= {"transactionSize": max(2, batch)} if batch else {}
        url, token, ca = self.device.url, Token(self.device), self.device.ca
        attach = {"mode": "ifEmpty"}
        return DeviceConfig("edge", "fortigate", url, owner, token, scope, attach, ca_file=ca, timeout=timeout)

    def reset(self) -> None:
        super().reset()
        self.device.change_object("system/global", {"timezone": ZONE}, user="site")
        never = {"name": ANCHOR, "srcaddr": [{"name": "none"}], "dstaddr": [{"name": "none"}], "action": "deny"}
        self.device.put_object("firewall/policy", {**SITE, **never}, user="site")
        self._since = self.device.writes()[-1].number

    def left(self) -> str:
        """All that the box holds, what waits in transactions included."""
        with self.device.changed:
            waiting = self.device.transactions.waiting()
        return f"{sorted(self.contents().items())} {waiting}"

    def restore(self, state: State) -> None:
        """The configuration as it was, and what feeds held; that is the first moment."""
        with self.device.changed:
            self.device.wipe()
            self._since = self.device.writes()[-1].number
            self.device.store.replace(state, _SOMEBODY)

    def plant(self) -> Collection[str]:
        """What a site has, and what could be mistaken for ours: our prefix, our mark, or a name that holds both somewhere."""
        put = self.device.put_object
        put("firewall/address", {"name": "site-host", "subnet": "192.0.2.66/32"}, user="site")
        put("firewall/address", {"name": "site-lone", "subnet": "10.66.0.66/32"}, user="site")
        put(
            "firewall/address", {"name": "my_fb_host", "subnet": "192.0.2.67/32", "comment": "not fb:fb:x"}, user="site"
        )
        put("firewall/address", {"name": "fb_10.9.9.9", "subnet": "10.9.9.9/32"}, user="site")
        member = [{"name": "site-host"}]
        put("firewall/addrgrp", {"name": "fb_prod_service_shop_theirs", "member": member}, user="site")
        mark = "fb:fb:group:prod/service/shop/copied"
        put("firewall/addrgrp", {"name": "copy of a group", "member": member, "comment": mark}, user="site")
        put("firewall.service/custom", {"name": "fb_theirs_tcp", "tcp-portrange": "80"}, user="site")
        once = {"name": "fb_ends-20360514-1231", "start": "00:00 2001/01/01", "end": "12:31 2036/05/15"}
        put("firewall.schedule/onetime", once, user="site")
        policy = {"name": "fb_theirs", "srcaddr": member, "dstaddr": member, "action": "accept", "policyid": 900}
        put("firewall/policy", {**SITE, **policy}, user="site")
        self._since = self.device.writes()[-1].number
        return (
            "firewall/address fb_10.9.9.9",
            "firewall/addrgrp fb_prod_service_shop_theirs",
            "firewall/addrgrp copy of a group",
            "firewall.service/custom fb_theirs_tcp",
            "firewall.schedule/onetime fb_ends-20360514-1231",
            "firewall/policy fb_theirs",
        )

    def contents(self) -> Mapping[str, bytes]:
        """Policies by their names and in their order, for their numbers are the box's to choose."""
        policies = self.device.objects("firewall/policy", self.vdom)
        found = {name: held for name, held in super().contents().items() if ":firewall/policy/" not in name}
        for shown in policies.values():
            plain = {key: held for key, held in shown.items() if key not in ("policyid", "q_origin_key", "uuid")}
            found[f"policy {shown['name']}"] = msgspec.json.encode(plain)
        ours = [
            shown["name"] for shown in policies.values() if shown["name"].startswith(f"{OWNER}_") and shown["comments"]
        ]
        return found | ({"order": msgspec.json.encode(ours)} if ours else {})

    def unmark(self, key: ObjectKey) -> str:
        table, name = self._place(key)
        self.device.put_object("firewall/address", {"name": "site-own", "subnet": "192.0.2.97/32"}, user="site")
        held = (*self.device.members(table, name), "site-own")
        body = {"name": name, "comment": "mine now", "member": [{"name": one} for one in held]}
        self.device.put_object(table, body, user="site")
        return f"{self.vdom}:{table}/{name}"

    def tamper(self, key: ObjectKey) -> None:
        table, name = self._place(key)
        held = (*self.device.members(table, name), "site-lone")
        self.device.put_object(table, {"name": name, "member": [{"name": one} for one in held]}, user="site")

    def narrow(self, limit: str) -> None:
        """Of policies, so many lines fit beside the headers: one for each tier, one for the list."""
        super().narrow(limit)
        if limit == "rules":
            self.device.limits.tables["firewall-policy"] += 4

    def _place(self, key: ObjectKey) -> tuple[str, str]:
        return Forms(Names(OWNER), ipv6=True).places(key)[0]


class FedRig(Rig):
    """The same for a box some of whose groups may be feeds."""

    def __init__(self, device: Fortigate, feeds: Mapping[str, int], **scope: object) -> None:
        super().__init__(device, feeds=feeds, **scope)
        self._feeds = feeds

    def narrow(self, limit: str) -> None:
        """How many members a feed has is a limit of the settings."""
        if limit == "group_members":
            self._scope["feeds"] = {**self._feeds, "entries": self.limits[limit]}
        else:
            super().narrow(limit)

    def reset(self) -> None:
        super().reset()
        self._scope["feeds"] = self._feeds

    def unmark(self, key: ObjectKey) -> str:
        name = feeds.name(Names(OWNER), key)
        if name not in self.device.objects(feeds.TABLE):
            return super().unmark(key)
        self.device.change_object(f"{feeds.TABLE}/{name}", {"comments": "mine now"}, user="site")
        self.tamper(key)
        return f"{self.vdom}:{feeds.TABLE}/{name}"

    def tamper(self, key: ObjectKey) -> None:
        name = feeds.name(Names(OWNER), key)
        if name not in self.device.objects(feeds.TABLE):
            super().tamper(key)
            return
        with self.device.changed:
            self.device.store.push({(self.vdom, feeds.TABLE, name): Push(add=("10.66.0.66",))}, _SOMEBODY)


@contextmanager
def fortigate_rig(*, tls: bool = True, feeds: Mapping[str, int] | None = None, **scope: object) -> Iterator[Rig]:
    """A rig around a simulated box that runs as long as the context."""
    device = Fortigate(tls=tls)
    device.start()
    try:
        rig = Rig(device, **scope) if feeds is None else FedRig(device, feeds, **scope)
        rig.reset()
        yield rig
    finally:
        device.stop()


def single_calls() -> AbstractContextManager[Rig]:
    """The same, for a box without transactions."""
    return fortigate_rig(tls=False, transactions=False)
