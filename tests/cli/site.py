"""A simulated BIG-IP, a recorded cluster and the settings for both: what `status`, `plan` and `report` are about."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from bridge.cli.adapters import InstalledAdapters
from bridge.cli.assembly import worker_settings
from bridge.clock import SystemClock
from bridge.delivery.worker import Worker
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group, Ports, RuleEntry, RuleList
from bridge.model.observed import PolicyObject, Resource
from bridge.model.policy import Action, PortRange, Protocol, Ref
from bridge.settings import load
from bridge.state.batch import DesiredObject, MemberChange, Verdict
from tests.state.builders import Stores, batch

PASSWORD = "hunter2-of-the-device"
SOURCE = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "paymentservice")
BANK = ObjectKey(Kind.GROUP, "east", Scope.EXTERNAL, "shop", "bank")
HTTPS = ObjectKey(Kind.PORTS, "east", Scope.EXTERNAL, "shop", "bank.tcp")
RULES = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")


@dataclass(frozen=True, slots=True)
class Site:
    """Everything there is."""

    folder: Path
    stores: Stores
    bigip: Bigip

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "bridge.yaml"

    def write_settings(self, url: str) -> None:
        """One cluster, one device."""
        (self.folder / "password").write_text(f"{PASSWORD}\n")
        (self.folder / "username").write_text("bridge")
        settings = {
            "owner": "acme",
            "database": {"url": url},
            "clusters": [{"name": "east", "podRanges": ["10.64.0.0/16"]}],
            "devices": [
                {
                    "name": "edge",
                    "kind": "bigip",
                    "url": self.bigip.url,
                    "credentials": {"username": {"file": "username"}, "password": {"file": "password"}},
                    "scope": {"clusters": {"east": {"default": {"action": "None", "unknownAddresses": "Pass"}}}},
                }
            ],
        }
        self.config.write_text(yaml.safe_dump(settings))

    def desire(self, *members: str) -> None:
        """Record that the payment service, with these addresses, may reach the bank."""
        changes = batch()
        line = RuleEntry("pay.bank.tcp", Action.ALLOW, (SOURCE,), (BANK,), Protocol.TCP, HTTPS)
        changes.groups = [SOURCE]
        changes.joined = [MemberChange(SOURCE, member) for member in members]
        changes.desired = [
            DesiredObject("edge", SOURCE, None, "selected"),
            DesiredObject("edge", BANK, Group(BANK, frozenset({"203.0.113.10"})), "1"),
            DesiredObject("edge", HTTPS, Ports(HTTPS, (PortRange(443, 443),)), "1"),
            DesiredObject("edge", RULES, RuleList(RULES, (line,)), "1"),
        ]
        changes.synced = {Resource.PODS: "7"}
        self.stores.commit(changes)

    def join(self, *members: str) -> None:
        """More addresses behind the payment service."""
        changes = batch(1)
        changes.joined = [MemberChange(SOURCE, member) for member in members]
        self.stores.commit(changes)

    def lose(self, *members: str) -> None:
        """Addresses that went without any event that proves it."""
        changes = batch(2)
        changes.left = [MemberChange(SOURCE, member, inferred=True) for member in members]
        self.stores.commit(changes)

    def refuse_policy(self, message: str) -> None:
        """Record an object of the user that is not accepted."""
        ref = Ref("ServiceEgressRule", "shop", "pay")
        written = PolicyObject(Resource.SERVICE_RULES, "u", "shop", "pay", "1", 1, {}, {})
        changes = batch(3)
        changes.objects = [written]
        changes.verdicts = [Verdict(ref, "u", 1, False, "Invalid", message)]
        self.stores.commit(changes)

    def deliver(self) -> None:
        """One cycle of delivery, with the settings of the file."""
        settings = load(self.config, InstalledAdapters())
        (device,) = settings.devices
        adapter = InstalledAdapters().factory(device.kind).open(device.config(settings.owner))
        times = worker_settings(settings.delivery, device)
        try:
            worker = Worker(adapter, self.stores.delivery, SystemClock(), self.stores.database.installation(), times)
            worker.turn(1)
            assert worker.pacing.message == ""
        finally:
            adapter.close()
