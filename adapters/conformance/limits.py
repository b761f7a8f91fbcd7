"""One less than fits, as much as fits, one more: nothing is ever cut to size, and what does not fit is named."""

import pytest

from adapters.conformance.bench import FENCE, Bench, needs
from adapters.conformance.site import CART, MAIL, SOURCES, Site, group_key, line, objects
from bridge.contract import Adapter
from bridge.errors import Rejected, Unsupported
from bridge.model.intent import Group

_LONGEST = 253  # of a name in Kubernetes


class Limits(Bench):
    """What the adapter says that the device takes, and what the device itself refuses."""

    @pytest.mark.parametrize("limit", ["group_members", "groups", "rules"])
    def test_what_fits_is_taken_and_what_does_not_is_named(self, limit: str) -> None:
        if limit in self.device.limits:
            self.device.narrow(limit)
        adapter = self.open()
        said = (getattr(adapter.limits, limit), self.device.limits.get(limit))
        most = min(one for one in said if one is not None)
        for size in (most - 1, most):
            self.reconcile(adapter, self._of(limit, size))
            self.check_holds(adapter, self._of(limit, size))
        over = self._of(limit, most + 1)
        refused = self._refusal(adapter, over)
        assert refused
        assert refused <= {str(key) for key, value in over.items() if self._of(limit, most).get(key) != value}
        self.check_holds(adapter, self._of(limit, most))
        rest = self._of(limit, most) | objects(Group(MAIL, frozenset({"198.51.100.9"})))
        self.reconcile(adapter, rest)
        self.check_holds(adapter, rest)

    def test_plans_of_about_a_batch_arrive_whole(self) -> None:
        adapter = self.open(batch=4)
        keys = [group_key(f"g{at:03}") for at in range(adapter.limits.batch + 1)]
        for number in (len(keys) - 2, len(keys) - 1, len(keys)):
            for member in SOURCES[:2]:
                site = objects(*(Group(key, frozenset({member})) for key in keys[:number]))
                self.reconcile(adapter, site)
                self.check_holds(adapter, site)
            self.reconcile(adapter, {})
            self.check_holds(adapter, {})

    @needs("limit name_length")
    def test_names_of_about_the_longest_stay_apart(self) -> None:
        longest = min(self.adapter.limits.name_length or _LONGEST, _LONGEST)
        lengths = range(max(2, longest - 48), min(longest + 1, _LONGEST) + 1)
        keys = [group_key("n" * (length - 1) + last) for length in lengths for last in "ab"]
        site = objects(*(Group(key, frozenset({SOURCES[at % 3]})) for at, key in enumerate(keys)))
        self.reconcile(self.adapter, site)
        self.check_holds(self.open(), site)

    def _of(self, limit: str, size: int) -> Site:
        """A site that has so many of what is limited."""
        spare = Group(MAIL, frozenset({"198.51.100.2"}))
        if limit == "rules":
            return self.terms.shop(SOURCES[0], lines=[line(f"r{at:03}") for at in range(size)], more=[spare])
        if limit == "groups":
            return objects(spare, *(Group(group_key(f"g{at:03}")) for at in range(size - 1)))
        return objects(spare, Group(CART, frozenset(f"10.1.{at >> 8}.{at & 255}" for at in range(size))))

    def _refusal(self, adapter: Adapter, site: Site) -> set[str]:
        """The objects that adapter or device name as too much, at whatever time they say so."""
        with self.refused(Unsupported, Rejected) as caught:
            outcome = adapter.apply(self.planned(adapter, site), FENCE)
            if outcome.refused:
                raise Rejected("edge", {str(key): why for key, why in outcome.refused.items()})
        return set(caught.value.objects)  # type: ignore[attr-defined]
