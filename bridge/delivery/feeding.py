"""Which groups of one device are pushed, followed over time by how often each has changed there: its generation counts that."""

from collections.abc import Iterable, Iterator, Mapping

from bridge.delivery.group_view import GroupView
from bridge.model.capabilities import Limits
from bridge.model.identity import ObjectKey
from bridge.policy.feeding import Churn, chosen, is_time
from bridge.state.desired import DesiredRow


class Feeding:
    """Counts changes where some groups may be pushed; elsewhere it costs nothing and chooses none."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._changes: dict[ObjectKey, int] = {}

    def count(self, rows: Iterable[DesiredRow]) -> bool:
        """Note how often these groups have changed; whether one has so often by now that another choice is due."""
        due = False
        for row in rows if self._limits.feeds else ():
            due |= is_time(self._changes.get(row.key, 0), row.generation)
            self._changes[row.key] = row.generation
        return due

    def choose(self, views: Mapping[ObjectKey, GroupView], refused: frozenset[ObjectKey]) -> Iterator[GroupView]:
        """The groups that are to be pushed and are not, and those that are and no longer should be."""
        pushed = {key for key, view in views.items() if view.pushed}
        if not pushed and not self._limits.feeds:
            return
        churn = {key: Churn(self._changes.get(key, 0), len(view)) for key, view in views.items()}
        wanted = chosen(churn, pushed, self._limits.feeds, self._limits.feed_entries, refused)
        for key in sorted(pushed ^ wanted):
            yield views[key]
