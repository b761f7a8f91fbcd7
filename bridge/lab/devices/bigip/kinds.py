"""The kinds of object that the simulator keeps, attribute by attribute.

Sources: f5-sdk's resource classes, f5_modules, AS3's maps, lab guides with full answers. Where a BIG-IP takes more
attributes than stand here the simulator refuses them: a client must not lean on what nobody checked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge.lab.devices.bigip import schedule, values
from bridge.lab.devices.bigip.answers import ApiError
from bridge.lab.devices.bigip.fields import (
    Field,
    Json,
    anything,
    choice,
    named,
    number,
    records,
    reference,
    references,
    single,
    text,
)

ADDRESS_LIST = "security/firewall/address-list"
PORT_LIST = "security/firewall/port-list"
RULE_LIST = "security/firewall/rule-list"
POLICY = "security/firewall/policy"
GLOBAL_RULES = "security/firewall/global-rules"
FQDN_POLICY = "security/firewall/global-fqdn-policy"
SCHEDULE = "security/firewall/schedule"
LOG_PROFILE = "security/log/profile"
DNS_RESOLVER = "net/dns-resolver"
IRULE = "ltm/rule"
DATA_GROUP = "ltm/data-group/internal"
VIRTUAL = "ltm/virtual"
ROUTE_DOMAIN = "net/route-domain"
FOLDER = "sys/folder"
PARTITION = "auth/partition"


LONE: Mapping[str, str] = {GLOBAL_RULES: "/Common/global-rules", FQDN_POLICY: "/Common/global-fqdn-policy"}
"""Collections that are one object, which is always there, and its path."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One collection of objects. `title` is what error texts call it; `fixed` attributes stay as they were created.

    `sound` refuses an object, told by path and attributes, that contradicts itself.
    """

    collection: str
    title: str
    fields: Mapping[str, Field]
    defaults: Json = field(default_factory=dict)
    required: tuple[str, ...] = ()
    fixed: frozenset[str] = frozenset()
    some_of: tuple[str, ...] = ()
    rules: bool = False
    sound: Callable[[str, Json], None] | None = None

    @property
    def state(self) -> str:
        """The `kind` of one object, as f5-sdk demands it."""
        return f"tm:{self.collection.replace('/', ':')}:{self.collection.rpartition('/')[2]}state"

    @property
    def collection_state(self) -> str:
        """The `kind` of the collection."""
        return f"tm:{self.collection.replace('/', ':')}:{self.collection.rpartition('/')[2]}collectionstate"

    def complete(self, path: str, body: Json) -> None:
        """Refuse an object that lacks what it must have, or contradicts itself."""
        for name in self.required:
            if body.get(name) in (None, ""):
                raise ApiError(
                    400, f"01070734:3: Configuration error: {self.title} ({path}) must have a value for {name}."
                )
        if self.some_of and not any(body.get(name) for name in self.some_of):
            wanted = ", ".join(self.some_of)
            raise ApiError(
                400, f"01071a5a:3: {self.title} ({path}) must have at least one of {wanted}; it can not be empty."
            )
        if self.sound is not None:
            self.sound(path, body)


_SLOTS = {"fwEnforcedPolicy": reference(POLICY), "fwStagedPolicy": reference(POLICY)}

KINDS: Mapping[str, Kind] = {
    kind.collection: kind
    for kind in (
        Kind(
            ADDRESS_LIST,
            "IP address list",
            {
                "description": text(),
                "addresses": named(values.canonical_address),
                "addressLists": references(ADDRESS_LIST),
                "fqdns": named(values.canonical_fqdn),
                "geo": named(str),
            },
            some_of=("addresses", "addressLists", "fqdns", "geo"),
        ),
        Kind(
            PORT_LIST,
            "Port list",
            {"description": text(), "ports": named(values.canonical_port), "portLists": references(PORT_LIST)},
            some_of=("ports", "portLists"),
        ),
        Kind(RULE_LIST, "Rule list", {"description": text()}, rules=True),
        Kind(POLICY, "Policy", {"description": text()}, rules=True),
        Kind(
            GLOBAL_RULES,
            "Global rules",
            {"description": text(), "enforcedPolicy": reference(POLICY), "stagedPolicy": reference(POLICY)},
        ),
        Kind(
            FQDN_POLICY,
            "Global FQDN policy",
            {"description": text(), "dnsResolver": reference(DNS_RESOLVER), "refreshInterval": number(1, 2**31)},
            defaults={"refreshInterval": 60},
        ),
        Kind(DNS_RESOLVER, "DNS resolver", {"forwardZones": anything(), "routeDomain": reference(ROUTE_DOMAIN)}),
        Kind(LOG_PROFILE, "Security log profile", {"description": text(), "network": anything()}),
        Kind(
            SCHEDULE,
            "Schedule",
            {"description": text(), **schedule.FIELDS},
            defaults=schedule.DEFAULTS,
            sound=schedule.check,
        ),
        Kind(IRULE, "rule", {"description": text(), "apiAnonymous": text()}),
        Kind(
            DATA_GROUP,
            "value list",
            {"description": text(), "type": choice("ip", "string", "integer"), "records": records()},
            required=("type",),
            fixed=frozenset({"type"}),
        ),
        Kind(
            VIRTUAL,
            "Virtual Server",
            {"description": text(), "destination": text(), "mask": text(), "source": text(), "pool": text()}
            | {"ipProtocol": single(values.canonical_protocol), "enabled": anything(), "disabled": anything()}
            | {
                "profiles": anything(),
                "securityLogProfiles": references(LOG_PROFILE),
                "vlans": anything(),
                "vlansEnabled": anything(),
            }
            | _SLOTS,
            defaults={"source": "0.0.0.0/0", "mask": "255.255.255.255", "ipProtocol": "tcp", "enabled": True},
            required=("destination",),
        ),
        Kind(
            ROUTE_DOMAIN,
            "Route Domain",
            {
                "description": text(),
                "id": number(0, 65534),
                "strict": choice("enabled", "disabled"),
                "vlans": anything(),
            }
            | {"connectionLimit": number(0, 2**32 - 1), "parent": reference(ROUTE_DOMAIN)}
            | _SLOTS,
            defaults={"strict": "enabled", "connectionLimit": 0},
            required=("id",),
            fixed=frozenset({"id"}),
        ),
        Kind(
            FOLDER,
            "folder",
            {
                "description": text(),
                "deviceGroup": text(),
                "trafficGroup": text(),
                "hidden": text(),
                "noRefCheck": text(),
            }
            | {"inheritedDevicegroup": text(), "inheritedTrafficGroup": text()},
            defaults={"deviceGroup": "none", "hidden": "false", "inheritedDevicegroup": "true"}
            | {"inheritedTrafficGroup": "true", "noRefCheck": "false", "trafficGroup": "/Common/traffic-group-1"},
        ),
        Kind(
            PARTITION,
            "partition",
            {"description": text(), "defaultRouteDomain": number(0, 65534)},
            defaults={"defaultRouteDomain": 0},
        ),
    )
}
