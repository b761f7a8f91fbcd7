"""What the suite does not ask: quotas, drift, entries of others, throttling, and calls."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import pytest

from adapters.aws import AwsAdapter, factory
from adapters.aws import scope as scope_module
from adapters.conformance.site import BANK, CART, HTTPS, MAIL, WEB, Site, Terms, group_key, line, objects
from bridge.contract import DeviceConfig
from bridge.errors import Busy, Denied, Rejected
from bridge.lab.devices.aws.prefixlists import PrefixLists
from bridge.lab.devices.aws.rig import AwsRig, aws_rig
from bridge.model.examination import Condition
from bridge.model.identity import Kind
from bridge.model.intent import EVERYTHING, FenceState, Group, Intent, Objects, Ports
from bridge.model.plan import Fence, Outcome
from bridge.model.policy import PortRange, Protocol, Tier
from bridge.model.tiers import attachment
from bridge.policy.diff import diff, plan
from bridge.policy.evaluate import Packet, Verdict

FENCE = Fence(3, "installation-a")
SOURCES = [f"10.0.{at >> 8}.{at & 255}" for at in range(1, 300)]


class Account:
    """An account, and an adapter for it."""

    def __init__(self, rig: AwsRig) -> None:
        self.rig = rig
        self.terms = Terms.of(factory.capabilities(rig.config()))
        self.adapter = self.open()
        self.adapter.raise_fence(FENCE)

    def open(self, **scope: object) -> AwsAdapter:
        config = self.rig.config()
        limits = self.rig.device.limits
        own = {"region": config.scope["region"], "rulesPerGroup": limits.rules, "prefixLists": limits.prefix_lists}
        return factory.open(replace(config, scope={**own, **scope}))

    def bring(self, adapter: AwsAdapter, site: Site) -> Outcome:
        have = adapter.read(EVERYTHING).objects
        want = Intent("edge", adapter.normalize(Intent("edge", site)))
        return adapter.apply(plan("edge", diff(have, want), have, adapter.capabilities, adapter.limits), FENCE)

    def left(self, adapter: AwsAdapter, site: Site) -> Objects:
        """What stands there otherwise than it should."""
        have, want = adapter.read(EVERYTHING).objects, adapter.normalize(Intent("edge", site))
        return {key: value for key, value in want.items() if have.get(key) != value}

    def shop(self, number: int, *lines: str, extra: int = 0) -> Site:
        entries = [line(name, to=BANK) for name in lines] or [line("pay", ports=HTTPS, protocol=Protocol.TCP)]
        return self.terms.shop(*SOURCES[:number], lines=entries) | objects(
            Ports(HTTPS, tuple(PortRange(1000 + 2 * at, 1000 + 2 * at) for at in range(1 + extra)))
        )

    def allowed(self, source: str, port: int) -> bool:
        packet = Packet(source, "198.51.100.1", Protocol.TCP, port)
        return self.rig.moments()[-1].verdict(packet) is Verdict.ALLOW

    def entries(self) -> list[str]:
        return [name for name in self.rig.contents() if name.startswith("rule front-0 in")]


@pytest.fixture
def site() -> Iterator[Account]:
    with aws_rig() as rig:
        rig.device.limits.rules, rig.device.limits.prefix_lists = 60, 100
        yield Account(rig)


def test_a_group_that_would_weigh_too_much_is_named_before_the_first_call_and_stays_as_it_was(site: Account) -> None:
    adapter = site.open()
    site.bring(adapter, site.shop(10, extra=1))
    written, expected = len(site.rig.moments()), dict(site.rig.contents())
    with pytest.raises(Rejected) as refused:
        site.bring(adapter, site.shop(40, extra=1))
    assert set(refused.value.objects) == {str(CART)}
    assert "60" in refused.value.objects[str(CART)]
    assert (len(site.rig.moments()), dict(site.rig.contents())) == (written, expected)
    assert not site.left(adapter, site.shop(10, extra=1))


def test_rather_a_group_is_named_than_the_rules_of_a_team_and_a_list_where_it_is_the_list(site: Account) -> None:
    adapter, whole = site.open(), site.shop(10, extra=9)
    with pytest.raises(Rejected) as refused:
        site.bring(adapter, whole)
    assert set(refused.value.objects) == {str(CART)}
    bare = {key: value for key, value in whole.items() if key.kind not in (Kind.RULE_LIST, Kind.POLICY)}
    site.bring(adapter, bare)
    with pytest.raises(Rejected) as refused:
        site.bring(adapter, whole)
    assert {key.partition(":")[0] for key in refused.value.objects} == {"rules"}


def test_entries_of_others_count(site: Account) -> None:
    site.rig.plant()
    adapter = site.open()
    site.bring(adapter, site.shop(56))
    assert site.allowed(SOURCES[55], 1000)
    site.rig.device.limits.rules = 56
    with pytest.raises(Rejected):
        site.bring(site.open(), site.shop(57))


def test_the_quota_of_lists_is_planned(site: Account) -> None:
    adapter = site.open(prefixLists=4)
    wanted = objects(*(Group(group_key(f"g{at}"), frozenset({SOURCES[at]})) for at in range(4)))
    with pytest.raises(Rejected) as refused:
        site.bring(adapter, wanted)
    assert set(refused.value.objects) == {"group:prod/service/shop/g3"}
    site.bring(adapter, {key: value for key, value in wanted.items() if key.name != "g3"})


def test_at_the_quota_entries_go_before_others_come_and_else_after(site: Account) -> None:
    for number, extra, order in ((4, 1, ["Authorize", "Revoke"]), (28, 1, ["Revoke", "Authorize"])):
        site.rig.reset()
        site.rig.device.limits.rules = 60
        adapter = site.open()
        site.bring(adapter, site.shop(number, extra=extra))
        before = len(site.rig.device.writes())
        other = objects(Ports(HTTPS, (PortRange(2000, 2000), PortRange(3000, 3000))))
        site.bring(adapter, site.shop(number) | other)
        words = [write.path for write in site.rig.device.writes()[before:] if "SecurityGroup" in write.path]
        assert [word.removesuffix("SecurityGroupIngress") for word in dict.fromkeys(words)] == order
        assert site.allowed(SOURCES[0], 3000)
        assert not site.allowed(SOURCES[0], 1000)


def test_what_one_list_gives_up_another_may_have_at_once(site: Account) -> None:
    adapter = site.open(headroom=0)
    lines = [line("a", CART, protocol=Protocol.TCP, ports=HTTPS), line("b", WEB, protocol=Protocol.UDP)]
    for first, second in ((40, 10), (10, 45)):
        groups = objects(Group(CART, frozenset(SOURCES[:first])), Group(WEB, frozenset(SOURCES[100 : 100 + second])))
        wanted = site.terms.shop(lines=lines) | objects(Ports(HTTPS, (PortRange(443, 443),))) | groups
        site.bring(adapter, wanted)
        assert not site.left(site.open(headroom=0), wanted)


def test_a_list_that_does_not_go_is_named_and_stays_without_members(
    site: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = PrefixLists._begin

    def fails(desk: PrefixLists, found: Any, what: str, end: Callable[[], None]) -> Any:  # noqa: ANN401
        failed = partial(setattr, found, "state", "delete-failed")
        return begin(desk, found, what, failed if what == "delete" else end)

    monkeypatch.setattr(PrefixLists, "_begin", fails)
    adapter = site.open()
    site.bring(adapter, objects(Group(CART, frozenset(SOURCES[:2]))))
    outcome = site.bring(adapter, {})
    assert set(outcome.refused) == {CART}
    assert adapter.read(EVERYTHING).objects == {CART: Group(CART)}


def test_a_list_grows_in_a_call_of_its_own_and_shrinks_at_the_end(site: Account) -> None:
    adapter = site.open(headroom=0)
    site.bring(adapter, site.shop(3))
    for number in (7, 2):
        site.bring(adapter, site.shop(number))
        found = next(one for one in site.rig.device.state().prefix_lists() if one.name.endswith("/cart/ipv4"))
        assert (len(found.entries), found.max_entries) == (number, number)


def test_more_than_a_hundred_members_arrive_in_several_calls(site: Account) -> None:
    adapter = site.open()
    lone = objects(Group(MAIL, frozenset(SOURCES)))
    site.bring(adapter, lone)
    assert not site.left(site.open(), lone)


def test_an_entry_that_somebody_took_out_is_put_back_and_one_too_many_goes(site: Account) -> None:
    adapter, wanted = site.open(), site.shop(2, extra=1)
    site.bring(adapter, wanted)
    expected, device = dict(site.rig.contents()), site.rig.device
    front = next(one for one in device.state().groups() if one.name == "front-0").id
    ours = [rule for rule in device.rules(front) if not rule.egress]
    device.call("RevokeSecurityGroupIngress", {"GroupId": front, "SecurityGroupRuleId.1": ours[0].id})
    assert site.left(site.open(), wanted).keys() == {attachment(Tier.SERVICE).key}
    site.bring(adapter, wanted)
    assert dict(site.rig.contents()) == expected
    form = {
        "GroupId": front,
        "IpPermissions.1.IpProtocol": "-1",
        "IpPermissions.1.PrefixListIds.1.PrefixListId": ours[0].peer,
    }
    form |= {
        "IpPermissions.1.PrefixListIds.1.Description": ours[0].description,
        "TagSpecification.1.ResourceType": "security-group-rule",
        "TagSpecification.1.Tag.1.Key": "fusionbridge.io/owner",
        "TagSpecification.1.Tag.1.Value": "fb",
    }
    device.call("AuthorizeSecurityGroupIngress", form)
    assert site.allowed(SOURCES[0], 9)
    site.bring(site.open(), wanted)
    assert dict(site.rig.contents()) == expected


def _write_over(site: Account, record: str, text: str, other: str) -> None:
    """Somebody gives the entry that begins with this record another description."""
    device = site.rig.device
    found = next(one for one in device.state().prefix_lists() if one.name == "fb/register")
    prefix, words = next((prefix, words) for prefix, words in found.entries if words.startswith(f"1 {record}"))
    form = {"PrefixListId": found.id, "CurrentVersion": str(found.version), "RemoveEntry.1.Cidr": prefix}
    device.call("ModifyManagedPrefixList", form)
    form = {"PrefixListId": found.id, "CurrentVersion": str((found.version or 0) + 1), "AddEntry.1.Cidr": prefix}
    device.call("ModifyManagedPrefixList", form | {"AddEntry.1.Description": words.replace(text, other)})


def test_a_record_that_somebody_wrote_over_opens_nothing_and_is_put_right(site: Account) -> None:
    wanted = site.shop(2)
    site.bring(site.open(), wanted)
    _write_over(site, "ports:", "1000", "1-65535")
    adapter = site.open()
    have = adapter.read(EVERYTHING).objects
    changed = Intent(
        "edge", adapter.normalize(Intent("edge", objects(Group(CART, frozenset(SOURCES[:1]))))), complete=False
    )
    adapter.apply(plan("edge", diff(have, changed), have, adapter.capabilities, adapter.limits), FENCE)
    assert not site.allowed(SOURCES[0], 22)
    site.bring(adapter, wanted)
    assert not site.left(site.open(), wanted)
    assert site.allowed(SOURCES[0], 1000)
    assert not site.allowed(SOURCES[0], 22)


def test_a_fence_that_somebody_wrote_over_is_no_fence_and_can_be_raised_again(site: Account) -> None:
    _write_over(site, "fence:", " 3 ", " 1 ")
    adapter = site.open()
    assert adapter.read(EVERYTHING).fence == FenceState()
    adapter.raise_fence(FENCE)
    assert site.open().read(EVERYTHING).fence == FenceState(FENCE.epoch, FENCE.installation)


def test_what_others_let_in_is_named_and_left(site: Account) -> None:
    site.rig.plant()
    adapter = site.open()
    site.bring(adapter, site.shop(1))
    told = {one.name: one.look_alike for one in adapter.read(EVERYTHING).foreign}
    more = [why for why in told.values() if why.startswith("lets through more: 172.16.0.0/12 to sg-")]
    assert len(more) == 1
    assert "tcp 443-443" in more[0]


def test_a_list_that_somebody_else_refers_to_stays_without_members(site: Account) -> None:
    adapter = site.open()
    site.bring(adapter, objects(Group(CART, frozenset(SOURCES[:2]))))
    device = site.rig.device
    name = next(one.id for one in device.state().prefix_lists() if one.name.endswith("/cart/ipv4"))
    other = device.create_group("other")
    form = {"GroupId": other, "IpPermissions.1.IpProtocol": "-1", "IpPermissions.1.PrefixListIds.1.PrefixListId": name}
    device.call("AuthorizeSecurityGroupIngress", form)
    outcome = site.bring(adapter, {})
    assert set(outcome.refused) == {CART}
    assert "in use" in outcome.refused[CART]
    assert device.members(name) == frozenset()


def test_one_change_of_a_member_is_three_calls_and_an_audit_reads_no_version_twice(site: Account) -> None:
    adapter = site.open()
    site.bring(adapter, site.shop(9))
    calls = adapter.calls
    have = adapter.read(EVERYTHING).objects
    assert adapter.calls - calls == 3
    calls = adapter.calls
    changed = Intent("edge", {CART: Group(CART, frozenset(SOURCES[1:10]))}, complete=False)
    steps = diff(have, replace(changed, objects=adapter.normalize(changed)))
    adapter.apply(plan("edge", steps, have, adapter.capabilities, adapter.limits), FENCE)
    assert adapter.calls - calls == 3  # what stands, the change, and that it is complete
    assert sum(call.bytes_in + call.bytes_out for call in site.rig.device.requests()[-3:]) < 8192
    assert site.allowed(SOURCES[9], 1000)
    assert not site.allowed(SOURCES[0], 1000)


def test_a_throttled_call_is_made_again_and_not_for_ever(site: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.aws.client._PAUSES", (0.0, 0.0))
    adapter = site.open()
    site.rig.device.faults.add("throttled", times=2)
    adapter.read(EVERYTHING)
    site.rig.device.faults.add("throttled", times=3)
    with pytest.raises(Busy) as busy:
        adapter.read(EVERYTHING)
    assert busy.value.retry_after


def test_a_change_that_takes_its_time_is_waited_for(site: Account) -> None:
    site.rig.device.settling = 0.05
    adapter = site.open()
    site.bring(adapter, site.shop(2))
    assert site.allowed(SOURCES[1], 1000)
    site.rig.device.settling = 30.0
    with pytest.raises(Busy, match="not complete"):
        site.bring(site.open(waitSeconds=0), site.shop(3))


def test_what_is_missing_and_too_much_is_found_without_a_change(site: Account) -> None:
    before = dict(site.rig.contents())
    found = {one.subject: one for one in site.open().examine()}
    assert found["rights"].condition is Condition.OK
    assert found["breadth"].condition is Condition.WARNING
    site.rig.device.permitted -= {"ModifyManagedPrefixList", "CreateSecurityGroup", "DeleteSecurityGroup"}
    site.rig.device.permitted -= {"AuthorizeSecurityGroupEgress"}
    found = {one.subject: one for one in site.open().examine()}
    assert (found["rights"].condition, found["rights"].message) == (Condition.ERROR, "lacks ModifyManagedPrefixList")
    assert found["breadth"].condition is Condition.OK
    assert dict(site.rig.contents()) == before


def test_without_the_sdk_and_without_a_key_it_says_so(site: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    config = site.rig.config()
    assert factory.problems(config) == {"scope.rulesPerGroup": "a number from 1 to 1000"}
    monkeypatch.setattr(scope_module, "find_spec", lambda _name: None)
    assert factory.problems(config)["kind"] == "aws needs boto3: pip install 'fusion-bridge[aws]'"
    with pytest.raises(Denied, match="access key"):
        factory.open(replace(config, credentials=Nothing())).read(EVERYTHING)


class Nothing:
    """No secrets at all."""

    def value(self, name: str) -> str:
        raise KeyError(name)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("scope.region", {"scope": {"region": "Frankfurt"}}),
        ("scope.headroom", {"scope": {"region": "eu-central-1", "headroom": True}}),
        ("scope.vpc", {"scope": {"region": "eu-central-1", "vpc": "vpc-1"}}),
        ("url", {"url": "ec2.amazonaws.com"}),
        ("attach.mode", {"attach": {"mode": "always"}}),
        ("attach.securityGroups", {"attach": {"mode": "ifEmpty"}}),
        ("attach.securityGroups.0", {"attach": {"securityGroups": [{"id": "sg-0123456789abcdef0"}]}}),
        ("attach.securityGroups.0.id", {"attach": {"securityGroups": [{"id": "web", "destinations": ["10.0.0.1"]}]}}),
        (
            "attach.securityGroups.0.destinations",
            {"attach": {"securityGroups": [{"id": "sg-0123456789abcdef0", "destinations": ["10.0.0.1/8"]}]}},
        ),
    ],
)
def test_settings_are_checked_by_path(path: str, change: dict[str, object]) -> None:
    good = DeviceConfig(
        "edge",
        "aws",
        "https://ec2.eu-central-1.amazonaws.com",
        "fb",
        Nothing(),
        {"region": "eu-central-1"},
        {"mode": "none"},
    )
    assert not factory.problems(good)
    assert set(factory.problems(replace(good, **change))) == {path}  # type: ignore[arg-type]


def test_an_address_that_moves_leaves_its_old_list_first(site: Account) -> None:
    lines = [line("a", CART, protocol=Protocol.TCP, ports=HTTPS), line("b", WEB, protocol=Protocol.UDP)]
    adapter = site.open()
    for number in count(1):
        old, new = (CART, WEB) if number % 2 else (WEB, CART)
        groups = objects(Group(old, frozenset({SOURCES[7]})), Group(new))
        site.bring(adapter, site.terms.shop(lines=lines) | groups)
        both = [
            moment for moment in site.rig.moments() if all(_passes(moment, one) for one in (Protocol.TCP, Protocol.UDP))
        ]
        assert not both
        if number == 4:
            break


def _passes(moment: object, protocol: Protocol) -> bool:
    packet = Packet(SOURCES[7], "198.51.100.1", protocol, 443)
    return moment.verdict(packet) is Verdict.ALLOW  # type: ignore[attr-defined]
