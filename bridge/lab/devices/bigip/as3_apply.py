"""From a declared tenant to configuration: its partition holds what is declared, and nothing else.

As AS3 3.56.0 does it: the folder of an application is called like it, `remark` becomes the description, a rule list in a policy becomes a
rule of the list's name, and what stands in the partition undeclared is deleted. Virtual addresses are not kept.
"""

from collections.abc import Iterator
from typing import Any

from bridge.lab.devices.bigip import configuration
from bridge.lab.devices.bigip.answers import encode
from bridge.lab.devices.bigip.as3_check import PROTOCOLS, InvalidError
from bridge.lab.devices.bigip.configuration import Call
from bridge.lab.devices.bigip.fields import Json, Limits
from bridge.lab.devices.bigip.kinds import ADDRESS_LIST, FOLDER, IRULE, PARTITION, POLICY, PORT_LIST, RULE_LIST, VIRTUAL
from bridge.lab.devices.bigip.store import Draft

_COLLECTIONS = {
    "Firewall_Address_List": ADDRESS_LIST,
    "Firewall_Port_List": PORT_LIST,
    "Firewall_Rule_List": RULE_LIST,
    "Firewall_Policy": POLICY,
    "Service_Forwarding": VIRTUAL,
    "Service_L4": VIRTUAL,
}
_OF_APPLICATION = frozenset({"class", "label", "remark", "template", "enable"})
_ANY = {"0.0.0.0": "any", "::": "any6"}


def declare_tenant(draft: Draft, tenant: str, body: Json, limits: Limits) -> int:
    """Bring the draft to what is declared; how many objects change. Raises ApiError, and InvalidError for references into the void."""
    applications = {
        name: one for name, one in body.items() if isinstance(one, dict) and one.get("class") == "Application"
    }
    wanted = {f"/{tenant}", *(f"/{tenant}/{name}" for name in applications)} if body.keys() != {"class"} else set()
    _clear(draft, tenant, wanted)
    writer = _Writer(draft, tenant, limits)
    for path in sorted(wanted):
        if draft.get((FOLDER, path)) is None:
            writer.make_folder(path)
    for name, application in applications.items():
        _Application(writer, name, application).make()
    return _forget_unchanged(draft)


def _clear(draft: Draft, tenant: str, wanted: set[str]) -> None:
    """The partition without objects, and without the folders that are not wanted; itself too, where it is none of them."""
    for item in list(draft.items()):
        if item.partition == tenant and item.kind.collection not in (PARTITION, FOLDER):
            draft.drop(item.key)
    for item in list(draft.items()):
        if (item.path == f"/{tenant}" or item.path.startswith(f"/{tenant}/")) and item.path not in wanted:
            draft.drop(item.key)


def _forget_unchanged(draft: Draft) -> int:
    for key, item in list(draft.changes.items()):
        before = draft.base.get(key)
        if (before is None and item is None) or (before and item and before.stamp == item.stamp):
            del draft.changes[key]
    return len(draft.changes)


class _Writer:
    """Creates objects on a draft, as REST would."""

    def __init__(self, draft: Draft, tenant: str, limits: Limits) -> None:
        self.draft = draft
        self.tenant = tenant
        self._limits = limits

    def make_folder(self, path: str) -> None:
        """A folder, or the partition."""
        if path == f"/{self.tenant}":
            self._post(PARTITION, {"name": self.tenant})
        else:
            self._post(FOLDER, {"name": path})

    def make(self, collection: str, path: str, body: Json, rules: list[Json]) -> None:
        """An object, and its rules in their order."""
        self._post(collection, {"name": path, **body})
        for rule in rules:
            self._post(f"{collection}/{path.replace('/', '~')}/rules", rule | {"placeAfter": "last"})

    def _post(self, collection: str, body: Json) -> None:
        call = Call("POST", f"/mgmt/tm/{collection}", "", encode(body))
        configuration.perform(self.draft, call, self._limits)


class _Application:
    """One application of the tenant."""

    def __init__(self, writer: _Writer, name: str, body: Json) -> None:
        self._writer = writer
        self._home = f"/{writer.tenant}/{name}"
        self._items: dict[str, Json] = {item: one for item, one in body.items() if item not in _OF_APPLICATION}

    def make(self) -> None:
        """All its items."""
        for name, item in self._items.items():
            path = f"{self._home}/{name}"
            body, rules = self._body(path, item)
            self._writer.make(_COLLECTIONS[item["class"]], path, body, rules)

    def _body(self, path: str, item: Json) -> tuple[Json, list[Json]]:
        body: Json = {"description": item["remark"]} if item.get("remark") else {}
        match item["class"]:
            case "Firewall_Address_List":
                lists = [self._target(path, one, ADDRESS_LIST) for one in item.get("addressLists", [])]
                names = {name: [{"name": one} for one in item.get(name, [])] for name in ("addresses", "fqdns", "geo")}
                return body | names | {"addressLists": lists}, []
            case "Firewall_Port_List":
                lists = [self._target(path, one, PORT_LIST) for one in item.get("portLists", [])]
                return body | {"ports": [{"name": str(one)} for one in item.get("ports", [])], "portLists": lists}, []
            case "Firewall_Rule_List" | "Firewall_Policy":
                return body, [self._rule(f"{path}/rules/{at}", one) for at, one in enumerate(item.get("rules", []))]
            case _:
                return body | self._virtual(path, item), []

    def _rule(self, path: str, rule: Json) -> Json:
        if rule.keys() & {"use", "bigip"}:
            target = self._target(path, rule, RULE_LIST)
            return {"name": target.rpartition("/")[2], "ruleList": target}
        protocol = rule.get("protocol", "any")
        made: Json = {
            "name": rule["name"],
            "action": rule["action"],
            "ipProtocol": "any" if protocol == "any" else str(PROTOCOLS[protocol]),
            "log": "yes" if rule.get("loggingEnabled") else "no",
            "source": dict(self._side(f"{path}/source", rule.get("source", {}))),
            "destination": dict(self._side(f"{path}/destination", rule.get("destination", {}))),
        }
        made |= {"description": rule["remark"]} if rule.get("remark") else {}
        return made | ({"irule": self._target(f"{path}/iRule", rule["iRule"], IRULE)} if "iRule" in rule else {})

    def _side(self, path: str, side: Json) -> Iterator[tuple[str, Any]]:
        for name, collection in (("addressLists", ADDRESS_LIST), ("portLists", PORT_LIST)):
            if name in side:
                yield name, [self._target(f"{path}/{name}/{at}", one, collection) for at, one in enumerate(side[name])]
        for name in ("addresses", "ports"):
            if name in side:
                yield name, [{"name": one} for one in side[name]]
        if "vlans" in side:
            yield "vlans", [one["bigip"] for one in side["vlans"]]

    def _virtual(self, path: str, item: Json) -> Json:
        address, _, length = item["virtualAddresses"][0].partition("/")
        shown = _ANY.get(address, address)
        mark = "." if ":" in address else ":"
        made: Json = {
            "destination": f"/{self._writer.tenant}/{shown}{mark}{item.get('virtualPort', 0)}",
            "mask": "any" if shown in _ANY.values() else length or "255.255.255.255",
            "source": "::/0" if ":" in address else "0.0.0.0/0",
            "ipProtocol": item.get("layer4", "any" if item["class"] == "Service_Forwarding" else "tcp"),
        }
        if "securityLogProfiles" in item:
            made["securityLogProfiles"] = [one.get("bigip", one.get("use")) for one in item["securityLogProfiles"]]
        for name, attribute in (
            ("policyFirewallEnforced", "fwEnforcedPolicy"),
            ("policyFirewallStaged", "fwStagedPolicy"),
        ):
            if name in item:
                made[attribute] = self._target(f"{path}/{name}", item[name], POLICY)
        return made

    def _target(self, path: str, pointer: Json, collection: str) -> str:
        """The full path behind a pointer. InvalidError when nothing of that kind is there."""
        if "bigip" in pointer:
            target = str(pointer["bigip"])
            if self._writer.draft.get((collection, target)) is None:
                what = collection.rpartition("/")[2]
                raise InvalidError(f"{path}/bigip: contains path to non-existent {what} {target}")
            return target
        name = str(pointer["use"]).removeprefix(f"{self._home}/")
        item = self._items.get(name)
        if item is None or _COLLECTIONS[item["class"]] != collection:
            raise InvalidError(f"{path}/use: contains invalid pointer or name {pointer['use']}")
        return f"{self._home}/{name}"
