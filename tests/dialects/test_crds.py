"""The definitions in config/crd: their frame, the samples under their schema, and that they take every spec which the bridge takes."""

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialects import kinds, native
from tests.dialects.objects import GOOD, Spec, crd, nodes, policy, ports, samples, schema

CES = {"cgr", "nsgr", "svcgr", "exsvc"}
KINDS = [kind.name for kind in kinds.KINDS]


def strict(node: Any, *, within: bool = False) -> Any:  # noqa: ANN401
    """A schema that refuses the fields which the API server would prune, so that a misspelt one is found.

    What stands within anyOf and not names no fields, but conditions on them.
    """
    if isinstance(node, dict):
        closed = {"additionalProperties": False} if isinstance(node.get("properties"), dict) else {}
        closed = {} if within else closed
        return closed | {key: strict(value, within=within or key in ("anyOf", "not")) for key, value in node.items()}
    return [strict(item, within=within) for item in node] if isinstance(node, list) else node


def validator(kind: str) -> jsonschema.Draft4Validator:
    return jsonschema.Draft4Validator(strict(schema(kind)["properties"]["spec"]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame(kind: str) -> None:
    of, spec = kinds.BY_NAME[kind], crd(kind)["spec"]
    (version,) = spec["versions"]
    assert f"{spec['group']}/{version['name']}" == kinds.API_VERSION
    assert (spec["names"]["plural"], spec["names"]["kind"]) == (of.resource, kind)
    assert spec["scope"] == ("Namespaced" if of.namespaced else "Cluster")
    assert version["subresources"] == {"status": {}}
    assert not CES & set(spec["names"]["shortNames"])
    columns = {column["name"] for column in version["additionalPrinterColumns"]}
    assert {"Accepted", "Programmed", "Age"} <= columns
    if kind.endswith("Rule"):
        assert {"Action", "Priority"} <= columns


def test_short_names_are_all_different() -> None:
    names = [name for kind in KINDS for name in crd(kind)["spec"]["names"]["shortNames"]]
    assert len(set(names)) == len(names) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_spec_is_described_and_bounded(kind: str) -> None:
    for path, node in nodes(schema(kind)["properties"]["spec"], "spec"):
        assert path == "spec" or path.endswith("[]") or node.get("description"), path
        assert node.get("type") != "array" or "maxItems" in node, path
        assert node.get("type") != "string" or "maxLength" in node or "enum" in node, path


def test_what_kinds_share_is_the_same_in_each() -> None:
    shared: dict[str, dict[str, str]] = {}
    for kind in KINDS:
        whole = schema(kind)["properties"]
        parts = {path.rpartition(".")[2]: node for path, node in nodes(whole["spec"])} | {"status": whole["status"]}
        for name in {
            "status",
            "priority",
            "log",
            "matchLabels",
            "matchExpressions",
            "ports",
            "addresses",
            "fqdns",
            "windows",
            "notBefore",
            "notAfter",
        } & set(parts):
            shared.setdefault(name, {})[kind] = json.dumps(parts[name], sort_keys=True)
    assert len(shared) == 11
    for name, of in shared.items():
        assert len(set(of.values())) == 1, f"{name} differs among {', '.join(of)}"


def test_the_samples_are_valid() -> None:
    seen = set()
    for item in samples():
        if item["apiVersion"] == kinds.API_VERSION:
            validator(item["kind"]).validate(item["spec"])
            seen.add(item["kind"])
    assert seen == set(KINDS)


@pytest.mark.parametrize("value", ["any", "", 443, 0, 0.5, True, False, {}, {"protocol": "TCP"}, [], ["TCP"]])
def test_ports_are_the_word_or_a_list_and_nothing_else(value: object) -> None:
    assert not validator("ExternalService").is_valid({"addresses": ["192.0.2.1"], "ports": value})


@pytest.mark.parametrize("port", [0, 65536, "any", "443", ""])
def test_a_port_is_a_number_or_the_word(port: object) -> None:
    assert validator("ExternalService").is_valid(ports({"protocol": "TCP", "port": "Any"}))
    assert not validator("ExternalService").is_valid(ports({"protocol": "TCP", "port": port}))


@pytest.mark.parametrize(
    "line",
    [
        {"protocol": "TCP"},
        {"protocol": "TCP", "port": 80, "type": 8},
        {"protocol": "ICMP", "port": 8},
        {"protocol": "ICMPv6", "endPort": 8},
        {"protocol": "ICMP", "code": 0},
        {"protocol": 89, "port": 80},
        {"protocol": 89, "type": 8},
        {"protocol": 6},
        {"protocol": 0},
        {"protocol": 255},
        {"protocol": "GRE"},
    ],
)
def test_ports_types_and_protocols_fit_each_other(line: Spec) -> None:
    assert not validator("ExternalService").is_valid(ports(line))
    assert native.problems(policy("ExternalService", ports(line)))


NAMES = st.text("abz09-.", min_size=1, max_size=70)
LABEL_TEXT = st.text("aZ0-_./ ", max_size=66)
SELECTOR = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": st.dictionaries(LABEL_TEXT, LABEL_TEXT, max_size=2),
        "matchExpressions": st.lists(
            st.fixed_dictionaries(
                {"key": LABEL_TEXT, "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"])},
                optional={"values": st.lists(LABEL_TEXT, max_size=2)},
            ),
            max_size=2,
        ),
    },
)
PORT = st.fixed_dictionaries(
    {"protocol": st.sampled_from(["TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "Any"]) | st.integers(0, 255)},
    optional={
        "port": st.integers(0, 65536) | st.sampled_from(["Any", "any"]),
        "endPort": st.integers(0, 65536),
        "type": st.integers(-1, 255) | st.none(),
        "code": st.integers(-1, 255),
    },
)
HOSTS = st.text("aZ09-.*", min_size=1, max_size=12) | st.builds(lambda name: f"{name}.example", NAMES)
MOMENT = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | st.text("0129-:TZ+", max_size=20)
CLOCK = st.sampled_from(["00:00", "08:00", "23:59", "24:00", "8:00", "08:60"])
WINDOW = st.fixed_dictionaries(
    {
        "days": st.lists(st.sampled_from(["Mon", "Sun", "monday"]), max_size=2),
        "start": CLOCK,
        "end": CLOCK,
        "timeZone": st.sampled_from(["UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Ushuaia", "localtime"]),
    }
)
SPECS = {
    "ExternalService": st.fixed_dictionaries(
        {"ports": st.just("Any") | st.lists(PORT, max_size=2)},
        optional={
            "addresses": st.lists(
                st.ip_addresses().map(str)
                | st.text("0129af.:/-", max_size=12)
                | st.sampled_from(["0.0.0.0/0", "::/0"]),
                max_size=2,
            ),
            "fqdns": st.lists(HOSTS, max_size=2),
        },
    ),
    "ServiceEgressRule": st.fixed_dictionaries(
        {
            "service": NAMES,
            "action": st.sampled_from(["Allow", "Deny", "Reject", "Pass"]),
            "to": st.lists(st.fixed_dictionaries({"name": NAMES}), max_size=2),
        },
        optional={
            "priority": st.integers(-1, 10001),
            "log": st.booleans(),
            "devices": st.lists(NAMES, max_size=2),
            "from": SELECTOR,
            "notBefore": MOMENT,
            "notAfter": MOMENT,
            "windows": st.lists(WINDOW, max_size=2),
        },
    ),
    "NamespaceEgressRule": st.fixed_dictionaries(
        {"action": st.just("Allow"), "to": st.just([{"name": "bank"}])},
        optional={"from": st.fixed_dictionaries({}, optional={"serviceAccounts": st.lists(NAMES, max_size=2)})},
    ),
    "AddressGroup": st.fixed_dictionaries(
        {},
        optional={
            "podSelector": SELECTOR,
            "namespaceSelector": SELECTOR,
            "serviceAccounts": st.lists(st.builds("/".join, st.lists(NAMES, max_size=2)), max_size=2),
        },
    ),
}


@pytest.mark.parametrize("kind", SPECS)
def test_what_the_bridge_takes_the_schema_takes(kind: str) -> None:
    accepts = validator(kind)

    @given(SPECS[kind])
    def agree(spec: Spec) -> None:
        if not native.problems(policy(kind, spec)):
            accepts.validate(spec)

    agree()


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_takes_what_is_good(kind: str) -> None:
    validator(kind).validate(GOOD[kind])
