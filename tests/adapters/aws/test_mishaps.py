"""What happens to an account that nobody planned: two devices for one, groups that vanish, lists that stay, changes that are not made."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from adapters.aws import AwsAdapter, factory
from adapters.conformance.site import BANK, CART, WEB, Site, Terms, line, objects
from bridge.contract import NotStated
from bridge.errors import Denied, NotOwned, Rejected
from bridge.lab.devices.aws.answers import Refusal
from bridge.lab.devices.aws.frontend import Frontend
from bridge.lab.devices.aws.prefixlists import PrefixLists
from bridge.lab.devices.aws.rig import AwsRig, aws_rig
from bridge.lab.devices.message import Answer
from bridge.model.examination import Condition
from bridge.model.identity import Kind
from bridge.model.intent import EVERYTHING, Group, Intent
from bridge.model.plan import Fence, Outcome
from bridge.model.policy import Protocol, Tier
from bridge.model.tiers import attachment
from bridge.policy.diff import diff, plan
from bridge.policy.evaluate import Packet, Verdict

FENCE = Fence(3, "installation-a")
SOURCES = [f"10.0.{at >> 8}.{at & 255}" for at in range(1, 300)]
TAG = "fusionbridge.io/device"


@pytest.fixture
def rig() -> Iterator[AwsRig]:
    with aws_rig() as rig:
        yield rig


@pytest.fixture
def adapter(rig: AwsRig) -> AwsAdapter:
    adapter = factory.open(rig.config())
    adapter.raise_fence(FENCE)
    return adapter


def bring(adapter: AwsAdapter, site: Site) -> Outcome:
    have = adapter.read(EVERYTHING).objects
    want = Intent("edge", adapter.normalize(Intent("edge", site)))
    return adapter.apply(plan("edge", diff(have, want), have, adapter.capabilities, adapter.limits), FENCE)


def shop(rig: AwsRig, *sources: str) -> Site:
    return Terms.of(factory.capabilities(rig.config())).shop(*sources, lines=[line("pay", to=BANK)])


def allowed(rig: AwsRig, source: str, destination: str) -> bool:
    return rig.moments()[-1].verdict(Packet(source, destination, Protocol.TCP, 443)) is Verdict.ALLOW


def writes(rig: AwsRig) -> list[str]:
    return [call.path for call in rig.device.requests() if call.path.startswith("/write/")]


# ---- two devices of one account


def test_an_account_is_kept_by_one_device_however_it_is_spelled(rig: AwsRig, adapter: AwsAdapter) -> None:
    bring(adapter, shop(rig, SOURCES[0]))
    before = len(rig.device.writes())
    config = rig.config()
    other = factory.open(replace(config, name="again", url=config.url.replace("127.0.0.1", "localhost")))
    for act in (lambda: other.read(EVERYTHING), lambda: other.raise_fence(Fence(9, FENCE.installation)), other.examine):
        with pytest.raises(Denied, match="kept by the device edge already"):
            act()
    assert len(rig.device.writes()) == before
    neighbour = factory.open(replace(config, name="again", owner="fc"))
    neighbour.raise_fence(FENCE)
    assert neighbour.read(EVERYTHING).fence.epoch == FENCE.epoch


def test_a_register_that_has_lost_its_device_is_marked_at_the_take_over(rig: AwsRig, adapter: AwsAdapter) -> None:
    register = next(one for one in rig.device.state().prefix_lists() if one.name == "fb/register")
    rig.device.call("DeleteTags", {"ResourceId.1": register.id, "Tag.1.Key": TAG})
    again = factory.open(replace(rig.config(), name="again"))
    again.raise_fence(Fence(4, FENCE.installation))
    assert dict(rig.device.state()[register.id].tags)[TAG] == "again"
    with pytest.raises(Denied, match="kept by the device again"):
        adapter.read(EVERYTHING)


# ---- a security group that is not there


def test_a_security_group_that_is_gone_is_told_and_the_others_are_written(rig: AwsRig, adapter: AwsAdapter) -> None:
    site = shop(rig, SOURCES[0])
    config = rig.config()
    places = config.attach["securityGroups"]
    lost = {"id": "sg-0123456789abcdef0", "destinations": ["198.51.100.9/32"]}
    adapter = factory.open(replace(config, attach={**config.attach, "securityGroups": [*places, lost]}))
    wide = site | objects(Group(BANK, frozenset({"198.51.100.1", "198.51.100.9"})))
    key = attachment(Tier.SERVICE).key
    for _ in range(2):
        outcome = bring(adapter, wide)
        assert outcome.refused.keys() == {key}
        assert "no security group sg-0123456789abcdef0: make it again, or take it out" in outcome.refused[key]
        assert allowed(rig, SOURCES[0], "198.51.100.1")
    told = adapter.read(EVERYTHING)
    assert not told.attached[Tier.SERVICE]
    assert "sg-0123456789abcdef0" in told.attach_by[Tier.SERVICE]
    found = next(one for one in adapter.examine() if one.subject == "attach")
    assert found.condition is Condition.ERROR


def test_a_security_group_that_is_back_gets_its_entries_by_itself(rig: AwsRig) -> None:
    site, config = shop(rig, SOURCES[0]), rig.config()
    front, *others = config.attach["securityGroups"]
    device = rig.device
    late = device.create_group("late", "198.51.100.9/32")
    places = [front, *others, {"id": late, "destinations": ["198.51.100.9/32"]}]
    adapter = factory.open(replace(config, attach={**config.attach, "securityGroups": places}))
    adapter.raise_fence(FENCE)
    wide = site | objects(Group(BANK, frozenset({"198.51.100.1", "198.51.100.9"})))
    vpc = next(one.vpc for one in device.state().groups() if one.id == late)
    with device.changed:
        kept = device.backend.moto.groups[vpc].pop(late)
        gone = [
            device.store.state.pop(one.id)
            for one in list(device.store.state.values())
            if late in (one.id, getattr(one, "group", ""))
        ]
    assert bring(adapter, wide).refused.keys() == {attachment(Tier.SERVICE).key}
    assert not allowed(rig, SOURCES[0], "198.51.100.9")
    with device.changed:
        device.backend.moto.groups[vpc][late] = kept
        device.store.state.update({one.id: one for one in gone})
    assert not bring(adapter, wide).refused
    assert adapter.read(EVERYTHING).attached[Tier.SERVICE]
    assert allowed(rig, SOURCES[0], "198.51.100.9")


# ---- lists


def test_what_does_not_go_is_not_tried_with_every_plan(
    rig: AwsRig, adapter: AwsAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(adapter, objects(Group(CART, frozenset(SOURCES[:2]))))
    device = rig.device
    name = next(one.id for one in device.state().prefix_lists() if one.name.endswith("/cart/ipv4"))
    second = device.create_list("fb/prod/service/shop/cart/ipv4", "192.0.2.1/32", tags=dict(device.state()[name].tags))
    other = device.create_group("other")
    for one in (name, second):
        form = {
            "GroupId": other,
            "IpPermissions.1.IpProtocol": "-1",
            "IpPermissions.1.PrefixListIds.1.PrefixListId": one,
        }
        device.call("AuthorizeSecurityGroupIngress", form)
    for at in range(2, 5):
        bring(adapter, objects(Group(CART, frozenset(SOURCES[:at]))))
    assert writes(rig).count("/write/DeleteManagedPrefixList") == 1
    monkeypatch.setattr("adapters.aws.reading._AGAIN", 0.0)
    bring(adapter, objects(Group(CART, frozenset(SOURCES[:9]))))
    assert writes(rig).count("/write/DeleteManagedPrefixList") == 2


def test_nothing_is_adopted_beside_a_list_of_ours(rig: AwsRig, adapter: AwsAdapter) -> None:
    bring(adapter, objects(Group(CART, frozenset(SOURCES[:2]))))
    rig.device.create_list("fb/prod/service/shop/cart/ipv4", "192.0.2.1/32")
    theirs = rig.device.create_list("fb/prod/service/shop/web/ipv4", "192.0.2.2/32")
    before = dict(rig.contents())
    adapter.adopt([CART], FENCE)
    assert dict(rig.contents()) == before
    adapter.adopt([CART, WEB], FENCE)
    assert dict(rig.device.state()[theirs].tags)["fusionbridge.io/owner"] == "fb"
    with pytest.raises(NotOwned) as refused:
        bring(adapter, objects(Group(CART, frozenset(SOURCES[:3])), Group(WEB, frozenset(SOURCES[:1]))))
    assert "beside it has both: rename" in refused.value.objects[str(CART)]


def begin(change: Callable[[Callable[[], None]], Callable[[], None]]) -> Callable[..., Any]:
    real = PrefixLists._begin

    def begun(desk: PrefixLists, found: Any, what: str, end: Callable[[], None]) -> Any:  # noqa: ANN401 - moto's own
        return real(desk, found, what, change(end) if what == "modify" else end)

    return begun


def test_a_change_that_is_taken_and_not_made_is_no_success(
    rig: AwsRig, adapter: AwsAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.aws.reading._LATE", 0.0)
    bring(adapter, objects(Group(CART, frozenset(SOURCES[:4]))))
    found = next(one for one in rig.device.state().prefix_lists() if one.name.endswith("/cart/ipv4"))
    done = partial(setattr, rig.device.backend.prefix_list(found.id), "state", "modify-complete")
    for number in (3, 9):
        before = len(writes(rig))
        with monkeypatch.context() as patched:
            patched.setattr(PrefixLists, "_begin", begin(lambda _end: done))
            with pytest.raises(Rejected, match="did not make it"):
                bring(adapter, objects(Group(CART, frozenset(SOURCES[:number]))))
        assert len(writes(rig)) == before + 1
        assert rig.device.members(found.id) == {f"{one}/32" for one in SOURCES[:4]}
    bring(adapter, objects(Group(CART, frozenset(SOURCES[:3]))))
    assert rig.device.members(found.id) == {f"{one}/32" for one in SOURCES[:3]}


def test_a_change_that_ec2_shows_a_moment_later_is_waited_for(
    rig: AwsRig, adapter: AwsAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(adapter, objects(Group(CART, frozenset(SOURCES[:9]))))
    route, shown = Frontend._route, list[Answer]()

    def stale(self: Frontend, request: Any) -> Answer:  # noqa: ANN401 - the frontend's own
        """The answer to the first look after the change is the one from before it."""
        answer = route(self, request)
        if b"DescribeManagedPrefixLists" in request.body and b"PrefixListId.1" in request.body:
            shown.append(answer)
            return shown[0] if len(shown) == 2 else answer
        return answer

    monkeypatch.setattr(Frontend, "_route", stale)
    have = adapter.read(EVERYTHING).objects
    part = Intent(
        "edge", adapter.normalize(Intent("edge", objects(Group(CART, frozenset(SOURCES[1:10]))))), complete=False
    )
    made = plan("edge", diff(have, part), have, adapter.capabilities, adapter.limits)
    assert adapter.apply(made, FENCE).observed[CART] == part.objects[CART]
    assert len(shown) == 3


# ---- the register


def test_rules_that_do_not_fit_the_register_are_named_before_the_first_call(rig: AwsRig) -> None:
    adapter = factory.open(replace(rig.config(), scope={**rig.config().scope, "entries": 30}))
    adapter.raise_fence(FENCE)
    terms = Terms.of(factory.capabilities(rig.config()))
    site = terms.shop(SOURCES[0], lines=[line(f"rule-{at}", to=BANK) for at in range(90)])
    before = dict(rig.contents())
    with pytest.raises(Rejected) as refused:
        bring(adapter, site)
    (named,) = refused.value.objects
    assert named.startswith(f"{Kind.RULE_LIST}:")
    assert "of 30 entries of up to 240 letters" in refused.value.objects[named]
    assert dict(rig.contents()) == before
    larger = factory.open(replace(rig.config(), scope={**rig.config().scope, "entries": 300}))
    bring(larger, site)
    register = next(one for one in rig.device.state().prefix_lists() if one.name == "fb/register")
    assert register.max_entries == 300
    assert allowed(rig, SOURCES[0], "198.51.100.1")


# ---- who we are


class Nobody:
    """Settings that state no secret."""

    def value(self, name: str) -> str:
        raise NotStated(name)


def test_without_credentials_the_sdk_finds_its_own_and_no_message_holds_them(
    rig: AwsRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", rig.device.username)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", rig.device.password)
    adapter = factory.open(replace(rig.config(), credentials=Nobody()))
    adapter.raise_fence(FENCE)
    bring(adapter, shop(rig, SOURCES[0]))
    assert allowed(rig, SOURCES[0], "198.51.100.1")

    def tells(_frontend: Frontend, _request: object) -> Answer:
        raise Refusal("AuthFailure", f"{rig.device.username} is not {rig.device.password}", 401)

    monkeypatch.setattr(Frontend, "_route", tells)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Denied) as denied:
        adapter.read(EVERYTHING)
    assert str(denied.value).count("…") == 2
    assert rig.device.password not in str(denied.value)
    assert rig.device.username not in str(denied.value)


# ---- a look before anything is written


def test_nothing_is_tried_where_a_try_would_be_done(
    rig: AwsRig, adapter: AwsAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform = Frontend.perform

    def overlooks(self: Frontend, form: dict[str, str], author: Any) -> Answer:  # noqa: ANN401 - the frontend's own
        return perform(self, {key: value for key, value in form.items() if key != "DryRun"}, author)

    monkeypatch.setattr(Frontend, "perform", overlooks)
    before, written = dict(rig.contents()), len(writes(rig))
    found = {one.subject: one for one in adapter.examine()}
    assert (found["rights"].condition, "breadth" in found) == (Condition.WARNING, False)
    assert "does not know DryRun" in found["rights"].message
    assert (dict(rig.contents()), len(writes(rig))) == (before, written)
