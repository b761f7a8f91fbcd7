"""Which groups become feeds: those that change most, within what the device takes, and not back and forth."""

from collections.abc import Collection

import pytest

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.policy.feeding import LEAST, Churn, chosen, is_time


def key(name: str) -> ObjectKey:
    return ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", name)


def names(
    churn: dict[str, tuple[int, int]],
    pushed: Collection[str] = (),
    feeds: int = 9,
    room: int | None = None,
    refused: Collection[str] = (),
) -> set[str]:
    told = {key(name): Churn(*one) for name, one in churn.items()}
    held, out = (frozenset(map(key, these)) for these in (pushed, refused))
    return {one.name for one in chosen(told, held, feeds, room, out)}


def test_those_that_change_most_up_to_so_many() -> None:
    churn = {"a": (LEAST - 1, 1), "b": (LEAST, 1), "c": (900, 1), "d": (500, 1)}
    assert names(churn) == {"b", "c", "d"}
    assert names(churn, feeds=2) == {"c", "d"}
    assert names(churn, feeds=0) == set()


def test_who_has_a_place_keeps_it_until_another_changes_twice_as_often() -> None:
    assert names({"a": (100, 1), "b": (199, 1)}, ["a"], feeds=1) == {"a"}
    assert names({"a": (100, 1), "b": (201, 1)}, ["a"], feeds=1) == {"b"}
    assert names({"a": (1, 1)}, ["a"]) == {"a"}, "a restart that knows of no changes moves nothing"


def test_no_more_members_than_there_is_room_for_with_some_to_grow() -> None:
    churn = {"a": (300, 500), "b": (200, 400), "c": (100, 100)}
    assert names(churn, room=1000) == {"a", "c"}
    assert names(churn, room=None) == {"a", "b", "c"}


def test_what_the_device_refused_is_left_out() -> None:
    assert names({"a": (300, 1), "b": (200, 1)}, ["a"], refused=["a"]) == {"b"}


@pytest.mark.parametrize(("before", "after", "due"), [(31, 32, True), (32, 63, False), (63, 64, True), (1, 31, False)])
def test_another_choice_is_due_when_changes_have_doubled(before: int, after: int, due: bool) -> None:
    assert is_time(before, after) is due
