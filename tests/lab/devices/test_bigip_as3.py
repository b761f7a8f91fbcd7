"""AS3 on the simulated BIG-IP, called as F5's openapi.yaml says, and beside F5's own schema."""

import copy
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from bridge.lab.devices.bigip import Bigip
from tests.lab.devices import as3

DECLARE, TASK, INFO, SETTINGS = (f"/mgmt/shared/appsvcs/{one}" for one in ("declare", "task", "info", "settings"))
RULES = "security/firewall/rule-list"
LIST: Mapping[str, Any] = {
    "class": "Firewall_Rule_List",
    "remark": "ours",
    "rules": [{"name": "web", "action": "accept-decisively", "protocol": "tcp", "source": {"addresses": ["10.0.0.1"]}}],
}


def adc(**tenants: object) -> dict[str, Any]:
    head = {"class": "ADC", "schemaVersion": "3.30.0", "id": "test", "controls": {"class": "Controls"}}
    return {**head, **tenants}


def tenant(**items: object) -> dict[str, Any]:
    application = {"class": "Application", "template": "generic", **items}
    return {"class": "Tenant", "app": application}


def result(answer: httpx.Response, at: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["results"][at]
    return found


def test_it_says_which_version_it_is(http: httpx.Client, device: Bigip) -> None:
    assert http.get(INFO).json()["version"] == "3.56.0"
    device.as3.installed = False
    assert http.get(INFO).status_code == 404


def test_nothing_declared_something_declared_and_a_tenant_that_is_not(http: httpx.Client) -> None:
    assert http.get(DECLARE).status_code == 204
    assert http.post(DECLARE, json=adc(t=tenant(rules=LIST))).status_code == 200
    assert http.get(f"{DECLARE}/t").json()["t"]["app"]["rules"] == LIST
    assert http.get(f"{DECLARE}/u").status_code == 404
    assert http.get(DECLARE, params={"what": "x"}).status_code == 400


def test_a_declaration_is_true_then_idempotent_and_taken_back(http: httpx.Client, device: Bigip) -> None:
    body = adc(t=tenant(rules=LIST, policy={"class": "Firewall_Policy", "rules": [{"use": "rules"}]}))
    assert result(http.post(DECLARE, json=body)) | {"runTime": 1} == {
        "code": 200,
        "message": "success",
        "host": "localhost",
        "tenant": "t",
        "runTime": 1,
        "declarationId": "test",
    }
    held = device.objects("security/firewall/policy", "/t/app/")["/t/app/policy"]
    assert held["rulesReference"]["items"][0]["ruleList"] == "/t/app/rules"
    assert held["rulesReference"]["items"][0]["name"] == "rules"
    assert device.objects(RULES)["/t/app/rules"]["description"] == "ours"
    writes = len(device.writes())
    assert result(http.post(DECLARE, json=body))["message"] == "no change"
    assert len(device.writes()) == writes
    assert result(http.delete(f"{DECLARE}/t"))["message"] == "success"
    assert not [path for path in device.objects("sys/folder") if path.startswith("/t")]
    assert http.get(DECLARE).status_code == 204


def test_what_somebody_puts_into_the_partition_is_deleted_with_the_next_declaration(
    http: httpx.Client, device: Bigip
) -> None:
    http.post(DECLARE, json=adc(t=tenant(rules=LIST)))
    device.put_object(RULES, {"name": "/t/app/by-hand"})
    device.change_object(f"{RULES}/~t~app~rules", {"description": "changed"})
    assert result(http.post(DECLARE, json=adc(t=tenant(rules=LIST))))["message"] == "success"
    assert {path: one["description"] for path, one in device.objects(RULES, "/t/").items()} == {"/t/app/rules": "ours"}


def test_other_tenants_stay_and_each_has_a_result_of_its_own(http: httpx.Client, device: Bigip) -> None:
    http.post(DECLARE, json=adc(t=tenant(rules=LIST)))
    device.put_object("sys/folder", {"name": "/Common/taken"})
    broken = copy.deepcopy(dict(LIST))
    broken["rules"] *= 2  # two rules of one name: the device refuses
    mixed = http.post(DECLARE, json=adc(u=tenant(rules=LIST), v=tenant(rules=broken)))
    assert mixed.status_code == 207
    assert [one["code"] for one in mixed.json()["results"]] == [200, 422]
    assert result(mixed, 1)["message"] == "declaration failed"
    assert "already exists" in result(mixed, 1)["response"]
    assert set(device.objects(RULES)) == {"/t/app/rules", "/u/app/rules"}
    assert http.post(DECLARE, json=adc(v=tenant(rules=broken))).status_code == 422


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda body: body.pop("schemaVersion"), "schemaVersion"),
        (lambda body: body.update(schemaVersion="3.99.0"), "schemaVersion"),
        (lambda body: body["controls"].pop("class"), "controls"),
        (lambda body: body["t"].update(remark="x" * 65), "remark"),
        (lambda body: body["t"].update({"9": body["t"].pop("app")}), "/t/9"),
        (lambda body: body["t"]["app"].update({"ends-": dict(LIST)}), "ends-"),
        (lambda body: body["t"]["app"]["rules"].update(action="drop"), "/t/app/rules"),
        (lambda body: body["t"]["app"]["rules"]["rules"][0].pop("action"), "/t/app/rules/rules/0"),
        (lambda body: body["t"]["app"]["rules"]["rules"][0].update(protocol="6"), "protocol"),
        (lambda body: body["t"]["app"]["rules"]["rules"][0].update(icmp=["8"]), "/t/app/rules/rules/0"),
        (lambda body: body["t"]["app"]["rules"]["rules"][0]["source"].update(addresses=[]), "addresses"),
        (lambda body: body["t"]["app"].update(ports={"class": "Firewall_Port_List", "ports": []}), "/t/app/ports"),
        (lambda body: body["t"]["app"].update(hosts={"class": "Firewall_Address_List"}), "/t/app/hosts"),
        (lambda body: body["t"]["app"].update(policy={"class": "Firewall_Policy"}), "/t/app/policy"),
    ],
)
def test_what_f5s_schema_refuses_is_refused(http: httpx.Client, device: Bigip, change: Any, where: str) -> None:  # noqa: ANN401
    body = adc(t=tenant(rules=copy.deepcopy(dict(LIST))))
    change(body)
    refused = http.post(DECLARE, json=body)
    assert (refused.status_code, refused.json()["message"]) == (422, "declaration is invalid")
    assert where in " ".join(refused.json()["errors"])
    assert not device.objects(RULES)
    second = as3.judge()
    if second is not None:
        assert second(body), "F5's schema takes it"


@pytest.mark.parametrize(
    "pointer",
    [
        {"rules": [{"use": "nobody"}]},
        {"rules": [{"bigip": "/Common/nobody"}]},
    ],
)
def test_a_pointer_into_the_void_is_invalid(http: httpx.Client, pointer: dict[str, Any]) -> None:
    refused = result(http.post(DECLARE, json=adc(t=tenant(policy={"class": "Firewall_Policy", **pointer}))))
    assert refused["message"] == "declaration is invalid"
    assert "/t/app/policy/rules/0" in refused["errors"][0]


def test_a_task_is_answered_with_200_while_it_runs(http: httpx.Client, device: Bigip) -> None:
    device.as3.seconds = 20
    taken = http.post(DECLARE, params={"async": "true"}, json=adc(t=tenant(rules=LIST)))
    assert taken.status_code == 202
    assert result(taken)["message"] == "Declaration successfully submitted"
    assert taken.json()["selfLink"].startswith("https://localhost/")
    task = f"{TASK}/{taken.json()['id']}"
    assert (http.get(task).status_code, result(http.get(task))["message"]) == (200, "in progress")
    assert result(http.get(task))["declarationId"] == "test"
    assert not device.objects(RULES)
    device.clock.advance(21)
    assert result(http.get(task))["message"] == "success"
    assert device.objects(RULES)
    assert http.get(f"{TASK}/nobody").status_code == 404
    assert [one["id"] for one in http.get(TASK).json()["items"]] == [taken.json()["id"]]


def test_a_call_that_takes_too_long_becomes_a_task_by_itself(http: httpx.Client, device: Bigip) -> None:
    device.as3.seconds = 46
    assert http.post(DECLARE, json=adc(t=tenant(rules=LIST))).status_code == 202
    device.clock.advance(50)
    device.as3.patience = 100
    assert http.post(DECLARE, json=adc(t=tenant(rules=LIST))).status_code == 200


def test_one_declaration_at_a_time_unless_bursts_are_handled(http: httpx.Client, device: Bigip) -> None:
    device.as3.seconds = 30
    first = http.post(DECLARE, params={"async": "true"}, json=adc(t=tenant(rules=LIST)))
    assert first.status_code == 202
    second = http.post(DECLARE, json=adc(u=tenant(rules=LIST)))
    assert second.status_code == 503
    assert "Configuration operation in progress" in second.json()["message"]
    queued = http.post(DECLARE, params={"async": "true"}, json=adc(u=tenant(rules=LIST)))
    assert result(http.get(f"{TASK}/{queued.json()['id']}"))["code"] == 503
    assert http.post(SETTINGS, json={"burstHandlingEnabled": True}).status_code == 200
    waits = http.post(DECLARE, params={"async": "true"}, json=adc(u=tenant(rules=LIST)))
    device.clock.advance(31)
    assert result(http.get(f"{TASK}/{waits.json()['id']}"))["message"] == "in progress"
    device.clock.advance(30)
    assert result(http.get(f"{TASK}/{waits.json()['id']}"))["message"] == "success"


def test_a_dry_run_says_what_would_be_and_changes_nothing(http: httpx.Client, device: Bigip) -> None:
    body = adc(t=tenant(rules=LIST))
    writes = len(device.writes())
    for dry in (
        http.post(DECLARE, params={"controls.dryRun": "true"}, json=body),
        http.post(DECLARE, json={"class": "AS3", "action": "dry-run", "declaration": body}),
        http.post(DECLARE, json=body | {"controls": {"class": "Controls", "dryRun": True}}),
    ):
        assert result(dry)["message"] == "success"
    assert len(device.writes()) == writes
    assert http.get(DECLARE).status_code == 204


def test_a_tenant_with_another_hash_is_left(http: httpx.Client) -> None:
    http.post(DECLARE, json=adc(t=tenant(rules=LIST)))
    key = http.get(f"{DECLARE}/t", params={"showHash": "true"}).json()["t"]["optimisticLockKey"]
    emptied = tenant() | {"optimisticLockKey": key}
    assert result(http.post(DECLARE, json=adc(t=emptied)))["message"] == "success"
    stale = http.post(DECLARE, json=adc(t=emptied))
    assert (stale.status_code, result(stale)["code"]) == (422, 422)
    assert "hash you submitted does not match" in result(stale)["message"]


def test_a_reboot_cancels_tasks_and_forgets_what_was_not_saved(http: httpx.Client, device: Bigip) -> None:
    http.post(DECLARE, json=adc(t=tenant(rules=LIST)))
    http.post("/mgmt/tm/sys/config", json={"command": "save"})
    device.as3.seconds = 30
    task = http.post(DECLARE, params={"async": "true"}, json=adc(u=tenant(rules=LIST))).json()["id"]
    device.reboot()
    device.clock.advance(60)
    assert result(http.get(f"{TASK}/{task}"))["message"] == "task cancelled"
    assert set(device.objects(RULES)) == {"/t/app/rules"}
    assert http.get(f"{DECLARE}/u").status_code == 404


@pytest.mark.parametrize("name", ["example-firewall-rule", "example-firewall-rule-address-ports"])
def test_f5s_examples_are_carried_out(http: httpx.Client, device: Bigip, name: str) -> None:
    body = as3.example(name)
    assert result(http.post(DECLARE, json=body))["message"] == "success"
    assert device.objects(RULES)


def test_what_is_not_simulated_is_refused(http: httpx.Client) -> None:
    assert http.patch(DECLARE, json=[]).status_code == 404
    assert http.post(f"{DECLARE}/t/applications", json={}).status_code == 400
    refused = http.post(DECLARE, json=adc(t=tenant(pool={"class": "Pool"})))
    assert "the simulator knows" in refused.json()["errors"][0]
