"""Groups as pushed feeds: made, changed by one small call, looked at, pushed again when lost, and moved to objects and back."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.conformance.bench import DEVICE, FENCE, Bench, examples
from adapters.conformance.site import BANK, CART, HTTPS, MAIL, SOURCES, WEB, Site, group_key, line, objects
from adapters.fortigate import factory, feeds
from adapters.fortigate.adapter import FortigateAdapter
from adapters.fortigate.names import Names
from adapters.fortigate.wire import Answer
from bridge.errors import Drifted, FencedOff, NotOwned, Rejected, Unsupported
from bridge.lab.device import Moment, Trouble
from bridge.model.identity import ObjectKey
from bridge.model.intent import EVERYTHING, Group, Intent, Shard
from bridge.model.plan import Fence, Plan, Step
from bridge.model.policy import Action, Protocol
from bridge.policy.evaluate import Packet, Verdict
from bridge.policy.shard import spread
from tests.adapters.fortigate.rig import OWNER, Rig, fortigate_rig
from tests.lab.devices.fortigate import Api

FEEDS = {"most": 8, "entries": 1000}
TABLE, POLICY = "system/external-resource", "firewall/policy"
PAYS = Packet(SOURCES[0], "198.51.100.1", Protocol.TCP, 443)


@contextmanager
def fed_rig() -> Iterator[Rig]:
    with fortigate_rig(feeds=FEEDS) as rig:
        yield rig


def pushed(site: Site, *keys: ObjectKey) -> Site:
    """The site with these groups as feeds, in one piece."""
    found = dict(site)
    for key in keys:
        group = found[key]
        assert isinstance(group, Group)
        parts = [found.pop(part) for part in group.references()]
        members = group.members.union(*(part.members for part in parts if isinstance(part, Shard)))
        found[key] = Group(key, members, pushed=True)
    return found


def feed(key: ObjectKey) -> str:
    return feeds.name(Names(OWNER), key)


class Fed(Bench):
    """A box of which eight groups may be feeds."""

    factory = factory
    rig = staticmethod(fed_rig)
    device: Rig

    def shop(self, *members: str) -> Site:
        """A group that is a feed, in a policy that is attached."""
        return pushed(self.terms.shop(*members), CART)

    def sides(self, name: str) -> set[str]:
        """Where policies name this as a source."""
        policies = self.device.device.objects(POLICY).values()
        return {one["name"] for one in policies if name in [row["name"] for row in one["srcaddr"]]}

    def since(self, first: int) -> Iterable[str]:
        """What was called since, without the fence."""
        calls = (one for one in self.device.device.requests() if one.number > first)
        return [f"{one.method} {one.path.removeprefix('/api/v2/')}" for one in calls if "fb_fence" not in one.path]


class TestFeeds(Fed):
    def test_a_feed_is_made_filled_and_named_by_policies(self) -> None:
        site = self.shop(SOURCES[0], "2001:db8::1", "10.8.0.0/16", "10.9.0.1-10.9.0.9")
        self.reconcile(self.adapter, site)
        self.check_holds(self.adapter, site)
        self.check_holds(self.open(), site)
        box = self.device.device
        assert set(box.entries(feed(CART))) == {SOURCES[0], "2001:db8::1", "10.8.0.0/16", "10.9.0.1-10.9.0.9"}
        assert box.objects(TABLE)[feed(CART)]["update-method"] == "push"
        assert self.device.moments()[-1].verdict(PAYS) is Verdict.ALLOW
        assert len(self.sides(feed(CART))) == 1
        assert not [name for name in box.objects("firewall/address") if "10.8" in name]

    def test_one_member_more_is_one_small_push(self) -> None:
        many = [f"10.1.{number // 250}.{number % 250 + 1}" for number in range(900)]
        self.reconcile(self.adapter, self.shop(*many))
        have = dict(self.adapter.read(EVERYTHING).objects)
        first = self.device.calls()
        self.adapter.apply(self.plan_from(self.adapter, have, self.shop(*many[1:], "10.7.0.1")), FENCE)
        push, look = "POST monitor/system/external-resource/dynamic", "GET monitor/system/external-resource/entry-list"
        assert self.since(first) == [push, look]
        calls = [one for one in self.device.device.requests() if one.number > first]
        assert sum(one.bytes_in + one.bytes_out for one in calls) < 8192
        self.check_holds(self.adapter, self.shop(*many[1:], "10.7.0.1"))

    def test_changes_of_many_feeds_go_in_one_call(self) -> None:
        keys = [group_key(f"app-{number}") for number in range(6)]

        def site(*members: str) -> Site:
            return objects(*(Group(key, frozenset(members), pushed=True) for key in keys))

        self.reconcile(self.adapter, site("10.0.0.1"))
        have = dict(self.adapter.read(EVERYTHING).objects)
        first = self.device.calls()
        self.adapter.apply(self.plan_from(self.adapter, have, site("10.0.0.2")), FENCE)
        assert len([one for one in self.since(first) if one.startswith("POST")]) == 2, "who leaves, then who joins"
        assert self.device.calls() - first <= len(keys) + 2 + 2
        self.check_holds(self.adapter, site("10.0.0.2"))

    def test_an_empty_feed_matches_nothing_and_no_empty_snapshot_is_sent(self) -> None:
        self.reconcile(self.adapter, self.shop())
        assert self.device.moments()[-1].verdict(PAYS) is Verdict.UNMATCHED
        self.reconcile(self.adapter, self.shop(SOURCES[0]))
        self.reconcile(self.adapter, self.shop())
        assert self.device.moments()[-1].verdict(PAYS) is Verdict.UNMATCHED
        self.check_holds(self.open(), self.shop())

    def test_it_goes_with_its_policies(self) -> None:
        before = self.built({})
        self.reconcile(self.adapter, self.shop(SOURCES[0]))
        self.reconcile(self.adapter, {})
        assert self.device.contents() == before

    def test_feeds_given_up_become_objects(self) -> None:
        self.reconcile(self.adapter, self.shop(SOURCES[0]))
        config = self.device.config()
        poorer = self.factory.open(replace(config, scope={**config.scope, "feeds": {"most": 0}}))
        self._opened.append(poorer)
        assert poorer.limits.feeds == 0
        with pytest.raises(Unsupported, match="feeds are not in the settings"):
            self.wanted(poorer, self.shop(SOURCES[0]))
        self.reconcile(poorer, self.terms.shop(SOURCES[0]))
        self.check_holds(poorer, self.terms.shop(SOURCES[0]))
        assert self.device.device.objects(TABLE) == {}

    # ---- what is lost, and what is in the way

    def test_what_a_reboot_lost_is_pushed_again(self) -> None:
        site = self.shop(SOURCES[0], SOURCES[1])
        self.reconcile(self.adapter, site)
        self.device.device.reboot()
        assert self.device.device.entries(feed(CART)) == ()
        self.converge(site)
        assert self.device.moments()[-1].verdict(PAYS) is Verdict.ALLOW

    def test_a_change_that_meets_a_loss_pushes_the_whole(self) -> None:
        """Nobody has read since: the counts tell."""
        self.reconcile(self.adapter, self.shop(SOURCES[0], SOURCES[1]))
        have = dict(self.adapter.read(EVERYTHING).objects)
        self.device.device.reboot()
        self.adapter.apply(self.plan_from(self.adapter, have, self.shop(*SOURCES)), FENCE)
        assert set(self.device.device.entries(feed(CART))) == set(SOURCES)

    def test_a_failover_is_seen_before_anything_is_pushed(self) -> None:
        self.device.device.pair()
        self._theirs = dict(self.device.contents())
        serials = [unit.serial for unit in self.device.device.identity.units]
        config = self.device.config()
        adapter = self.factory.open(replace(config, scope={**config.scope, "units": serials}))
        self._opened.append(adapter)
        site = self.shop(SOURCES[0])
        self.reconcile(adapter, site)
        snapshot = adapter.read(EVERYTHING)
        self.device.device.failover()
        made = self.plan_from(adapter, snapshot.objects, self.shop(SOURCES[1]))
        first = self.device.calls()
        with pytest.raises(Drifted, match="answers instead of"):
            adapter.apply(made, FENCE)
        assert not [one for one in self.since(first) if not one.startswith("GET")]
        assert adapter.read(EVERYTHING).identity == snapshot.identity == "+".join(sorted(serials))
        self.reconcile(adapter, site)
        self.check_holds(adapter, site)

    def test_what_was_pushed_long_ago_is_pushed_again_with_the_next_change(self) -> None:
        adapter = self.adapter
        assert isinstance(adapter, FortigateAdapter)
        keys = (CART, WEB)
        site = pushed(self.terms.shop(SOURCES[0]), *keys)
        self.reconcile(adapter, site)
        have = dict(adapter.read(EVERYTHING).objects)
        assert adapter._feeds is not None
        adapter._feeds._elapsed = lambda: 1e9
        first = self.device.calls()
        adapter.apply(self.plan_from(adapter, have, pushed(self.terms.shop(SOURCES[1]), *keys)), FENCE)
        told = list(self.since(first))
        assert sum("entry-list" in one for one in told) == 2, "the one that changed and the one that is old"
        self.check_holds(adapter, pushed(self.terms.shop(SOURCES[1]), *keys))

    def test_what_there_is_no_room_for_is_refused_and_says_so(self) -> None:
        self.reconcile(self.adapter, self.shop(SOURCES[0]))
        self.device.device.limits.feed_entries = 2
        try:
            outcome = self.reconcile(self.adapter, self.shop(*SOURCES))
            assert "2 of 3 are in force" in outcome.refused[CART]
            assert len(self.adapter.read(EVERYTHING).objects[CART].members) == 2  # type: ignore[union-attr]
        finally:
            self.device.device.limits.feed_entries = 300_000

    def test_what_another_feed_pushes_out_is_refused_and_says_so(self) -> None:
        """The unit cuts those that come last in its table, whoever it was that grew."""
        first, middle, last = (group_key(name) for name in ("app-1", "app-2", "app-3"))

        def site(*members: str) -> Site:
            few = [Group(key, frozenset(SOURCES), pushed=True) for key in (middle, last)]
            return objects(Group(first, frozenset(members), pushed=True), *few)

        for key in (first, middle, last):
            self.reconcile(self.adapter, {one: value for one, value in site("10.1.0.1").items() if one <= key})
        self.device.device.limits.feed_entries = 8
        try:
            outcome = self.reconcile(self.adapter, site("10.1.0.1", "10.1.0.2"))
            assert outcome.refused == {}, "there is room for eight"
            outcome = self.reconcile(self.adapter, site(*(f"10.1.0.{number}" for number in range(1, 6))))
            assert outcome.refused.keys() == {last}
            assert "0 of 3 are in force" in outcome.refused[last]
            outcome = self.reconcile(self.adapter, site(*(f"10.1.0.{number}" for number in range(1, 8))))
            assert outcome.refused.keys() == {middle, last}
            assert "1 of 3 are in force" in outcome.refused[middle]
        finally:
            self.device.device.limits.feed_entries = 300_000

    def test_a_feed_that_goes_while_it_is_read_is_missing_and_made_again(self) -> None:
        site = objects(Group(CART, frozenset(SOURCES[:1]), pushed=True))
        self.reconcile(self.adapter, site)
        adapter, box = self.adapter, self.device.device
        assert isinstance(adapter, FortigateAdapter)
        get = adapter._client.get

        def late(path: str, query: Mapping[str, str] | None = None) -> Answer:
            if path == feeds.ENTRIES and feed(CART) in box.objects(TABLE):
                box.delete_object(f"{TABLE}/{feed(CART)}")
            return get(path, query)

        adapter._client.get = late  # type: ignore[method-assign]
        assert CART not in adapter.read(EVERYTHING).objects
        adapter._client.get = get  # type: ignore[method-assign]
        self.converge(site)
        assert set(box.entries(feed(CART))) == {SOURCES[0]}

    def test_an_older_unit_has_its_groups_as_objects(self) -> None:
        self.device.device.identity.version = "v7.2.0"
        try:
            self.adapter.read(EVERYTHING)
            assert self.adapter.limits.feeds == 0
            with pytest.raises(Unsupported):
                self.wanted(self.adapter, self.shop(SOURCES[0]))
            self.reconcile(self.adapter, self.terms.shop(SOURCES[0]))
        finally:
            self.device.device.identity.version = "v7.4.8"

    def test_whose_feed_it_is_is_never_guessed(self) -> None:
        theirs = {"name": feed(CART), "type": "address", "update-method": "push", "resource": "x"}
        self.device.device.put_object(TABLE, theirs, user="site")
        with self.refused(NotOwned) as caught:
            self.reconcile(self.adapter, self.shop(SOURCES[0]))
        assert feed(CART) in str(caught.value)
        found = self.open().read(EVERYTHING)
        assert CART not in found.objects
        assert f"{TABLE} {feed(CART)}" in {one.name for one in found.foreign if one.look_alike}
        self.adapter.adopt([CART], FENCE)
        self.converge(self.shop(SOURCES[0]))

    def test_a_feed_that_somebody_changed_is_set_right(self) -> None:
        site = self.shop(SOURCES[0])
        self.reconcile(self.adapter, site)
        expected = self.device.contents()
        box = self.device.device
        for body in ({"status": "disable"}, {"type": "domain"}, {"update-method": "feed"}):
            box.change_object(f"{TABLE}/{feed(CART)}", body, user="site") if "type" not in body else None
            self.converge(site)
            assert self.device.contents() == expected

    def test_a_higher_fence_stops_a_push(self) -> None:
        self.reconcile(self.adapter, self.shop(SOURCES[0]))
        have = dict(self.adapter.read(EVERYTHING).objects)
        other = self.open()
        other.raise_fence(Fence(FENCE.epoch + 1, FENCE.installation))
        first = self.device.calls()
        with self.refused(FencedOff):
            self.adapter.apply(self.plan_from(self.adapter, have, self.shop(SOURCES[1])), FENCE)
        assert not [one for one in self.since(first) if not one.startswith("GET")]

    def test_an_entry_that_is_no_address_is_seen(self) -> None:
        site = self.shop(SOURCES[0])
        self.reconcile(self.adapter, site)
        api = Api(self.device.device)
        with api.http:
            api.push("add", feed(CART), "nonsense")
        assert self.adapter.read(EVERYTHING).objects != self.wanted(self.adapter, site)
        self.converge(site)
        assert self.device.device.entries(feed(CART)) == (SOURCES[0],)


class TestMoves(Fed):
    """Between feed and objects, and nothing opens or closes meanwhile."""

    def test_there_and_back(self) -> None:
        plain = self._site()
        fed = pushed(plain, CART, WEB)
        for site in (plain, fed, plain):
            self.reconcile(self.adapter, site)
            self.check_holds(self.adapter, site)
            self.check_holds(self.open(), site)
        first = len(self.device.moments())
        expected = self.device.contents()
        for site in (fed, plain):
            self.reconcile(self.adapter, site)
        self._check_steady(self.device.moments()[first - 1 :])
        assert self.device.contents() == expected
        assert self.device.device.objects(TABLE) == {}

    @pytest.mark.parametrize(("trouble", "back"), [(Trouble.CUT, False), (Trouble.LOST, True)])
    def test_stopped_at_any_call(self, trouble: Trouble, back: bool) -> None:
        plain = self._site()
        ends = (pushed(plain, CART), plain) if back else (plain, pushed(plain, CART))
        expected = self.built(ends[1])
        for call in count():
            self.fresh()
            self.reconcile(self.adapter, ends[0])
            first = len(self.device.moments())
            made = self.planned(self.adapter, ends[1])
            self.device.disturb(trouble, skip=call)
            ended = self.tried(self.adapter, made)
            self.device.calm()
            for _ in range(4):
                adapter = self.open()
                left = self.planned(adapter, ends[1])
                if left.empty:
                    break
                self.tried(adapter, left)
            self.check_holds(self.open(), ends[1])
            assert self.device.contents() == expected, f"stopped at call {call}"
            self._check_steady(self.device.moments()[first - 1 :])
            if ended is None:
                break
        assert call > 3

    def test_policies_of_others_keep_the_form_that_they_name(self) -> None:
        plain = self.terms.shop(SOURCES[0])
        self.reconcile(self.adapter, plain)
        group = "fb_prod_service_shop_cart"
        rule = {"srcintf": [{"name": "any"}], "dstintf": [{"name": "any"}], "schedule": "always", "action": "accept"}
        names = {"srcaddr": [{"name": group}], "dstaddr": [{"name": "all"}], "service": [{"name": "ALL"}]}
        self.device.device.put_object(POLICY, {"name": "theirs", "policyid": 950} | rule | names, user="site")
        outcome = self.reconcile(self.adapter, pushed(plain, CART))
        assert "policies that are not ours name the address group" in outcome.refused[CART]
        self.reconcile(self.adapter, plain)
        self.check_holds(self.adapter, plain)
        assert self.device.device.objects(TABLE) == {}
        self.device.device.delete_object(f"{POLICY}/950", user="site")

    def test_a_feed_that_others_name_keeps_its_members_until_they_let_it_go(self) -> None:
        plain = self.terms.shop(SOURCES[0])
        self.reconcile(self.adapter, pushed(plain, CART))
        rule = {"srcintf": [{"name": "any"}], "dstintf": [{"name": "any"}], "schedule": "always", "action": "accept"}
        names = {"srcaddr": [{"name": feed(CART)}], "dstaddr": [{"name": "all"}], "service": [{"name": "ALL"}]}
        self.device.device.put_object(POLICY, {"name": "theirs", "policyid": 950} | rule | names, user="site")
        later = self.terms.shop(SOURCES[1])
        outcome = self.reconcile(self.adapter, later)
        assert "name the feed" in outcome.refused[CART]
        assert self.device.device.entries(feed(CART)) == (SOURCES[1],)
        self.device.device.delete_object(f"{POLICY}/950", user="site")
        self.converge(later)
        assert self.device.device.objects(TABLE) == {}

    def _site(self) -> Site:
        lines = [line("a", ports=HTTPS, protocol=Protocol.TCP), line("stop", WEB, Action.DENY, MAIL), line("b", WEB)]
        more = [*spread(CART, {*SOURCES, "10.5.0.1", "10.5.0.2"}, 2), Group(MAIL, frozenset({"198.51.100.2"}))]
        site = self.terms.shop(lines=lines)
        return {**site, **objects(*more, Group(BANK, frozenset({"198.51.100.0/24"})))}

    def _check_steady(self, moments: Iterable[Moment]) -> None:
        found = list(moments)
        packets = [Packet(source, "198.51.100.2", Protocol.TCP, 443) for source in SOURCES]
        for packet in packets:
            assert len({moment.verdict(packet) for moment in found}) == 1, packet


class TestRandomly(Fed):
    """Any policy to any other, any of its groups a feed before and after."""

    @settings(examples, max_examples=5)
    @given(data=st.data())
    def test_nothing_opens_on_the_way(self, data: st.DataObject) -> None:
        self.fresh()
        sites = []
        for _ in range(2):
            site = data.draw(self.terms.dense())
            keys = data.draw(st.lists(st.sampled_from([CART, WEB, BANK, MAIL]), unique=True))
            sites.append(pushed(site, *keys))
        self.reconcile(self.adapter, sites[0])
        first = len(self.device.moments())
        self.reconcile(self.adapter, sites[1])
        self.check_holds(self.adapter, sites[1])
        self.check_holds(self.open(), sites[1])
        self.check_moments(self.device.moments()[first - 1 :])


def test_a_step_alone_is_enough() -> None:
    """A plan of one step is no transition: the move is done all the same."""
    with fed_rig() as rig:
        adapter = factory.open(rig.config())
        adapter.raise_fence(FENCE)
        one = Group(CART, frozenset({SOURCES[0]}))
        for before, after in ((None, one), (one, replace(one, pushed=True)), (replace(one, pushed=True), one)):
            (value,) = adapter.normalize(Intent(DEVICE, {CART: after})).values()
            step = Step("update" if before else "create", CART, before, value)  # type: ignore[arg-type]
            outcome = adapter.apply(Plan(DEVICE, ((step,),)), FENCE)
            assert outcome.observed == {CART: value}
        adapter.close()


def test_a_refusal_of_the_table_is_a_refusal_of_the_group() -> None:
    with fed_rig() as rig:
        rig.device.limits.feeds = 0
        adapter = factory.open(rig.config())
        adapter.raise_fence(FENCE)
        step = Step("create", CART, None, Group(CART, pushed=True))  # type: ignore[arg-type]
        with pytest.raises(Rejected, match="maximum number"):
            adapter.apply(Plan(DEVICE, ((step,),)), FENCE)
        adapter.close()
