"""Who held an address, from the leases around a time: exact, in between, nobody, unknown; and how it is said."""

from dataclasses import replace
from datetime import datetime

import pytest

from bridge.model.identity import ObjectKey
from bridge.report.attribution import HEARD_WITHIN, Answer, Certainty, Verdict, answer, in_sequence, placed
from bridge.report.times import time_from, time_text, zone_assumed
from bridge.report.who import who_document, who_lines
from bridge.state.past import Around, Membership, Outage, Watched
from bridge.state.reported import LeaseRecord
from tests.state.builders import at

WATCHED = Watched("east", at(0), at(10_000))
SURE, BEGAN, ENDED = Certainty.EXACT, Certainty.MAY_HAVE_BEGUN, Certainty.MAY_HAVE_ENDED


def lease(
    pod: str, t1: float, t2: float | None = None, *, began: float | None = None, since: float | None = None
) -> LeaseRecord:
    """A lease of 10.0.0.1; with `began` or `since` that end was not watched."""
    ends = (None if t2 is None else at(t2), None if since is None else at(since), since is not None)
    began_at = None if began is None else at(began)
    return LeaseRecord(
        "east", "10.0.0.1", f"uid-{pod}", "shop", pod, "default", "ReplicaSet/web", "n1", at(t1), began_at, *ends
    )


def asked(when: float, *leases: LeaseRecord, watched: Watched = WATCHED, outage: Outage | None = None) -> Answer:
    """The answer from all these leases, which are in order."""
    moment = at(when)
    after = tuple(one for one in leases if one.t2 is None or one.t2 > moment)[:4]
    before = [one for one in leases if one.t2 is not None and one.t2 <= moment]
    return answer(watched, Around(after, before[-1] if before else None, outage), moment)


def held(found: Answer) -> list[tuple[str, Certainty]]:
    return [(one.lease.pod, how) for one, how in found.holders]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (9, []),
        (10, [("a", SURE)]),
        (19.9, [("a", SURE)]),
        (20, [("b", SURE)]),
        (30, []),
        (40, [("c", SURE)]),
        (999, [("c", SURE)]),
    ],
)
def test_what_was_watched_is_exact_and_an_end_belongs_to_the_next(
    when: float, expected: list[tuple[str, Certainty]]
) -> None:
    found = asked(when, lease("a", 10, 20), lease("b", 20, 30), lease("c", 40))
    assert held(found) == expected
    assert found.verdict is (Verdict.HELD if expected else Verdict.NOBODY)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (50, [("a", SURE)]),
        (51, [("a", ENDED)]),
        (70, [("a", ENDED)]),
        (71, [("a", ENDED), ("b", BEGAN)]),
        (99, [("a", ENDED), ("b", BEGAN)]),
        (100, [("b", SURE)]),
    ],
)
def test_between_two_times_two_may_have_held_it(when: float, expected: list[tuple[str, Certainty]]) -> None:
    found = asked(when, lease("a", 10, 100, since=50), lease("b", 100, began=70))
    assert held(found) == expected
    assert found.verdict is (Verdict.HELD if len(expected) == 1 and expected[0][1] is SURE else Verdict.POSSIBLY_HELD)


def test_a_pod_that_started_before_another_let_go_began_after_that() -> None:
    assert held(asked(30, lease("a", 10, 40), lease("b", 50, began=20))) == [("a", SURE)]
    second = in_sequence([lease("a", 10, 100, since=50), lease("b", 100, began=20)])[1]
    assert second.began.after == at(50)


def test_an_inferred_end_without_a_bound_lies_after_the_beginning() -> None:
    (one,) = in_sequence([replace(lease("a", 10, 100), t2_inferred=True)])
    assert one.ended is not None
    assert one.ended.after == at(10)


def test_nobody_is_said_with_who_held_it_before_and_after() -> None:
    found = asked(35, lease("a", 10, 20), lease("b", 20, 30, since=25), lease("c", 40, began=37))
    assert found.verdict is Verdict.NOBODY
    assert found.previous is not None
    assert found.next is not None
    assert [found.previous.lease.pod, found.next.lease.pod] == ["b", "c"]
    (line,) = who_lines([found])
    assert f"nobody, since some time between {time_text(at(25))} and {time_text(at(30))} (shop/b)" in line
    assert line.endswith(f"until some time between {time_text(at(37))} and {time_text(at(40))} (shop/c)")


def test_the_next_holder_of_a_reused_address_is_told() -> None:
    found = asked(15, lease("a", 10, 20), lease("b", 20, 30))
    assert found.next is not None
    assert found.next.lease.pod == "b"
    assert any(line.endswith(f"shop/b from {time_text(at(20))}") for line in who_lines([found]))


@pytest.mark.parametrize(
    ("watched", "outage", "reason"),
    [
        (Watched("east", None, None), None, "nothing of this cluster is recorded yet"),
        (Watched("east", at(60), at(10_000)), None, f"before the oldest record kept ({time_text(at(60))})"),
        (WATCHED, Outage(at(40), at(60)), f"not watched from {time_text(at(40))} to {time_text(at(60))}"),
        (Watched("east", at(0), at(49) - HEARD_WITHIN), None, "has not been watched since"),
        (
            Watched("east", at(0), at(49)),
            None,
            f"nobody held it when the cluster was last heard of, {time_text(at(49))}",
        ),
    ],
)
def test_nobody_is_never_claimed_where_nobody_knows(watched: Watched, outage: Outage | None, reason: str) -> None:
    found = asked(50, watched=watched, outage=outage)
    assert found.verdict is Verdict.UNKNOWN
    assert reason in found.reason
    assert list(who_lines([found])) == [f"east: unknown: {found.reason}"]
    assert held(asked(50, lease("a", 10, 100), watched=watched, outage=outage))[0][0] == "a", (
        "what is known stays known"
    )


def test_a_holder_of_a_cluster_that_is_not_watched_any_more_is_as_last_seen() -> None:
    found = asked(5_000, lease("a", 10), watched=Watched("east", at(0), at(100)))
    assert held(found) == [("a", Certainty.LAST_SEEN)]
    assert found.verdict is Verdict.POSSIBLY_HELD
    text = "\n".join(who_lines([found]))
    assert "shop/a, as last seen" in text
    assert f"the cluster has not been watched since {time_text(at(100))}" in text


def test_nobody_is_claimed_up_to_the_time_the_cluster_was_last_heard_of() -> None:
    watched = Watched("east", at(0), at(100))
    assert [asked(when, watched=watched).verdict for when in (100, 100.1)] == [Verdict.NOBODY, Verdict.UNKNOWN]
    assert [asked(when, watched=watched).seen_at for when in (100, 100.1)] == [None, at(100)]
    assert held(asked(100.1, lease("a", 10), watched=watched)) == [("a", SURE)]


@pytest.mark.parametrize(("node", "said"), [("", ""), ("n1", "; address of node n1")])
def test_an_address_outside_the_pod_ranges_is_no_pods(node: str, said: str) -> None:
    for when in (-10, 50):  # before the record too
        found = placed(asked(when), "192.0.2.7", ("10.0.0.0/8", "fd00::/64"), node)
        reason = f"not an address of pods: outside the pod ranges of cluster east{said}"
        assert list(who_lines([found])) == [f"east: {reason}"]
        (told,) = who_document("192.0.2.7", at(when), [found])["answers"]
        assert (told["verdict"], told["reason"]) == ("outside", reason)


def test_where_ranges_say_nothing_the_record_speaks() -> None:
    assert placed(asked(50), "10.0.0.1", ("10.0.0.0/8",), "n1").verdict is Verdict.NOBODY
    assert placed(asked(50), "192.0.2.7", (), "").verdict is Verdict.NOBODY
    for when, verdict in ((15, Verdict.HELD), (25, Verdict.NOBODY)):  # a pod had it all the same
        assert placed(asked(when, lease("a", 10, 20)), "10.0.0.1", ("192.0.2.0/24",), "").verdict is verdict


def test_clusters_with_a_holder_come_first_and_groups_are_named() -> None:
    group = Membership(ObjectKey.parse("group:east/service/shop/web"), "10.0.0.1", at(12), None, inferred=False)
    east = replace(asked(15, lease("a", 10)), groups=(group,))
    lines = list(who_lines([replace(asked(15), cluster="alpha"), east]))
    assert lines[0] == "east: shop/a, exact"
    assert f"  in group         east/service/shop/web since {time_text(at(12))}" in lines
    assert lines[-1].startswith("alpha: nobody")
    document = who_document("10.0.0.1", at(15), [east])
    (told,) = document["answers"]
    assert (told["verdict"], told["exact"], told["groups"][0]["object"]) == ("held", True, str(group.group))
    assert told["holders"][0]["to"] is None


NOW = at(0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T12:00:00Z", at(0)),
        ("2026-03-01T14:00:00+02:00", at(0)),
        ("2026-03-01T12:00", at(0)),
        ("2026-03-01 12:00:00.5", at(0.5)),
        ("2026-03-01", at(-12 * 3600)),
        ("90s", at(-90)),
        ("10m ago", at(-600)),
        ("2h", at(-7200)),
        (" 1w ", at(-604_800)),
    ],
)
def test_times_are_taken_as_people_write_them(text: str, expected: datetime) -> None:
    assert time_from(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "10", "2026-13-01", "99999999w", "10m in the future"])
def test_what_is_no_time_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        time_from(text, NOW)


def test_only_a_time_without_a_zone_is_taken_as_utc() -> None:
    assert [zone_assumed(one) for one in ("2026-03-01T12:00", "2026-03-01T12:00Z", "10m")] == [True, False, False]
