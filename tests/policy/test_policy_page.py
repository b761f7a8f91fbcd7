"""The examples of docs/policy.md mean what their tables say: to the evaluator, and compiled."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from bridge.dialects import kinds, native
from bridge.dialects.manifests import check, failed
from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject, Group
from bridge.model.observed import Namespace, Pod, PolicyObject
from bridge.model.policy import (
    DefaultAction,
    Defaults,
    ExternalService,
    Governance,
    IcmpType,
    Operator,
    Protocol,
    Ref,
    Requirement,
    Rule,
    Selector,
    SourceKind,
    UnknownAddresses,
)
from bridge.policy.compile import EXEMPT, ClusterPolicy, Compiled, Target, compile_policy, policies
from bridge.policy.evaluate import Packet, evaluate
from bridge.policy.select import governed, selects
from tests.policy import device
from tests.policy import world as small
from tests.state import builders

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"
EXAMPLES: Mapping[str, str] = dict(
    re.findall(r"<!-- example: (\S+) -->\n(.*?)<!-- end -->\n", PAGE.read_text(), re.DOTALL)
)
GOVERNANCE = Governance(
    ("10.244.0.0/16",), ("10.244.0.0/16",), Selector((Requirement("egress", Operator.IN, ("governed",)),))
)
DENY = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
PODS = {
    "shop/web": ("10.244.1.1", {"app": "web"}, "default"),
    "shop/job": ("10.244.1.2", {"app": "job"}, "maintenance"),
    "bank/web": ("10.244.2.1", {"app": "web"}, "maintenance"),
    "free/web": ("10.244.3.1", {"app": "web"}, "default"),
}


class Site:
    """The pods of the page."""

    def holder(self, address: str) -> tuple[Pod, Namespace | None] | None:
        return next((_pod(name) for name, (own, _, _) in PODS.items() if own == address), None)

    def behind(self, _namespace: str, _service: str, _pod: Pod) -> bool:
        return False


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    source: str
    destination: str
    traffic: str
    at: datetime | None
    outcome: str
    by: str

    @property
    def packet(self) -> Packet:
        word, _, number = self.traffic.partition(" ")
        protocol, address = Protocol(word), PODS[self.source][0]
        if protocol is Protocol.ICMP:
            kind, _, code = number.partition("/")
            return Packet(address, self.destination, protocol, icmp=IcmpType(int(kind), int(code)))
        if protocol is Protocol.OTHER:
            return Packet(address, self.destination, protocol, number=int(number))
        return Packet(address, self.destination, protocol, int(number))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid(name: str, tmp_path: Path) -> None:
    file = tmp_path / "example.yaml"
    file.write_text(_written(name))
    findings = check([file], now=datetime.fromisoformat("2026-01-01T00:00:00Z"))
    assert not failed(findings), findings


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_evaluator_says_what_the_table_says(name: str) -> None:
    rows = list(_rows(name))
    assert rows
    for row in rows:
        found = evaluate(_policy(name, row.at), DENY, Site(), row.packet)
        assert (found.verdict.value, str(found.rule or "")) == (row.outcome, row.by), row


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_device_does_what_the_table_says(name: str) -> None:
    can = Capabilities(Form.TIERED, icmp_types=True, protocols=True)
    for row in _rows(name):
        objects = _holdings(compile_policy(_policy(name, row.at), Target("edge", can, DENY)))
        seen = row.packet
        packet = small.Packet(seen.source, seen.destination, seen.protocol, seen.port, seen.icmp, seen.number)
        assert device.decide(objects, packet).value == row.outcome, row


def _holdings(compiled: Compiled) -> dict[ObjectKey, DeviceObject]:
    objects: dict[ObjectKey, DeviceObject] = dict(compiled.objects)
    for key, sources in compiled.groups.items():
        found = set()
        for name, (address, _, _) in PODS.items():
            pod, namespace = _pod(name)
            reached = governed(namespace, GOVERNANCE)
            for source in sources:
                if source.kind is SourceKind.BUILTIN:
                    joins = source.service == EXEMPT and not reached
                else:
                    joins = reached and selects(source, pod, namespace)
                found |= {address} if joins else set()
        objects[key] = Group(key, frozenset(found))
    objects.update((policy.key, policy) for policy in policies(list(compiled.objects)) if policy.lists)
    return objects


def _pod(name: str) -> tuple[Pod, Namespace]:
    place, _, own = name.partition("/")
    address, labels, account = PODS[name]
    pod = replace(builders.pod(own, address), namespace=place, labels=labels, service_account=account)
    labelled = {"egress": "governed"} if place != "free" else {}
    return pod, Namespace(place, place, "1", labelled, {}, deleting=False)


def _written(name: str) -> str:
    (found,) = re.findall(r"```yaml\n(.*?)```", EXAMPLES[name], re.DOTALL)
    return str(found)


def _policy(name: str, at: datetime | None) -> ClusterPolicy:
    parsed = [native.parse(_object(item)) for item in yaml.safe_load_all(_written(name))]
    externals: dict[Ref, ExternalService] = {one.ref: one for one in parsed if isinstance(one, ExternalService)}
    rules = tuple(one for one in parsed if isinstance(one, Rule))
    return ClusterPolicy("east", GOVERNANCE, rules, externals, at=at)


def _object(item: Mapping[str, Mapping[str, str]]) -> PolicyObject:
    kind, metadata = kinds.BY_NAME[str(item["kind"])], item["metadata"]
    namespace = metadata.get("namespace", "")
    return PolicyObject(kind.resource, "uid", namespace, metadata["name"], "1", 1, {}, item["spec"])


def _rows(name: str) -> Iterator[Row]:
    lines = [line for line in EXAMPLES[name].splitlines() if line.startswith("|")]
    heads, _, *rest = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    for cells in rest:
        cell = dict(zip(heads, cells, strict=True))
        at = datetime.fromisoformat(cell["at"]) if "at" in cell else None
        yield Row(cell["from"], cell["to"], cell["traffic"], at, cell["outcome"], cell["by"])
