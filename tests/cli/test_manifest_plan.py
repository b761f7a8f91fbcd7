"""`plan --manifests DIR --against SNAPSHOT`: what a pull request would change, without database, cluster or device."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge.intake.snapshot import ClusterSnapshot, write
from bridge.model.capabilities import Form
from bridge.model.observed import Node, Pod
from bridge.model.policy import AddressSource, DefaultAction, Defaults, UnknownAddresses, View
from bridge.state.batch import Slim
from tests.cli import drawn
from tests.cli.program import Answer, run

PARTNER = {"addresses": ["203.0.113.0/28"], "ports": [{"protocol": "TCP", "port": 443}]}
ALLOW = {"action": "Allow", "to": [{"name": "partner"}]}


class Pipeline:
    """A folder with a snapshot and manifests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "east.json.gz"

    def take(self, *values: Pod | Slim, **more: Any) -> ClusterSnapshot:  # noqa: ANN401
        found = drawn.snapshot(*values, **more)
        write(found, self.file)
        return found

    def plan(self, *objects: Mapping[str, Any], more: tuple[str, ...] = (), form: str = "json") -> Answer:
        folder = drawn.folder(self.folder / "manifests", *objects)
        return run("plan", "--manifests", folder, "--against", self.file, "--output", form, *more)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    made = Pipeline(tmp_path)
    made.take(*drawn.shop())
    return made


def _reach(answer: Answer, device: int = 0) -> list[str]:
    return [one["text"] for one in answer.json["devices"][device]["reachability"]]


def test_what_is_there_already_is_no_difference(pipeline: Pipeline) -> None:
    answer = pipeline.plan(
        drawn.manifest("ExternalService", "shop", "partner", PARTNER),
        drawn.manifest("NamespaceEgressRule", "shop", "partner", ALLOW),
    )
    assert (answer.code, answer.json["different"], answer.json["devices"][0]["changes"]) == (0, False, 0)
    assert (answer.json["findings"], answer.json["unaccepted"]) == ([], [])


def test_a_new_rule_says_who_gains_what(pipeline: Pipeline) -> None:
    rule = drawn.manifest(
        "ServiceEgressRule", "shop", "web-mail", {"service": "web", "action": "Allow", "to": [{"name": "mail"}]}
    )
    mail = {"addresses": ["198.51.100.25"], "ports": [{"protocol": "TCP", "port": 25}, {"protocol": "ICMP", "type": 8}]}
    answer = pipeline.plan(rule, drawn.manifest("ExternalService", "shop", "mail", mail))
    assert answer.code == 1, answer.err
    assert _reach(answer) == [
        "gains: shop/web (2 pods) -> mail 198.51.100.25 TCP 25, ICMP 8, by ServiceEgressRule shop/web-mail"
    ]
    (device,) = answer.json["devices"]
    steps = {one["object"]: (one["op"], one["add"]) for one in device["steps"]}
    assert steps["group:east/service/shop/web"] == ("create", ["10.64.1.1", "10.64.1.2"])
    assert steps["group:east/external/shop/mail"] == ("create", ["198.51.100.25"])
    again = pipeline.plan(rule, drawn.manifest("ExternalService", "shop", "mail", mail))
    assert again.json["digest"] == answer.json["digest"]
    text = pipeline.plan(rule, drawn.manifest("ExternalService", "shop", "mail", mail), form="text")
    assert text.code == 1
    assert f"edge: {device['changes']} changes, digest {device['digest']}" in text.out
    assert "  gains: shop/web (2 pods) -> mail 198.51.100.25 TCP 25, ICMP 8," in text.out
    assert text.out.endswith(f"differences, digest {answer.json['digest']}\n")


def test_the_answer_keeps_to_its_schema(pipeline: Pipeline) -> None:
    answer = pipeline.plan(
        drawn.manifest("ExternalService", "shop", "partner", {**PARTNER, "addresses": ["203.0.113.1"]})
    )
    jsonschema.validate(answer.json, run("plan", "--schema").json)
    assert answer.json["devices"][0]["reachability"]


def test_a_narrower_destination_takes_away_exactly_the_rest(pipeline: Pipeline) -> None:
    answer = pipeline.plan(
        drawn.manifest("ExternalService", "shop", "partner", {**PARTNER, "addresses": ["203.0.113.0/29"]})
    )
    assert _reach(answer) == [
        (
            "loses: shop/job (1 pod), shop/web (2 pods) -> partner 203.0.113.8/29 TCP 443, "
            "allowed by NamespaceEgressRule shop/partner, now Deny by the default"
        )
    ]


def test_a_deny_above_takes_away_what_it_overlaps(pipeline: Pipeline) -> None:
    dark = {"addresses": ["203.0.113.8/29", "192.0.2.0/24"], "ports": "Any"}
    answer = pipeline.plan(
        drawn.manifest("ClusterExternalService", "", "dark", dark),
        drawn.manifest("ClusterEgressRule", "", "dark", {"action": "Deny", "to": [{"name": "dark"}]}),
    )
    assert _reach(answer) == [
        (
            "loses: shop/job (1 pod), shop/web (2 pods) -> partner 203.0.113.8/29 TCP 443, "
            "allowed by NamespaceEgressRule shop/partner, now Deny by ClusterEgressRule dark"
        )
    ] or _reach(answer) == [
        (
            "loses: shop/job (1 pod), shop/web (2 pods) -> partner 203.0.113.8/29 TCP 443, "
            "allowed by NamespaceEgressRule shop/partner, now Deny by ClusterEgressRule dark"
        )
    ]


def test_the_whole_cluster_is_told_as_such(pipeline: Pipeline) -> None:
    time = {"addresses": ["192.0.2.123"], "ports": [{"protocol": "UDP", "port": 123}]}
    answer = pipeline.plan(
        drawn.manifest("ClusterExternalService", "", "time", time),
        drawn.manifest("ClusterEgressRule", "", "time", {"action": "Allow", "to": [{"name": "time"}]}),
    )
    (one,) = answer.json["devices"][0]["reachability"]
    told = {address for workload in one["workloads"] for address in workload["addresses"]}
    assert "10.64.3.1" not in told  # nobody governs it
    assert (one["elsewhere"], one["turn"]) == (["10.64.0.0/16"], "gains")
    assert len(told) + one["others"] == 4


def test_prune_takes_away_what_is_not_there_any_more(pipeline: Pipeline) -> None:
    kept = drawn.manifest("ExternalService", "shop", "other", PARTNER)
    rule = drawn.manifest(
        "NamespaceEgressRule", "shop", "other", {"action": "Deny", "to": [{"name": "other"}], "priority": 9000}
    )
    assert _reach(pipeline.plan(kept, rule)) == []
    pruned = pipeline.plan(kept, rule, more=("--prune",))
    assert [one.partition(" ->")[0] for one in _reach(pruned)] == ["loses: shop/job (1 pod), shop/web (2 pods)"]
    bank = drawn.manifest("ExternalService", "bank", "other", PARTNER)
    assert _reach(pipeline.plan(bank, more=("--prune",))) == []


def test_what_is_not_accepted_changes_nothing_and_is_said(pipeline: Pipeline) -> None:
    answer = pipeline.plan(
        drawn.manifest("NamespaceEgressRule", "shop", "partner", {"action": "Perhaps", "to": [{"name": "partner"}]}),
        drawn.manifest("NamespaceEgressRule", "free", "partner", ALLOW),
        drawn.manifest("NamespaceEgressRule", "bank", "nowhere", {"action": "Allow", "to": [{"name": "nowhere"}]}),
    )
    assert answer.code == 1
    assert answer.json["different"] is False
    assert [(one["object"], one["reason"]) for one in answer.json["unaccepted"]] == [
        ("NamespaceEgressRule bank/nowhere", "Invalid"),
        ("NamespaceEgressRule free/partner", "NamespaceNotGoverned"),
        ("NamespaceEgressRule shop/partner", "Invalid"),
    ]
    findings = [(one["severity"], one["object"], one["field"]) for one in answer.json["findings"]]
    assert ("error", "NamespaceEgressRule shop/partner", "spec.action") in findings
    assert ("warning", "NamespaceEgressRule bank/nowhere", "spec.to[0].name") in findings


def test_what_the_cluster_has_is_not_missed(pipeline: Pipeline) -> None:
    rule = {"action": "Deny", "from": {"podSelector": {"matchLabels": {"app": "job"}}}, "to": [{"name": "partner"}]}
    answer = pipeline.plan(drawn.manifest("NamespaceEgressRule", "shop", "no-jobs", rule))
    assert answer.json["findings"] == []
    assert [one["workloads"][0]["name"] for one in answer.json["devices"][0]["reachability"]] == ["job"]


def test_a_namespace_that_becomes_governed_and_a_service_that_selects_others(pipeline: Pipeline) -> None:
    metadata = {"name": "free", "labels": dict(drawn.GOVERNED)}
    answer = pipeline.plan({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    (reach,) = answer.json["devices"][0]["reachability"]
    assert (reach["turn"], reach["workloads"][0]["namespace"]) == ("stopped", "free")
    pipeline.take(
        *drawn.shop(),
        drawn.external("shop", "mail", "198.51.100.25"),
        drawn.written(
            "ServiceEgressRule", "shop", "mail", {"service": "web", "action": "Allow", "to": [{"name": "mail"}]}
        ),
    )
    wider = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"app": "job"}}}
    answer = pipeline.plan({"apiVersion": "v1", "kind": "Service", **wider})
    turns = {one["turn"]: one["workloads"][0]["name"] for one in answer.json["devices"][0]["reachability"]}
    assert turns == {"gains": "job", "loses": "web"}


def test_each_device_is_told_by_itself(pipeline: Pipeline) -> None:
    open_ = Defaults(DefaultAction.NONE, UnknownAddresses.PASS)
    devices = (
        drawn.device("edge"),
        drawn.device("bank-only", namespaces=frozenset({"bank"})),
        drawn.device("open", defaults=open_),
    )
    pipeline.take(*drawn.shop(), devices=devices)
    deny = {"action": "Deny", "to": [{"name": "bad"}]}
    bad = drawn.manifest("ExternalService", "shop", "bad", {**PARTNER, "addresses": ["192.0.2.66"]})
    answer = pipeline.plan(bad, drawn.manifest("NamespaceEgressRule", "shop", "bad", deny))
    assert [_reach(answer, index) for index in range(2)] == [[], []]
    assert [one["changes"] > 0 for one in answer.json["devices"]] == [True, False, True]
    assert _reach(answer, 2) == [
        (
            "stopped: shop/job (1 pod), shop/web (2 pods) -> bad 192.0.2.66 TCP 443, "
            "by NamespaceEgressRule shop/bad (Deny), before left to the device's own rules"
        )
    ]
    only = {**deny, "devices": ["edge"]}
    answer = pipeline.plan(bad, drawn.manifest("NamespaceEgressRule", "shop", "bad", only))
    assert _reach(answer, 2) == []


def test_names_are_listed_and_not_resolved(pipeline: Pipeline) -> None:
    pipeline.take(*drawn.shop(), devices=(drawn.device("edge", can={"fqdn": True}),))
    named = {"fqdns": ["api.example.com"], "ports": [{"protocol": "TCP", "port": 443}]}
    rule = drawn.manifest("NamespaceEgressRule", "shop", "api", {"action": "Allow", "to": [{"name": "api"}]})
    answer = pipeline.plan(drawn.manifest("ExternalService", "shop", "api", named), rule)
    (reach,) = answer.json["devices"][0]["reachability"]
    assert [(one["names"], one["addresses"]) for one in reach["destinations"]] == [(["api.example.com"], [])]
    everything = {"addresses": ["0.0.0.0/0"], "ports": "Any"}
    closed = pipeline.plan(
        drawn.manifest("ExternalService", "shop", "api", named),
        rule,
        drawn.manifest("ClusterExternalService", "", "all", everything),
        drawn.manifest("ClusterEgressRule", "", "closed", {"action": "Deny", "to": [{"name": "all"}]}),
    )
    assert {one["turn"] for one in closed.json["devices"][0]["reachability"]} == {"loses"}


def test_what_a_person_must_release_is_held_and_shown(pipeline: Pipeline) -> None:
    answer = pipeline.plan(
        drawn.manifest("ExternalService", "shop", "partner", {**PARTNER, "addresses": ["0.0.0.0/0"]})
    )
    (device,) = answer.json["devices"]
    assert [one["reason"] for one in device["held"]] == ["an edit widens the destination to every address"]
    assert [one["turn"] for one in device["reachability"]] == ["gains"]


@pytest.mark.parametrize(
    "words",
    [
        ("--manifests", "."),
        ("--against", "east"),
        ("--prune",),
        ("--manifests", "/nowhere", "--against", "east"),
        ("--manifests", ".", "--against", "./nowhere.json"),
        ("edge", "--manifests", ".", "--against", "east"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(words: tuple[str, ...]) -> None:
    assert run("plan", *words).code == 2


def test_what_is_no_snapshot_is_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "east.json"
    for text in ("", "[]", '{"snapshot": 99}', json.dumps({"snapshot": 1})):
        file.write_text(text)
        answer = run("plan", "--manifests", tmp_path, "--against", file)
        assert (answer.code, "east.json" in answer.err) == (2, True), text


@pytest.mark.parametrize("form", [Form.FLAT, Form.ALLOW_ONLY])
def test_a_device_of_another_form_tells_the_same(pipeline: Pipeline, form: Form) -> None:
    dark = {"addresses": ["203.0.113.8/29"], "ports": "Any"}
    web = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}
    objects = (
        drawn.manifest("ClusterExternalService", "", "dark", dark),
        drawn.manifest("ClusterEgressRule", "", "on", {"action": "Pass", "from": web, "to": [{"name": "dark"}]}),
        drawn.manifest("ClusterEgressRule", "", "stop", {"action": "Deny", "to": [{"name": "dark"}], "priority": 2000}),
    )
    tiered = pipeline.plan(*objects)
    pipeline.take(*drawn.shop(), devices=(drawn.device("edge", form=form),))
    answer = pipeline.plan(*objects)
    assert [_addresses(one) for one in (tiered, answer)] == [{"10.64.1.9": "203.0.113.8/29"}] * 2
    (told,) = _reach(answer)
    assert "allowed by NamespaceEgressRule shop/partner, now" in told
    back = pipeline.plan(
        drawn.manifest("ExternalService", "shop", "partner", {**PARTNER, "addresses": ["203.0.113.0/27"]})
    )
    assert [one.partition(", by ")[2] for one in _reach(back)] == ["NamespaceEgressRule shop/partner"]


def test_what_a_pass_lets_on_is_told_as_the_rule_below_it(pipeline: Pipeline) -> None:
    every = {"addresses": ["0.0.0.0/0"], "ports": "Any"}
    pipeline.take(
        *drawn.shop(),
        drawn.written("ClusterExternalService", "", "every", every),
        drawn.written(
            "ClusterEgressRule", "", "closed", {"action": "Deny", "to": [{"name": "every"}], "priority": 5000}
        ),
        devices=(drawn.device("edge", form=Form.FLAT),),
    )
    answer = pipeline.plan(drawn.manifest("ClusterEgressRule", "", "on", {"action": "Pass", "to": [{"name": "every"}]}))
    told = [one for one in _reach(answer) if one.startswith("gains")]
    assert [one.rpartition(", by ")[2] for one in told] == [
        "NamespaceEgressRule shop/partner, before Deny by ClusterEgressRule closed"
    ]


def test_where_a_device_sees_nodes_they_are_told_and_who_else_is_behind_them(pipeline: Pipeline) -> None:
    node = Node("n1", "node-1", "1", {}, ("172.16.0.1",))
    seen = drawn.device("edge", views=(View(AddressSource.NODE, name="node"),))
    pipeline.take(*drawn.shop(), node, devices=(seen,))
    mail = drawn.manifest("ExternalService", "shop", "mail", {**PARTNER, "addresses": ["198.51.100.25"]})
    rule = {"action": "Allow", "to": [{"name": "mail"}]}
    answer = pipeline.plan(mail, drawn.manifest("NamespaceEgressRule", "shop", "mail", rule))
    assert _reach(answer) == []
    (remark,) = [
        one for one in answer.json["devices"][0]["remarks"] if one["object"] == "NamespaceEgressRule shop/mail"
    ]
    assert (remark["reason"], "bank" in remark["message"]) == ("OverBroad", True)
    text = pipeline.plan(mail, drawn.manifest("NamespaceEgressRule", "shop", "mail", rule), form="text").out
    assert "Accepted, and not in force as written on every device" in text
    assert "nothing of it changes" not in text
    answer = pipeline.plan(mail, drawn.manifest("NamespaceEgressRule", "shop", "mail", {**rule, "acceptShared": True}))
    assert _reach(answer) == ["gains: node node-1 -> mail 198.51.100.25 TCP 443, by NamespaceEgressRule shop/mail"]


def _addresses(answer: Answer) -> dict[str, str]:
    return {
        address: ",".join(to["addresses"])
        for one in answer.json["devices"][0]["reachability"]
        for workload in one["workloads"]
        for address in workload["addresses"]
        for to in one["destinations"]
    }
