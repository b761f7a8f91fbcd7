"""What is applied is what is read, and then there is nothing left to do."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from adapters.conformance.bench import FENCE, Bench, examples, needs
from adapters.conformance.site import CART, SOURCES, WEB, group_key, line
from bridge.model.identity import Kind
from bridge.model.intent import EVERYTHING, Group, Intent, ReadScope
from bridge.model.plan import Op, Plan, Step
from bridge.policy.diff import diff, plan


class Applying(Bench):
    """Reading, applying, and what each says of the other."""

    @examples
    @given(data=st.data())
    def test_what_is_applied_is_read_and_nothing_is_left_to_do(self, data: st.DataObject) -> None:
        self.fresh()
        for site in data.draw(st.lists(self.terms.rich(), min_size=1, max_size=3)):
            outcome = self.reconcile(self.adapter, site)
            assert not outcome.refused
            self.check_holds(self.adapter, site)
        self.reconcile(self.adapter, {})
        self.check_holds(self.adapter, {})

    @examples
    @given(data=st.data())
    def test_normalize_is_pure_and_idempotent(self, data: st.DataObject) -> None:
        site = data.draw(self.terms.rich())
        calls, sent, before = self.device.calls(), self.adapter.calls, dict(site)
        once = self.wanted(self.adapter, site)
        backwards = dict(reversed(site.items()))
        assert self.wanted(self.adapter, once) == once, "normalize is not idempotent"
        assert self.wanted(self.open(), backwards) == once, "normalize depends on more than the intent"
        assert site == before, "normalize changed the intent"
        assert (self.device.calls(), self.adapter.calls) == (calls, sent), "normalize called the device"

    def test_the_outcome_is_what_a_read_finds(self) -> None:
        for site in (self.terms.shop(SOURCES[0]), self.terms.shop(SOURCES[1]), {}):
            have = self.adapter.read(EVERYTHING)
            outcome = self.reconcile(self.adapter, site)
            assert outcome.onto(have) == self.open().read(EVERYTHING).objects

    def test_named_objects_are_read_alone(self) -> None:
        site = self.terms.shop(SOURCES[0])
        rules = next(key for key in site if key.kind is Kind.RULE_LIST)
        self.reconcile(self.adapter, site)
        part = self.adapter.read(ReadScope(frozenset({CART, rules, group_key("nobody")})))
        assert part.objects == {key: self.wanted(self.adapter, site)[key] for key in (CART, rules)}
        assert not part.complete

    def test_a_part_of_an_intent_leaves_the_rest(self) -> None:
        self.reconcile(self.adapter, self.terms.shop(SOURCES[0]))
        have = self.adapter.read(EVERYTHING).objects
        part = Intent("edge", {CART: Group(CART, frozenset({SOURCES[1]}))}, complete=False)
        want = self.adapter.normalize(part)
        assert set(want) == {CART}
        steps = diff(have, replace(part, objects=want))
        self.adapter.apply(plan("edge", steps, have, self.adapter.capabilities, self.adapter.limits), FENCE)
        assert self.adapter.read(EVERYTHING).objects == {**have, **want}

    def test_a_restart_with_nothing_changed_writes_nothing(self) -> None:
        site = self.terms.shop(SOURCES[0])
        self.reconcile(self.adapter, site)
        written = len(self.device.moments())
        again = self.open()
        again.raise_fence(FENCE)
        assert self.reconcile(again, site).observed == {}
        assert len(self.device.moments()) == written

    def test_opening_and_asking_call_nothing(self) -> None:
        calls = self.device.calls()
        adapter = self.open()
        assert adapter.device == "edge"
        assert adapter.capabilities == self.factory.capabilities(self.device.config())
        assert adapter.limits == self.factory.limits(self.device.config())
        assert adapter.apply(Plan("edge"), FENCE).observed == {}
        assert (adapter.calls, self.device.calls()) == (0, calls)
        adapter.close()
        adapter.close()

    def test_calls_are_counted(self) -> None:
        calls, sent = self.device.calls(), self.adapter.calls
        self.reconcile(self.adapter, self.terms.shop(SOURCES[0]))
        assert self.adapter.calls - sent == self.device.calls() - calls > 0

    def test_what_somebody_changed_of_ours_is_seen_and_put_right(self) -> None:
        site = self.terms.shop(SOURCES[0])
        good = self.built(site)
        self.device.tamper(CART)
        assert self.device.contents() != good
        assert self.adapter.read(EVERYTHING).objects != self.wanted(self.adapter, site), "a change was not seen"
        self.reconcile(self.adapter, site)
        assert self.device.contents() == good

    @needs("atomic")
    def test_a_plan_that_fits_becomes_visible_at_once(self) -> None:
        self.reconcile(self.adapter, self.terms.shop(SOURCES[0], lines=[line("a"), line("b", WEB)]))
        written = len(self.device.moments())
        self.reconcile(self.adapter, self.terms.shop(SOURCES[1], lines=[line("b", WEB), line("c")]))
        assert len(self.device.moments()) == written + 1

    def test_the_same_plan_twice_does_no_harm(self) -> None:
        going, coming = (Group(group_key(name), frozenset({SOURCES[2]})) for name in ("going", "coming"))
        site = self.terms.shop(SOURCES[1], more=[coming])
        self.reconcile(self.adapter, self.terms.shop(SOURCES[0], more=[going]))
        made = self.planned(self.adapter, site)
        self.adapter.apply(made, FENCE)
        self.tried(self.adapter, made)
        self.converge(site)

    def test_deleting_what_is_gone_is_done(self) -> None:
        lone = group_key("lone")
        self.reconcile(self.adapter, {lone: Group(lone, frozenset({SOURCES[0]}))})
        have = self.adapter.read(EVERYTHING).objects[lone]
        self.reconcile(self.open(), {})
        outcome = self.adapter.apply(Plan("edge", ((Step(Op.DELETE, lone, have, None),),)), FENCE)
        assert outcome.observed == {lone: None}
