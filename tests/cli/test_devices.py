"""`status`, `plan` and `report` against a recorded cluster and a simulated BIG-IP."""

import pytest

from tests.cli.program import run
from tests.cli.site import PASSWORD, SOURCE, Site


def test_plan_deliver_and_nothing_left_to_plan(site: Site) -> None:
    site.desire("10.64.0.1", "10.64.0.2")
    writes = len(site.bigip.writes())
    planned = run("plan", "--config", site.config, "--output", "json")
    (device,) = planned.json["devices"]
    assert planned.code == 1
    assert (device["device"], device["kind"], device["changes"]) == ("edge", "bigip", len(device["steps"]))
    (group,) = [step for step in device["steps"] if step["object"] == str(SOURCE)]
    assert (group["op"], group["add"], group["remove"]) == ("create", ["10.64.0.1", "10.64.0.2"], [])
    assert [step["phase"] for step in device["steps"]] == sorted(step["phase"] for step in device["steps"])
    again = run("--config", site.config, "--output", "json", "plan", "edge")
    assert again.json["devices"][0]["digest"] == device["digest"]
    assert len(site.bigip.writes()) == writes

    site.deliver()
    after = run("plan", "--config", site.config, "--output", "json")
    assert (after.code, after.json["devices"][0]["changes"], after.json["errors"]) == (0, 0, {})
    text = run("plan", "--config", site.config)
    assert (text.code, "edge: 0 changes, digest" in text.out) == (0, True)


def test_the_plan_as_text_is_whole(site: Site) -> None:
    members = [f"10.64.3.{number}" for number in range(1, 15)]
    site.desire(*members)
    text = run("plan", "--config", site.config)
    assert text.code == 1
    assert f"create  {SOURCE}  " in text.out
    assert all(f"+{member}" in text.out for member in members)


def test_a_report_of_a_device_in_step(site: Site) -> None:
    site.desire("10.64.0.1", "10.64.0.2")
    site.deliver()
    report = run("report", "--config", site.config, "--output", "json", "--members")
    assert report.code == 0
    found = report.json
    assert (found["inStep"], found["held"], found["missing"], found["extra"]) == (True, False, 0, 0)
    assert (found["groups"], found["members"], found["rules"], found["devices"]) == (2, 3, 1, 1)
    (group,) = [one for one in found["byDevice"][0]["objects"] if one["object"] == str(SOURCE)]
    assert (group["desired"], group["actual"]) == (2, 2)
    assert group["desiredItems"] == group["actualItems"] == ["10.64.0.1", "10.64.0.2"]
    text = run("report", "--config", site.config, "--objects")
    assert text.code == 0
    assert text.out.endswith("2 groups, 3 members, 1 rules on 1 devices, 0 missing, 0 extra\n")
    assert f"{SOURCE} " in text.out


def test_what_somebody_did_to_the_device_is_found(site: Site) -> None:
    site.desire("10.64.0.1", "10.64.0.2")
    site.deliver()
    (path,) = [
        name for name, body in site.bigip.objects("security/firewall/address-list").items() if "10.64.0.1" in str(body)
    ]
    site.bigip.change_object(
        f"security/firewall/address-list/{path.replace('/', '~')}",
        {"addresses": [{"name": "10.64.0.1"}, {"name": "198.51.100.66"}]},
    )
    report = run("report", "--config", site.config, "--output", "json")
    assert report.code == 1
    (group,) = [one for one in report.json["byDevice"][0]["objects"] if one["object"] == str(SOURCE)]
    assert (group["missing"], group["extra"]) == (["10.64.0.2"], ["198.51.100.66"])
    assert (report.json["missing"], report.json["extra"]) == (1, 1)
    text = run("report", "--config", site.config)
    assert text.code == 1
    assert any(line.split() == [str(SOURCE), "10.64.0.2", "198.51.100.66"] for line in text.out.splitlines())


def test_what_waits_for_a_person_is_held_and_no_difference(site: Site) -> None:
    members = [f"10.64.1.{number}" for number in range(100)]
    site.desire(*members)
    site.deliver()
    site.lose(*members[:60])
    report = run("report", "--config", site.config, "--output", "json")
    assert report.code == 3
    (held,) = report.json["byDevice"][0]["held"]
    assert held["object"] == str(SOURCE)
    assert held["members"] == sorted(members[:60])
    assert (report.json["missing"], report.json["extra"], report.json["held"]) == (0, 0, True)
    plan = run("plan", "--config", site.config)
    assert plan.code == 3
    assert "edge: held" in plan.out
    assert run("report", "--config", site.config).code == 3


def test_a_device_that_does_not_answer_is_said_so(site: Site) -> None:
    site.desire("10.64.0.1")
    site.deliver()
    site.bigip.stop()
    report = run("report", "--config", site.config, "--output", "json")
    assert report.code == 1
    (device,) = report.json["byDevice"]
    assert device["device"] == "edge"
    assert device["error"]
    assert "edge: " not in device["error"], "the device is named beside it"
    plan = run("plan", "--config", site.config)
    assert plan.code == 1
    assert plan.err.startswith("fusion-bridge: edge: ")


def test_a_cluster_that_was_never_recorded_wants_nothing_that_is_known(site: Site) -> None:
    plan = run("plan", "--config", site.config, "--output", "json")
    assert (plan.code, plan.json["devices"]) == (1, [])
    assert "east has not been recorded yet" in plan.json["errors"]["edge"]


def test_a_device_that_is_not_there(site: Site) -> None:
    answer = run("report", "edg", "--config", site.config)
    assert answer.code == 2
    assert "edg: no such device; there are edge" in answer.err


def test_status(site: Site) -> None:
    site.desire("10.64.0.1")
    before = run("status", "--config", site.config, "--output", "json")
    assert before.code == 1
    assert before.json["devices"][0]["state"] == "not read yet"
    assert before.json["devices"][0]["oldestUnapplied"] is not None

    site.deliver()
    after = run("status", "--config", site.config, "--output", "json")
    assert after.code == 0
    (cluster,), (device,) = after.json["clusters"], after.json["devices"]
    assert (cluster["name"], cluster["revision"], cluster["synced"]) == ("east", 1, ["pods"])
    assert (device["state"], device["lagSeconds"], device["held"], device["quarantined"]) == ("ok", 0.0, 0, 0)
    assert run("status", "--config", site.config).code == 0


def test_status_names_objects_that_are_not_accepted(site: Site) -> None:
    site.desire("10.64.0.1")
    site.deliver()
    site.refuse_policy("spec.to[0]: [shop/pay] is \x1b[31mno\x1b[0m name :smile:")
    found = run("status", "--config", site.config)
    assert found.code == 1
    assert "ServiceEgressRule shop/pay" in found.out
    assert r"spec.to[0]: [shop/pay] is \x1b[31mno\x1b[0m name :smile:" in found.out


@pytest.mark.parametrize("command", ["status", "plan", "report", "config check"])
@pytest.mark.parametrize("level", ["debug", "info"])
def test_no_secret_is_ever_printed(site: Site, command: str, level: str) -> None:
    site.desire("10.64.0.1")
    site.bigip.password = "another"  # so that it refuses us
    answer = run(*command.split(), "--config", site.config, "--log-level", level)
    assert PASSWORD not in answer.out + answer.err
