"""What `import ces` prints means what was read: both are evaluated on the same packets."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.cluster.decode import Codec
from bridge.dialects import kinds
from bridge.dialects.ces_import import Carried, carry
from bridge.dialects.dialect import Dialects, load
from bridge.intake.policies import PolicyBook
from bridge.model.observed import Namespace, Pod, PolicyObject
from bridge.model.policy import EVERYTHING, DefaultAction, Defaults, Governance, Protocol, UnknownAddresses
from bridge.policy.compiled import ClusterPolicy
from bridge.policy.evaluate import Packet, Verdict, evaluate
from tests.cluster.scripted import listed
from tests.dialects.ces_objects import dialects, rule, service, written
from tests.state import builders

POD_RANGES = ("10.0.0.0/24",)
GOVERNANCE = Governance(POD_RANGES, POD_RANGES, EVERYTHING, never=frozenset())
DEFAULTS = Defaults(DefaultAction.DENY, UnknownAddresses.DENY)
HOLDERS: Mapping[str, Pod] = {
    "10.0.0.1": replace(builders.pod("web-1", "10.0.0.1"), labels={"app": "web"}),
    "10.0.0.2": replace(builders.pod("db-1", "10.0.0.2"), labels={"app": "db"}),
    "10.0.0.3": replace(builders.pod("web-2", "10.0.0.3", namespace="bank"), labels={"app": "web"}),
}
OUTSIDE = ("192.0.2.1", "192.0.2.2", "192.0.2.17", "198.51.100.9", "2001:db8::1")
PORTS = (53, 80, 443, 8443)
PACKETS = [
    Packet(source, destination, protocol, port)
    for source in (*HOLDERS, "10.0.0.77")
    for destination in OUTSIDE
    for protocol in (Protocol.TCP, Protocol.UDP)
    for port in PORTS
]


class Scene:
    """Three pods; a Service is the pods whose `app` is its name."""

    def holder(self, address: str) -> tuple[Pod, Namespace | None] | None:
        pod = HOLDERS.get(address)
        return (pod, Namespace(pod.namespace, pod.namespace, "1", {}, {}, deleting=False)) if pod else None

    def behind(self, namespace: str, service: str, pod: Pod) -> bool:
        return pod.namespace == namespace and pod.labels.get("app") == service


def verdicts(objects: Iterable[PolicyObject], spoken: Dialects) -> list[Verdict]:
    """What the evaluator says to every packet."""
    book = PolicyBook({}, spoken)
    for one in objects:
        book.put(one)
    book.number()
    now = book.settle(lambda _: True)
    wrong = [f"{ref}: {one.message}" for ref, one in now.verdicts.items() if not one.ok]
    assert not wrong
    policy = ClusterPolicy("east", GOVERNANCE, now.rules, now.externals)
    return [evaluate(policy, DEFAULTS, Scene(), packet).verdict for packet in PACKETS]


def native(carried: Carried) -> list[PolicyObject]:
    """As the API server would hand them over, in no helpful order."""
    found: list[PolicyObject] = []
    for number, manifest in enumerate(reversed(carried.manifests)):
        kind = kinds.BY_NAME[manifest["kind"]]
        metadata = manifest["metadata"] | {"uid": str(number), "generation": 1}
        (value,) = Codec(kind.resource).page(listed([manifest | {"metadata": metadata}], 1).body).values
        assert isinstance(value, PolicyObject)
        found.append(value)
    return found


NAMES = ("one", "two", "three")
MEMBERS = st.lists(
    st.sampled_from((*OUTSIDE, "192.0.2.0/28", "192.0.2.1-192.0.2.20", "0.0.0.0/0")),
    min_size=1,
    max_size=3,
    unique=True,
)
PORT = st.fixed_dictionaries(
    {"protocol": st.sampled_from(["TCP", "udp"]), "port": st.sampled_from(["53", "80-443", "443,8443-8450", "53,80"])}
)
TARGETS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2)
ACTIONS = st.sampled_from(["accept", "accept-decisively", "drop", "reject"])


@st.composite
def policies(draw: st.DrawFn) -> list[PolicyObject]:
    """External services of each name everywhere, and some rules of each tier, as they were created."""
    found = [
        service(name, *draw(MEMBERS), place=place, **({"ports": ports} if (ports := draw(st.lists(PORT, max_size=2))) else {}))
        for place in ("kube-system", "shop", "bank")
        for name in NAMES
    ]  # fmt: skip
    for number in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(["ClusterEgressRule", "NamespaceEgressRule", "ServiceEgressRule"]))
        spec: dict[str, Any] = {
            "action": draw(ACTIONS),
            "externalServices": draw(TARGETS),
            "logging": draw(st.booleans()),
        }
        if kind == "ServiceEgressRule":
            spec["service"] = draw(st.sampled_from(["web", "db"]))
        name = f"{draw(st.sampled_from('abc'))}{number}"
        created = f"2026-01-01T00:00:{number:02}Z"
        found.append(written(kind, name, spec, place=draw(st.sampled_from(["shop", "bank"])), created=created))
    return found


@settings(max_examples=40)
@given(policies())
def test_the_same_decisions(objects: list[PolicyObject]) -> None:
    carried = carry(objects)
    assert not carried.lost
    assert verdicts(native(carried), load(("native",))) == verdicts(objects, dialects())


def test_more_than_one_of_ours_can_hold_is_parted() -> None:
    addresses = [f"198.18.{number // 256}.{number % 256}" for number in range(1, 1200)]
    ports = [{"protocol": "TCP", "port": ",".join(str(port) for port in range(2, 300, 2))}]
    many = [service(f"s{number}") for number in range(70)]
    objects = [service("bank", "192.0.2.1", *addresses, ports=ports), *many]
    objects.append(rule("out", "accept-decisively", "bank", *(f"s{number}" for number in range(70))))
    carried = carry(objects)
    assert not carried.lost
    assert verdicts(native(carried), load(("native",))) == verdicts(objects, dialects())
    names = [(one["kind"], one["metadata"]["name"]) for one in carried.manifests]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("count", [1000, 1500])
def test_order_is_kept_however_many_rules_there_are(count: int) -> None:
    actions = ["accept-decisively", "drop", "drop", "accept"]
    objects = [service()]
    objects += [rule(f"r{count - number}", actions[number % 4]) for number in range(count)]
    rules = [one for one in carry(objects).manifests if one["kind"].endswith("Rule")]
    priorities = [one["spec"]["priority"] for one in rules]
    assert priorities == sorted(priorities)
    assert priorities[-1] <= 10_000
    neighbours = pairwise(rules)
    changes = [(one, other) for one, other in neighbours if one["spec"]["action"] != other["spec"]["action"]]
    assert all(one["spec"]["priority"] < other["spec"]["priority"] for one, other in changes)


def test_what_cannot_be_carried_over_is_named() -> None:
    objects = [
        service("bank", ports=[{"protocol": "TCP", "port": "443", "bandwidth": "slow"}]),
        service("odd", "300.1.2.3"),
        rule("out", "drop", "bank", "missing"),
        written("ServiceEgressRule", "unfit", {"action": "allow"}),
    ]
    carried = carry(objects, prefixes={"shop": "10.0.0.0/25", "other": "10.0.1.0/24"})
    about = list(dict.fromkeys(line.partition(": ")[0] for line in carried.lost))
    assert about == [
        "ExternalService.kubeovn.io shop/bank",
        "ExternalService.kubeovn.io shop/odd",
        "ServiceEgressRule.kubeovn.io shop/unfit",
        "Namespace shop",
        "NamespaceEgressRule.kubeovn.io shop/out",
    ]
    assert [one["metadata"]["name"] for one in carried.manifests] == ["bank", "out"]
