"""The simulated account as a whole: who may call and how fast, what is logged, what the security groups decide."""

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from bridge.lab.device import Simulator
from bridge.lab.devices.aws import Aws, Packet, Refusal
from tests.lab.devices.aws import Untyped, by_list, by_prefix, client, code, group, made


@pytest.fixture(scope="module")
def account() -> Iterator[Aws]:
    with Aws() as device:
        yield device


@pytest.fixture(scope="module")
def ec2(account: Aws) -> Iterator[Untyped]:
    with closing(client(account)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _wiped(account: Aws) -> Iterator[None]:
    allowed = set(account.permitted)
    yield
    account.permitted, account.throttle.on = allowed, False
    account.faults.clear()
    account.wipe()


def test_it_is_a_simulator_and_tells_what_a_client_needs(account: Aws) -> None:
    assert isinstance(account, Simulator)
    assert {"url", "username", "password", "ca", "region", "account", "vpc"} <= set(account.document())


def test_calls_are_signed_with_the_key_for_the_region(account: Aws) -> None:
    wrong = {
        "secret": ({"secret": "x"}, "SignatureDoesNotMatch"),
        "key": ({"key": "AKIAAAAAAAAAAAAAAAAA"}, "AuthFailure"),
        "region": ({"region": "us-east-1"}, "SignatureDoesNotMatch"),
    }
    for given, refusal in wrong.values():
        with closing(client(account, **given)) as other:
            assert code(other.describe_vpcs) == refusal
    unsigned = httpx.post(account.url, data={"Action": "DescribeVpcs"}, verify=_context(account))
    assert (unsigned.status_code, "MissingAuthenticationToken" in unsigned.text) == (403, True)


def test_a_call_is_what_was_signed(account: Aws, ec2: Untyped) -> None:
    def other(request: Untyped, **_more: object) -> None:
        request.body = request.body.replace("DescribeVpcs", "DescribeTags")

    ec2.meta.events.register("before-send.ec2", other)
    try:
        assert code(ec2.describe_vpcs) == "SignatureDoesNotMatch"
    finally:
        ec2.meta.events.unregister("before-send.ec2", other)


def test_who_calls_is_told(account: Aws) -> None:
    with closing(client(account, service="sts")) as sts:
        assert sts.get_caller_identity()["Account"] == account.account


def test_only_what_is_permitted(account: Aws, ec2: Untyped) -> None:
    account.permitted.discard("DeleteManagedPrefixList")
    name = made(ec2)
    assert code(ec2.delete_managed_prefix_list, PrefixListId=name) == "UnauthorizedOperation"
    assert code(ec2.delete_managed_prefix_list, PrefixListId=name, DryRun=True) == "UnauthorizedOperation"
    assert code(ec2.modify_managed_prefix_list, PrefixListId=name, MaxEntries=3, DryRun=True) == "DryRunOperation"
    assert account.state().prefix_list(name) is not None
    terminate = {"InstanceIds": ["i-0123456789abcdef0"], "DryRun": True}
    assert code(ec2.terminate_instances, **terminate) == "UnauthorizedOperation"
    account.permitted.add("TerminateInstances")
    assert code(ec2.terminate_instances, **terminate) == "DryRunOperation"
    with pytest.raises(Refusal, match="InvalidAction"):
        account.call("DescribeColours", {})


def test_unknown_and_missing_parameters_are_refused(account: Aws) -> None:
    with pytest.raises(Refusal, match="UnknownParameter"):
        account.call("DeleteManagedPrefixList", {"PrefixListId": "pl-1", "Colour": "red"})
    with pytest.raises(Refusal, match="UnknownParameter"):
        account.call("ModifyManagedPrefixList", {"PrefixListId": "pl-1", "AddEntry.1.Colour": "red"})
    with pytest.raises(Refusal, match="MissingParameter"):
        account.call("DeleteManagedPrefixList", {})


def test_who_is_too_fast_is_told_and_may_go_on_later(
    account: Aws, ec2: Untyped, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = group(ec2)
    moment = account.clock.now()
    monkeypatch.setattr(account.throttle, "now", lambda: moment)
    account.throttle.on = True
    for at in range(50):
        ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_prefix(f"10.0.{at}.0/24")])
    full = {"GroupId": front, "IpPermissions": [by_prefix("10.1.0.0/24")]}
    assert code(ec2.authorize_security_group_ingress, **full) == "RequestLimitExceeded"
    ec2.describe_security_groups(GroupIds=[front])
    moment += 0.2
    ec2.authorize_security_group_ingress(**full)


def test_each_call_is_logged_by_its_action_and_faults_find_it(account: Aws, ec2: Untyped) -> None:
    since = account.requests()[-1].number if account.requests() else 0
    made(ec2, ClientToken="token")
    ec2.describe_managed_prefix_lists()
    seen = [one for one in account.requests() if one.number > since]
    assert [(one.path, one.transaction) for one in seen] == [
        ("/write/CreateManagedPrefixList", "token"),
        ("/read/DescribeManagedPrefixLists", ""),
    ]
    assert all(one.bytes_in > 500 and one.bytes_out > 200 and one.user == account.username for one in seen)
    fault = account.faults.add("throttled", path="/write/")
    ec2.describe_managed_prefix_lists()
    assert code(group, ec2=ec2) == "RequestLimitExceeded"
    assert fault.hits == 1


def test_a_call_can_be_done_and_its_answer_lost(account: Aws, ec2: Untyped) -> None:
    account.faults.add("cut", path="CreateManagedPrefixList", effect="after")
    with pytest.raises((ConnectionClosedError, ReadTimeoutError)):
        made(ec2, name="lost")
    assert "lost" in {one.name for one in account.state().prefix_lists()}


def test_every_change_is_remembered_with_the_state_after_it(account: Aws, ec2: Untyped) -> None:
    since = account.writes()[-1].number if account.writes() else 0
    name = made(ec2, "10.0.0.1/32")
    ec2.modify_managed_prefix_list(PrefixListId=name, CurrentVersion=1, RemoveEntries=[{"Cidr": "10.0.0.1/32"}])
    front = group(ec2)
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_list(name)])
    ec2.revoke_security_group_ingress(GroupId=front, IpPermissions=[by_list(name)])
    told = [(write, state) for write, state in account.timeline() if write.number > since]
    held = [found.entries if (found := state.prefix_list(name)) else None for _, state in told]
    assert (len(held[0] or ()), held[-1]) == (1, ())
    assert [len([one for one in state.rules(front) if not one.egress]) for _, state in told][-3:] == [0, 1, 0]
    number = told[-2][0].number
    assert account.state(number) == told[-2][1]
    digests = [one["digest"] for one in account.history()]
    assert digests[-1] == account.digest() == digests[-3] != digests[-2]


def test_what_comes_in_is_what_a_rule_of_a_worn_group_admits(account: Aws, ec2: Untyped) -> None:
    web, front, back = made(ec2, "10.0.0.1/32"), group(ec2), group(ec2, "back")
    account.place("192.0.2.0/24", front, back)
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_list(web)])
    ping = {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    gre = {"IpProtocol": "47", "IpRanges": [{"CidrIp": "10.0.0.2/32"}]}
    ec2.authorize_security_group_ingress(GroupId=back, IpPermissions=[ping, gre])

    def comes(
        source: str, protocol: int, port: int = 0, icmp: tuple[int, int] | None = None, to: str = "192.0.2.1"
    ) -> bool:
        return account.judge(Packet(source, to, protocol, port, icmp)).allowed

    assert comes("10.0.0.1", 6, 443)
    assert not comes("10.0.0.1", 6, 80)
    assert not comes("10.0.0.2", 6, 443)
    assert not comes("10.0.0.1", 17, 443)
    assert comes("10.9.9.9", 1, icmp=(8, 3))
    assert not comes("10.9.9.9", 1, icmp=(0, 0))
    assert comes("10.0.0.2", 47)
    assert not comes("10.0.0.1", 6, 443, to="198.51.100.1")
    assert not account.decide("10.0.0.1", "198.51.100.1").worn


def test_a_wiped_account_is_as_it_was(account: Aws, ec2: Untyped) -> None:
    account.wipe()
    before = account.digest()
    front = group(ec2)
    ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_list(made(ec2))])
    account.place("192.0.2.0/24", front)
    assert account.digest() != before
    account.wipe()
    assert (account.digest(), account.interfaces) == (before, {})


def test_two_accounts_do_not_see_each_other(account: Aws, ec2: Untyped) -> None:
    made(ec2, name="mine")
    with Aws(tls=False) as other, closing(client(other)) as theirs:
        lists = theirs.describe_managed_prefix_lists()["PrefixLists"]
        assert "mine" not in {one["PrefixListName"] for one in lists}
        assert other.account != account.account


def test_it_is_controlled_over_http_too(account: Aws, ec2: Untyped) -> None:
    with httpx.Client(base_url=account.url, verify=_context(account)) as lab:
        front = lab.post("/__lab/groups", json={"name": "front", "prefixes": ["192.0.2.0/24"]}).json()["id"]
        web = lab.post("/__lab/lists", json={"name": "web", "prefixes": ["10.0.0.1/32"]}).json()["id"]
        ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[by_list(web)])
        asked = {"source": "10.0.0.1", "destination": "192.0.2.9", "port": "443"}
        assert lab.get("/__lab/decide", params=asked).json()["allowed"]
        assert {front, web} <= set(lab.get("/__lab/state").json()["items"])
        refused = lab.post(
            "/__lab/call", json={"action": "DeleteManagedPrefixList", "parameters": {"PrefixListId": web}}
        )
        assert refused.json()["code"] == "DependencyViolation"
        lab.post("/__lab/settings", json={"limits": {"rules": 1}, "settling": 1, "throttle": True})
        assert (account.limits.rules, account.settling, account.throttle.on) == (1, 1, True)
        lab.post("/__lab/settings", json={"limits": {"rules": 60}, "settling": 0, "throttle": False})
        assert lab.post("/__lab/settings", json={"limits": {"colour": 1}}).status_code == 400
        assert lab.get("/__lab/history").json()[-1]["path"] == "AuthorizeSecurityGroupIngress"
        lab.post("/__lab/wipe")
        assert account.state().group(front) is None


def test_it_runs_as_a_process_of_its_own() -> None:
    program = (
        "from bridge.lab.device import serve\nfrom bridge.lab.devices.aws import simulator\nserve(simulator(tls=False))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            document = json.loads(process.stdout.readline())
            assert httpx.get(f"{document['url']}/__lab/state").status_code == 200
        finally:
            process.terminate()
    assert process.returncode == 0


def _context(account: Aws) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=account.ca)
