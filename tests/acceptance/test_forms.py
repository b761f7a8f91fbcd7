"""What the compilers make of one policy for each form of device: as YAML in, and as the lines and groups that a person would read."""

from collections.abc import Iterator
from random import Random

import pytest
import yaml

from bridge.dialects import kinds, native
from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import Group, Ports, RuleList
from bridge.model.observed import PolicyObject
from bridge.model.policy import DefaultAction, Defaults, ExternalService, Rule, UnknownAddresses
from bridge.policy.compile import ClusterPolicy, Compiled, Target, compile_policy, policies
from bridge.policy.complement import Complement
from tests.adapters.forms.fleet import drawn
from tests.policy import device, reference
from tests.policy.test_forms import packets
from tests.policy.world import GOVERNANCE

DENY = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
NONE = Defaults(DefaultAction.NONE, UnknownAddresses.PASS)
WORLDS = 300

# Security lets the teams of shop decide about the partner, and nobody else go there; the batch jobs never do.
DELEGATED = """
kind: ClusterExternalService
metadata: {name: partner}
spec: {addresses: [203.0.113.0/24], ports: [{protocol: TCP, port: 443}]}
---
kind: ClusterEgressRule
metadata: {name: delegate}
spec:
  action: Pass
  priority: 10
  from: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}
  to: [{name: partner}]
---
kind: ClusterEgressRule
metadata: {name: no-partner}
spec: {action: Deny, priority: 20, to: [{name: partner}]}
---
kind: ExternalService
metadata: {name: partner-api, namespace: shop}
spec: {addresses: [203.0.113.0/28], ports: [{protocol: TCP, port: 8000, endPort: 9000}, {protocol: TCP, port: 443}]}
---
kind: NamespaceEgressRule
metadata: {name: no-batch, namespace: shop}
spec:
  action: Deny
  priority: 10
  from: {podSelector: {matchLabels: {app: batch}}}
  to: [{name: partner-api}]
---
kind: NamespaceEgressRule
metadata: {name: api, namespace: shop}
spec: {action: Allow, priority: 20, to: [{name: partner-api}]}
"""


def _compiled(form: Form, written: str, defaults: Defaults = DENY) -> Compiled:
    parsed = [native.parse(_object(item)) for item in yaml.safe_load_all(written)]
    externals = {one.ref: one for one in parsed if isinstance(one, ExternalService)}
    rules = tuple(one for one in parsed if isinstance(one, Rule))
    can = Capabilities(form, protocols=True, icmp_types=True, deny=form is not Form.ALLOW_ONLY)
    return compile_policy(ClusterPolicy("east", GOVERNANCE, rules, externals), Target("edge", can, defaults))


def _object(item: dict[str, dict[str, str]]) -> PolicyObject:
    metadata, resource = item["metadata"], kinds.BY_NAME[str(item["kind"])].resource
    return PolicyObject(resource, "uid", metadata.get("namespace", ""), metadata["name"], "1", 1, {}, item["spec"])


def _read(compiled: Compiled) -> list[str]:
    """The lines in the order in which the device has them, as a console shows them."""
    lists = [key for key in compiled.objects if key.kind is Kind.RULE_LIST]
    return [line for policy in policies(lists) for key in policy.lists for line in _lines(compiled, key)]


def _lines(compiled: Compiled, key: ObjectKey) -> Iterator[str]:
    rules = compiled.objects[key]
    assert isinstance(rules, RuleList)
    for entry in rules.entries:
        (source,), (destination,) = entry.sources, entry.destinations
        ports = compiled.objects[entry.ports] if entry.ports else None
        shown = f" {','.join(map(str, ports.ports))}" if isinstance(ports, Ports) else ""
        withheld = " withheld" if entry.withheld else ""
        yield f"{entry.name}: {entry.action} {_group(source)} to {_group(destination)} {entry.traffic}{shown}{withheld}"


def _group(key: ObjectKey) -> str:
    return "/".join(part for part in (key.scope.value, key.namespace, key.name) if part)


def _reasons(compiled: Compiled) -> dict[str, str]:
    return {str(ref): remark.reason for ref, remark in compiled.remarks.items()}


@pytest.mark.acceptance(
    "compilers: flat: a Pass becomes what the lower tiers and the default say of its packets, before what it skips, in readable lines"
)
def test_flat() -> None:
    compiled = _compiled(Form.FLAT, DELEGATED)
    partner, inner = "clusterexternal/partner", "external/shop/partner-api"
    assert _read(compiled) == [
        f"delegate_namespace_shop_no-batch_partner-api_tcp: Deny rule/shop/no-batch to {inner} TCP 443",
        f"delegate_namespace_shop_api_partner-api_tcp: Allow namespace/shop to {inner} TCP 443",
        f"delegate_default-deny_tcp: Deny cluster/delegate to {partner} TCP 443",
        f"no-partner_cluster_partner_tcp: Deny builtin/everyone to {partner} TCP 443",
        f"no-batch_partner-api_tcp: Deny rule/shop/no-batch to {inner} TCP 443,8000-9000",
        f"api_partner-api_tcp: Allow namespace/shop to {inner} TCP 443,8000-9000",
        "default-deny: Deny builtin/everyone to builtin/outside Any",
    ]
    assert compiled.remarks == {}


@pytest.mark.acceptance(
    "compilers: flat: where the default denies nothing, a Pass is taken out of what it skips, and what nobody decides stays unmatched"
)
def test_flat_without_a_default() -> None:
    compiled = _compiled(Form.FLAT, DELEGATED, NONE)
    assert _read(compiled)[0] == (
        "no-partner_cluster_partner_tcp: Deny builtin/everyone-.not.cluster.delegate to clusterexternal/partner TCP 443"
    )
    assert [line.partition(":")[0] for line in _read(compiled)[1:]] == [
        "no-batch_partner-api_tcp",
        "api_partner-api_tcp",
    ]


@pytest.mark.acceptance("compilers: flat: a Pass that no later rule of its tier overlaps compiles to nothing")
def test_a_pass_that_skips_nothing() -> None:
    alone = DELEGATED.replace("priority: 20, to: [{name: partner}]", "priority: 5, to: [{name: partner}]")
    assert not [line for line in _read(_compiled(Form.FLAT, alone)) if line.startswith("delegate")]


@pytest.mark.acceptance(
    "compilers: allow-only: Denies and Passes are taken out of senders, destinations and ports of what they precede; nothing else is there"
)
def test_allow_only() -> None:
    compiled = _compiled(Form.ALLOW_ONLY, DELEGATED)
    assert _read(compiled) == [
        "api_partner-api_tcp: Allow namespace/shop/all-.not.rule.shop.no-batch to external/shop/partner-api TCP 443,8000-9000"
    ], "the cluster's Deny takes nothing: delegate lets shop decide"
    narrow = DELEGATED.replace("action: Pass", "action: Deny").replace("203.0.113.0/24", "203.0.113.8")
    compiled = _compiled(Form.ALLOW_ONLY, narrow)
    shop = "namespace/shop/all-.not.rule.shop.no-batch"
    assert _read(compiled) == [
        f"api_partner-api_tcp: Allow {shop} to external/shop/partner-api-.not.clusterexternal.partner TCP 443,8000-9000",
        f"api_partner-api_tcp_2: Allow {shop} to clusterexternal/partner TCP 8000-9000",
    ]
    (rest,) = (
        value for key, value in compiled.objects.items() if key.name == "partner-api-.not.clusterexternal.partner"
    )
    assert isinstance(rest, Group)
    assert rest.members == Complement(["203.0.113.0/28"], ["203.0.113.8"]).members, "exactly the others"


def _many(lines: int) -> str:
    """A Pass and a Deny below it, or an Allow below a Deny, that make twice so many lines of one list."""
    ports = [{"protocol": number} for number in range(150, 150 + lines)]
    return yaml.safe_dump_all(
        [
            _written("ClusterExternalService", "", "many", {"addresses": ["203.0.113.0/24"], "ports": ports}),
            _written("ClusterExternalService", "", "half", {"addresses": ["203.0.113.0/25"], "ports": ports}),
            _written("NamespaceEgressRule", "shop", "first", _rule("FIRST", 1, "half", app="web")),
            _written("NamespaceEgressRule", "shop", "second", _rule("SECOND", 2, "many")),
            _written("ServiceEgressRule", "shop", "third", {**_rule("Allow", 1, "many"), "service": "web"}),
        ]
    )


def _rule(action: str, priority: int, to: str, **labels: str) -> dict[str, object]:
    about = {"from": {"podSelector": {"matchLabels": labels}}} if labels else {}
    to_ = [{"name": to, "kind": "ClusterExternalService"}]
    return {"action": action, "priority": priority, "to": to_, **about}


def _written(kind: str, namespace: str, name: str, spec: object) -> dict[str, object]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@pytest.mark.acceptance(
    "compilers: the cap of what expansion may add: at it all is there, above it the rule is refused and what lies below it withheld"
)
def test_caps() -> None:
    """64 lines, or 4 for each rule of the namespace where that is more."""
    passing = {count: _many(count).replace("FIRST", "Pass").replace("SECOND", "Deny") for count in (32, 33)}
    at = _compiled(Form.FLAT, passing[32])
    assert at.remarks == {}
    assert len([line for line in _read(at) if line.startswith("first_")]) == 64
    above = _compiled(Form.FLAT, passing[33])
    assert _reasons(above) == {
        "NamespaceEgressRule shop/first": "Unsupported",
        "ServiceEgressRule shop/third": "Withheld",
    }
    assert not [line for line in _read(above) if line.startswith("first_")]
    assert all(line.endswith(" withheld") for line in _read(above) if line.startswith("third_"))
    denying = {count: _many(count).replace("FIRST", "Deny").replace("SECOND", "Allow") for count in (32, 33)}
    second = "NamespaceEgressRule shop/second"
    assert second not in _reasons(_compiled(Form.ALLOW_ONLY, denying[32]))
    above = _compiled(Form.ALLOW_ONLY, denying[33])
    assert _reasons(above)[second] == "Unsupported"
    assert not [line for line in _read(above) if line.startswith("second_")]


@pytest.mark.acceptance(
    "compilers: names are never intersected or subtracted: what would need it is refused, closed under precedence"
)
def test_names() -> None:
    named = DELEGATED.replace("addresses: [203.0.113.0/28]", "fqdns: [api.example.com]")
    can = {form: Capabilities(form, fqdn=True, deny=form is Form.FLAT) for form in (Form.FLAT, Form.ALLOW_ONLY)}
    parsed = [native.parse(_object(item)) for item in yaml.safe_load_all(named)]
    externals = {one.ref: one for one in parsed if isinstance(one, ExternalService)}
    policy = ClusterPolicy("east", GOVERNANCE, tuple(one for one in parsed if isinstance(one, Rule)), externals)
    flat = compile_policy(policy, Target("edge", can[Form.FLAT], DENY))
    assert _reasons(flat) == {
        "ClusterEgressRule delegate": "Unsupported",
        "NamespaceEgressRule shop/api": "Withheld",
    }, "whether api.example.com is the partner's nobody knows here"
    allows = compile_policy(policy, Target("edge", can[Form.ALLOW_ONLY], DENY))
    assert _reasons(allows)["NamespaceEgressRule shop/api"] == "Unsupported"
    assert _read(allows) == []


@pytest.mark.acceptance(
    "compilers: random policies compiled for tiered, flat and allow-only devices decide every packet like the evaluator"
)
@pytest.mark.parametrize("form", Form)
def test_random(form: Form) -> None:
    start = Random().randrange(1 << 32)
    print(f"seed {start}")
    chance, exactly = Random(start), 0
    for world in drawn(WORLDS, start):
        compiled = compile_policy(world.policy, world.target(form=form))
        if compiled.remarks and any(one.reason in ("Unsupported", "Withheld") for one in compiled.remarks.values()):
            continue  # what is refused is told, and is judged elsewhere
        exactly += 1
        objects = device.holdings(compiled, world)
        for packet in packets(world, chance.randrange(1 << 32), 30):
            meant = reference.decide(world, packet)
            if form is Form.ALLOW_ONLY:
                assert device.lets_through(objects, packet) == (meant is reference.Decision.ALLOW), packet
            else:
                assert device.decide(objects, packet) is meant, packet
    assert exactly > WORLDS * 0.8
