"""What the device enforces at every moment on its way from one site to another (SEMANTICS 6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.conformance.bench import FENCE, Bench, examples
from adapters.conformance.site import BANK, CART, DESTINATIONS, PACKETS, SOURCES, WEB, Site, line, objects
from bridge.contract import Adapter
from bridge.model.identity import ObjectKey
from bridge.model.intent import Group
from bridge.policy.evaluate import Verdict


class Between(Bench):
    """Every state between two sites is looked at with every packet."""

    @pytest.mark.parametrize("batch", [None, 6, 2], ids=["at once", "in parts", "in small parts"])
    @examples
    @given(data=st.data())
    def test_nothing_dangles_and_nothing_opens_on_the_way(self, batch: int | None, data: st.DataObject) -> None:
        self.fresh()
        adapter = self.open(batch=batch)
        self.reconcile(adapter, data.draw(self.terms.dense()))
        for site in data.draw(st.lists(self.terms.dense(), min_size=1, max_size=2)):
            self._move(adapter, site)

    def test_a_referring_object_is_made_after_and_goes_before(self) -> None:
        adapter = self.open(batch=2)
        self._move(adapter, self.terms.shop(SOURCES[0], lines=[line("a"), line("b")]))
        adapter.apply(self.planned(adapter, {}), FENCE)
        for moment in self.device.moments():
            assert not list(moment.dangling())

    @pytest.mark.parametrize("empty", [CART, BANK], ids=["source", "destination"])
    def test_an_empty_group_matches_nothing(self, empty: ObjectKey) -> None:
        """Made empty, left empty among others, emptied, and filled again."""
        full = self._each_action()
        bare = full | objects(Group(empty))
        for site in (bare, full, bare):
            self._move(self.adapter, site)
            verdicts = {self.device.moments()[-1].verdict(packet) for packet in PACKETS}
            assert (verdicts == {Verdict.UNMATCHED}) == (site is bare), verdicts

    def test_a_prefix_that_takes_the_place_of_a_part_of_it_leaves_no_gap(self) -> None:
        """In a group so large that an adapter may send what changes alone; and back."""
        many = {f"10.9.0.{2 * number}" for number in range(36)}
        for action in self.terms.actions:
            for first in (SOURCES[0], "10.0.0.0/30", SOURCES[0]):
                site = self.terms.shop(*many, first, lines=[line("first", action=action), line("then", source=WEB)])
                self._move(self.adapter, site)

    def _each_action(self) -> Site:
        entries = [line(action.value, action=action) for action in self.terms.actions]
        site = self.terms.shop(*SOURCES, lines=entries)
        return site | objects(Group(BANK, frozenset(DESTINATIONS)))

    def _move(self, adapter: Adapter, site: Site) -> None:
        first = len(self.device.moments()) - 1
        self.reconcile(adapter, site)
        self.check_moments(self.device.moments()[first:])
