"""Model values to AS3's words, and what AS3 cannot say. Pure; checked against F5's schema 3.56.0.

The application holds a port list, rule list or policy for each of ours, and, where the settings name virtual servers, these and one policy
more, `<owner>_enforced`: the lists of all tiers in their order. For AFM asks the policy of a virtual server only once, and a tenant of AS3
reaches no other place. So there is one ordered list, and no Pass.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.bigip import protocols
from adapters.bigip.as3_scope import As3Scope
from adapters.bigip.names import APPLICATION, PARTITION, Names
from adapters.bigip.translate import ACTIONS
from bridge.errors import Unsupported
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Intent, Objects, Policy, Ports, RuleEntry, RuleList
from bridge.model.plan import Step
from bridge.model.policy import Action, Tier
from bridge.model.tiers import attachment, policy_key, tier_of

Json = dict[str, Any]

SCHEMA = "3.30.0"
"""The version of AS3 whose words we use: the first that knows a dry run."""

_ITEM = re.compile(r"[A-Za-z]([0-9A-Za-z_.-]{0,188}[0-9A-Za-z_.])?\Z")


def check(intent: Intent, names: Names) -> None:
    """Unsupported names every object that AS3 has no words for."""
    wrong = {str(key): why for key, value in intent.objects.items() if (why := _objection(value, names))}
    if wrong:
        raise Unsupported(intent.device, wrong)


def _objection(value: DeviceObject, names: Names) -> str:
    if not isinstance(value, Ports | RuleList | Policy):
        return ""
    if not _ITEM.match(names.name(value.key)):
        return "AS3 takes no name that ends so"
    lines = value.entries if isinstance(value, RuleList) else ()
    return next((f"line {line.name}: {why}" for line in lines if (why := _line_objection(line))), "")


def _line_objection(line: RuleEntry) -> str:
    if line.action is Action.PASS:
        return "all tiers stand in one policy here, so that a Pass has no tier to go on with"
    if line.icmp:
        return "AS3 has no words for types of ICMP"
    if not protocols.named(line.protocol, line.number):
        return f"AS3 has no name for protocol {line.number}"
    return ""


def attachments(objects: Objects, scope: As3Scope) -> dict[ObjectKey, DeviceObject]:
    """What is to be attached where the settings want it: the policy of each tier that has one."""
    if not scope.attach:
        return {}
    return {one.key: one for one in map(attachment, Tier) if one.policy in objects}


@dataclass(frozen=True, slots=True)
class Words:
    """What the objects of one owner are in AS3."""

    names: Names
    scope: As3Scope

    @property
    def mark(self) -> str:
        """The remark of our tenant."""
        return self.names.own_mark("tenant")

    def edited(self, items: Mapping[str, Any], steps: Iterable[Step]) -> Json:
        """The items of the application after these steps, our virtual servers and what is enforced there with them."""
        after, tiers = dict(items), self.attached(items)
        for step in steps:
            if step.key.kind is Kind.ATTACHMENT:
                (tiers.discard if step.after is None else tiers.add)(tier_of(step.key))
            elif step.after is None:
                after.pop(self.names.name(step.key), None)
            else:
                after[self.names.name(step.key)] = self.item(step.after)
        return self._bound(after, tiers)

    def attached(self, items: Mapping[str, Any]) -> set[Tier]:
        """The tiers whose lists are declared to be enforced."""
        enforced = items.get(self._enforced, {})
        return told_tiers(str(enforced.get("remark", "")), self.names)

    def is_ours(self, name: str, item: object) -> bool:
        """Whether an item is one of ours, by its name and its mark."""
        marked = isinstance(item, Mapping) and str(item.get("remark", "")).startswith(self.names.mark_prefix)
        return marked and (name.startswith(self.names.prefix) or name in self.scope.services)

    def item(self, value: DeviceObject) -> Json:
        """One object in AS3's words."""
        head = {"remark": self.names.mark(value.key)}
        match value:
            case Ports():
                return {"class": "Firewall_Port_List", **head, "ports": [str(port) for port in value.ports]}
            case RuleList():
                return {"class": "Firewall_Rule_List", **head, "rules": [self._rule(line) for line in value.entries]}
            case Policy():
                return {"class": "Firewall_Policy", **head, "rules": [self._use(key) for key in value.lists]}
            case _:
                raise TypeError(f"{value.key} is not declared")

    def declaration(self, application: Mapping[str, Any], rest: Mapping[str, Any], key: str) -> Json:
        """The declaration in which our tenant holds these items, beside the `rest` that others declared in it; without any, it goes.

        `key` is the optimistic lock that the tenant was read with.
        """
        tenant: Json = {"class": "Tenant"}
        if application or rest:
            tenant |= {**rest, "remark": self.mark}
            held = {"class": "Application", "template": "generic", **application}
            tenant |= {APPLICATION: held} if application else {}
        if key:
            tenant["optimisticLockKey"] = key
        return {
            "class": "ADC",
            "schemaVersion": SCHEMA,
            "id": self.id,
            "controls": {"class": "Controls"},
            self.scope.tenant: tenant,
        }

    @property
    def id(self) -> str:
        """The id of our declarations, by which tasks tell whose they are."""
        return f"fusion-bridge-{self.names.owner}"

    def services(self, items: Mapping[str, Any]) -> Json:
        """Our virtual servers with what is enforced there: as the settings say, or, where these attach nothing, as they are declared."""
        if not self.scope.attach:
            return {name: one for name, one in items.items() if self.is_service(one)}
        bound = {"remark": self.names.own_mark("service"), "policyFirewallEnforced": {"use": self._enforced}}
        return {name: {**body, **bound} for name, body in self.scope.services.items()}

    def is_service(self, item: object) -> bool:
        """Whether this is a virtual server of ours, even one that the settings name no more."""
        return isinstance(item, Mapping) and item.get("remark") == self.names.own_mark("service")

    def _bound(self, items: Json, tiers: set[Tier]) -> Json:
        """The items with our virtual servers where something is attached, and without them elsewhere: they never stand unfiltered."""
        policies = {tier: items[name] for tier in Tier if (name := self.names.name(policy_key(tier))) in items}
        held, services = [tier for tier in policies if tier in tiers], self.services(items)
        others = {name: one for name, one in items.items() if not self._is_bound(name, one)}
        if not held or not services:
            return others
        rules = [rule for tier in held for rule in policies[tier].get("rules", ())]
        remark = f"{self.names.own_mark('enforced')}:{','.join(held)}"
        return {**others, self._enforced: {"class": "Firewall_Policy", "remark": remark, "rules": rules}, **services}

    def _is_bound(self, name: str, item: object) -> bool:
        """Whether an item is a virtual server of ours, or what is enforced there."""
        return self.is_service(item) or (name == self._enforced and self.is_ours(name, item))

    def _rule(self, line: RuleEntry) -> Json:
        if not line.sources or not line.destinations or line.withheld:
            raise ValueError(f"{line.name}: a line without source or destination, or withheld, is never written")
        to: Json = {"addressLists": [self._elsewhere(key) for key in line.destinations]}
        rule: Json = {
            "name": line.name,
            "action": ACTIONS[line.action],
            "protocol": protocols.named(line.protocol, line.number),
            "loggingEnabled": line.log,
            "source": {"addressLists": [self._elsewhere(key) for key in line.sources]},
            "destination": to | ({"portLists": [self._use(line.ports)]} if line.ports else {}),
        }
        return rule | ({"iRule": {"bigip": f"/{PARTITION}/{line.bandwidth}"}} if line.bandwidth else {})

    def _use(self, key: ObjectKey) -> Json:
        return {"use": self.names.name(key)}

    def _elsewhere(self, key: ObjectKey) -> Json:
        return {"bigip": self.names.path(key)}

    @property
    def _enforced(self) -> str:
        return self.names.enforced.rpartition("/")[2]


def told_tiers(remark: str, names: Names) -> set[Tier]:
    """The tiers that the policy which is enforced says that it holds."""
    head, _, told = remark.rpartition(":")
    words = told.split(",") if head == names.own_mark("enforced") else ()
    return {tier for tier in Tier if tier.value in words}
