"""Each dialect by its folder of scenarios: objects in, rules out, in words that people can check."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.cluster.decode import Codec
from bridge.dialects.annotations import annotation_groups
from bridge.dialects.dialect import Context, Dialects, load
from bridge.intake.policies import PolicyBook
from bridge.model.addresses import ALL
from bridge.model.kinds import KINDS as KNOWN
from bridge.model.kinds import Kind, Resource
from bridge.model.observed import Namespace, Observed, Pod, PolicyObject, Service
from bridge.model.policy import ALWAYS, AddressGroupSpec, ExternalService, Rule, Selector, Source, Traffic
from tests.cluster.scripted import listed

SCENARIOS = Path(__file__).parent / "scenarios"
POD_RANGES = ("10.0.0.0/16", "fd00::/64")
CASES = sorted(folder.parent.relative_to(SCENARIOS) for folder in SCENARIOS.glob("*/*/objects.yaml"))


def test_there_are_some_of_each_dialect() -> None:
    assert {case.parts[0] for case in CASES} == {"native", "annotations", "ces"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_objects_in_rules_out(case: Path) -> None:
    folder = SCENARIOS / case
    dialects = load(("native", "ces"))
    objects = list(_objects((folder / "objects.yaml").read_text(), dialects))
    expected = yaml.safe_load((folder / "expected.yaml").read_text())
    assert _told(objects, dialects) == expected


def _objects(text: str, dialects: Dialects) -> Iterator[Observed]:
    """As a watch would bring them: the first is the oldest."""
    kinds = {(kind.api_version, kind.name): kind for kind in KNOWN.values()}
    for number, item in enumerate(yaml.safe_load_all(text)):
        kind: Kind = kinds[item["apiVersion"], item["kind"]]
        assert kind.brings is None or kind.resource in dialects.kinds
        created = {"creationTimestamp": f"2026-01-01T00:00:{number:02}Z", "uid": str(number), "generation": 1}
        (value,) = Codec(kind.resource).page(listed([{**item, "metadata": created | item["metadata"]}], 1).body).values
        assert isinstance(value, Observed), value
        yield value


def _told(objects: Iterable[Observed], dialects: Dialects) -> dict[str, list[str]]:
    """Rules in their order, destinations, groups, and what is wrong."""
    seen = list(objects)
    namespaces = {one.name: one for one in seen if isinstance(one, Namespace)}
    around = Context(
        POD_RANGES,
        annotations=lambda name: namespaces[name].annotations if name in namespaces else {},
        shared=lambda name, value: sum(one.annotations.get(name) == value for one in namespaces.values()) > 1,
    )
    book = PolicyBook({}, dialects, around)
    for one in seen:
        if isinstance(one, PolicyObject):
            book.put(one)
    book.number()
    now = book.settle(lambda namespace: namespace not in namespaces or "free" not in namespaces[namespace].labels)
    asked = annotation_groups(
        namespaces.values(),
        (one for one in seen if isinstance(one, Service)),
        (one for one in seen if isinstance(one, Pod)),
    )
    found = {
        "rules": [_rule(one) for one in sorted(now.rules, key=lambda one: (one.tier.rank, one.order))],
        "services": [_service(one) for _, one in sorted(now.externals.items())],
        "groups": [_group(one) for one in now.address_groups]
        + [f"{namespace}/{name}: {_sources(sources)}" for (namespace, name), sources in asked.sources.items()],
        "wrong": [f"{ref}: {one.message}" for ref, one in sorted(now.verdicts.items()) if not one.ok]
        + [f"{ref}: {error}" for ref, error in sorted(asked.errors.items())],
    }
    return {key: lines for key, lines in found.items() if lines}


def _rule(rule: Rule) -> str:
    more = [word for word, there in (("logged", rule.log), ("shared accepted", rule.accept_shared)) if there]
    more += [f"on {device}" for device in rule.devices]
    if rule.validity != ALWAYS:
        more.append("at times")
    to = ", ".join(str(ref) for ref in rule.destinations)
    return f"{rule.ref}: {rule.action} {_source(rule.source)} to {to}" + "".join(f", {word}" for word in more)


def _source(source: Source) -> str:
    parts: Mapping[str, Any] = {
        "namespace": source.namespace,
        "service": source.service,
        "pods": _selector(source.pods),
        "namespaces": _selector(source.namespaces),
        "accounts": " ".join(source.service_accounts),
        "prefixes": " ".join(source.prefixes),
    }
    return " ".join([f"[{source.kind}", *(f"{name}={value}" for name, value in parts.items() if value)]) + "]"


def _sources(sources: Iterable[Source]) -> str:
    return " ".join(_source(one) for one in sources)


def _selector(selector: Selector) -> str:
    return "&".join(f"{one.key} {one.operator} {'|'.join(one.values)}".strip() for one in selector.requirements)


def _service(service: ExternalService) -> str:
    members = " ".join((*service.addresses, *service.fqdns))
    limits = "".join(f", {protocol} limited by {name}" for protocol, name in service.bandwidth)
    return f"{service.ref}: {members}: {' '.join(_traffic(one) for one in service.traffic)}{limits}"


def _traffic(traffic: Traffic) -> str:
    spans = ",".join(str(one) for one in (*traffic.ports, *traffic.icmp))
    return f"{traffic.protocol}{traffic.number or ''}{f'/{spans}' if spans else ''}"


def _group(group: AddressGroupSpec) -> str:
    return f"{group.ref}: {_source(group.source)}" + "".join(f", on {device}" for device in group.devices)


def test_no_scenario_is_about_everything() -> None:
    """The pod ranges of the scenarios are less than all: what lies outside of them can be seen to be left out."""
    assert not set(POD_RANGES) & set(ALL)
    assert Resource("namespaces") is Resource.NAMESPACES
