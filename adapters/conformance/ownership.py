"""Ours and theirs: what does not carry our mark is never changed, and never deleted."""

import pytest

from adapters.conformance.bench import FENCE, Bench
from adapters.conformance.site import CART, SOURCES, WEB, group_key, objects
from bridge.errors import Drifted, FencedOff, NotOwned
from bridge.model.intent import EVERYTHING, FenceState, Group
from bridge.model.plan import Fence, Op, Plan, Step

NEWER = Fence(FENCE.epoch + 1, FENCE.installation)
_ONE, _OTHER = Group(CART, frozenset({SOURCES[0]})), Group(CART, frozenset({SOURCES[1]}))


class Ownership(Bench):
    """Marks, owners and the fence."""

    def test_what_only_looks_like_ours_is_named_and_left(self) -> None:
        self.reconcile(self.adapter, self.terms.shop(SOURCES[0]))
        self.reconcile(self.adapter, {})
        snapshot = self.open().read(EVERYTHING)
        assert snapshot.objects == {}
        assert set(self.lookalikes) <= {one.name for one in snapshot.foreign}

    def test_a_foreign_object_under_our_name_stops_that_object_only(self) -> None:
        self.reconcile(self.adapter, objects(_ONE))
        theirs = self._lose_mark()
        adapter = self.open()
        with self.refused(NotOwned) as several:
            self.reconcile(adapter, self.terms.shop(SOURCES[0]))
        assert set(several.value.objects) == {str(CART)}  # type: ignore[attr-defined]
        with self.refused(NotOwned):
            self.reconcile(adapter, objects(_ONE))
        self.reconcile(adapter, objects(Group(WEB, frozenset({SOURCES[2]}))))
        assert set(adapter.read(EVERYTHING).objects) == {WEB}
        assert theirs.items() <= self.device.contents().items()

    @pytest.mark.parametrize("op", [Op.UPDATE, Op.DELETE])
    def test_an_object_that_lost_its_mark_is_not_changed(self, op: Op) -> None:
        self.reconcile(self.adapter, objects(_ONE))
        theirs = self._lose_mark()
        step = Step(op, CART, _ONE, None if op is Op.DELETE else _OTHER)
        with self.refused(NotOwned):
            self.open().apply(Plan("edge", ((step,),)), FENCE)
        assert theirs.items() <= self.device.contents().items()

    def test_nothing_is_deleted_that_lost_its_mark_since_it_was_read(self) -> None:
        self.reconcile(self.adapter, objects(_ONE, Group(WEB, frozenset({SOURCES[2]}))))
        made = self.planned(self.adapter, {})
        theirs = self._lose_mark()
        with self.refused(NotOwned, Drifted):
            self.adapter.apply(made, FENCE)
        assert theirs.items() <= self.device.contents().items()

    def test_what_a_person_lets_us_adopt_is_ours_as_it_stands(self) -> None:
        web = Group(WEB, frozenset({SOURCES[2]}))
        self.reconcile(self.adapter, objects(_ONE, web))
        self._lose_mark()
        other = self.device.unmark(WEB)
        theirs = self.device.contents()[other]
        adapter = self.open()
        adapter.read(EVERYTHING)
        adapter.adopt({CART, group_key("nobody")}, FENCE)
        assert set(self.open().read(EVERYTHING).objects) == {CART}
        assert self.device.contents()[other] == theirs, "nothing but what was named"
        written = len(self.device.moments())
        adapter.adopt({CART}, FENCE)
        assert len(self.device.moments()) == written, "once is enough"
        self.reconcile(adapter, objects(_OTHER))

    def test_nothing_is_adopted_on_a_device_of_another(self) -> None:
        self.reconcile(self.adapter, objects(_ONE))
        theirs = self._lose_mark()
        self.open().raise_fence(NEWER)
        with self.refused(FencedOff):
            self.open().adopt({CART}, FENCE)
        assert theirs.items() <= self.device.contents().items()

    def test_a_fence_that_a_person_gives_up_is_replaced_and_no_other(self) -> None:
        self.reconcile(self.adapter, objects(_ONE))
        there = FenceState(FENCE.epoch + 9, "another")
        before = FenceState(FENCE.epoch, FENCE.installation)
        self.open().raise_fence(Fence(there.epoch, there.installation, replaces=before))
        wrong = FenceState(there.epoch - 1, there.installation)
        with self.refused(FencedOff):
            self.open().raise_fence(Fence(there.epoch + 1, FENCE.installation, replaces=wrong))
        following = self.open()
        fence = Fence(there.epoch + 1, FENCE.installation, replaces=there)
        following.raise_fence(fence)
        self.reconcile(following, objects(_OTHER), fence)
        assert following.read(EVERYTHING).fence == FenceState(fence.epoch, fence.installation)

    def test_two_owners_on_one_device_do_not_meet(self) -> None:
        mine, yours = self.terms.shop(SOURCES[0]), self.terms.shop(SOURCES[1])
        other, fence = self.open(owner="fb2"), Fence(9, "another")
        other.raise_fence(fence)
        self.reconcile(self.adapter, mine)
        self.reconcile(other, yours, fence)
        self.check_holds(self.adapter, mine)
        self.check_holds(other, yours)
        self.reconcile(self.adapter, {})
        self.check_holds(other, yours)
        self.reconcile(self.adapter, mine)
        self.reconcile(other, {}, fence)
        self.check_holds(self.adapter, mine)

    def test_after_a_higher_epoch_nothing_is_written(self) -> None:
        self.reconcile(self.adapter, objects(_ONE))
        self._check_shut_out(FENCE, after=NEWER)

    def test_another_installation_writes_nothing(self) -> None:
        self.reconcile(self.adapter, objects(_ONE))
        self._check_shut_out(Fence(FENCE.epoch + 9, "another"), after=FENCE)

    def test_the_next_owner_takes_over_and_writes(self) -> None:
        self.reconcile(self.adapter, objects(_ONE))
        following = self.open()
        assert following.read(EVERYTHING).fence == FenceState(FENCE.epoch, FENCE.installation)
        following.raise_fence(NEWER)
        self.reconcile(following, objects(_OTHER), NEWER)
        snapshot = following.read(EVERYTHING)
        assert snapshot.fence == FenceState(NEWER.epoch, NEWER.installation)
        assert snapshot.objects == self.wanted(following, objects(_OTHER))

    def _check_shut_out(self, fence: Fence, after: Fence) -> None:
        made = self.planned(self.adapter, objects(_OTHER))
        self.open().raise_fence(after)
        written, before = len(self.device.moments()), dict(self.device.contents())
        with self.refused(FencedOff):
            self.adapter.apply(made, fence)
        with self.refused(FencedOff):
            self.open().raise_fence(fence)
        assert len(self.device.moments()) == written
        assert self.device.contents() == before

    def _lose_mark(self) -> dict[str, bytes]:
        name = self.device.unmark(CART)
        return {name: self.device.contents()[name]}
