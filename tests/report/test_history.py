"""A page of history as text and as JSON."""

from bridge.model.identity import ObjectKey
from bridge.model.policy import Ref
from bridge.report import history
from bridge.report.times import time_text
from bridge.state.past import DeviceChange, Membership, Standing
from bridge.state.reported import LeaseRecord
from tests.state.builders import at

WEB = ObjectKey.parse("group:east/service/shop/web")
LINE = "out_bank_tcp Allow group:east/service/shop/web to group:east/external/shop/bank TCP"
OTHER = "out-2_bank_tcp Deny group:east/service/shop/api to group:east/external/shop/bank TCP"


def lease(pod: str = "web-1", t2: float | None = None, since: float | None = None) -> LeaseRecord:
    ends = (None if t2 is None else at(t2), None if since is None else at(since), since is not None)
    return LeaseRecord("east", "10.0.0.1", f"uid-{pod}", "shop", pod, "default", "", "n1", at(0), None, *ends)


def change(before: str, after: str, op: str = "update") -> DeviceChange:
    return DeviceChange("edge", 7, at(3), "rules:east/service/shop/", op, "why", before, after, "done", "digest", 9)


def test_an_address_with_its_holders_and_their_groups() -> None:
    one = lease(t2=9, since=5)
    found = history.of_address(
        "10.0.0.1", [one, lease("web-2")], {one: [Membership(WEB, "10.0.0.1", at(0), at(9), True)]}
    )
    assert found.rows == (
        ("east", "shop/web-1", time_text(at(0)), f"some time between {time_text(at(5))} and {time_text(at(9))}", "east/service/shop/web"),
        ("east", "shop/web-2", time_text(at(0)), "still", ""),
    )  # fmt: skip
    assert [row["groups"] for row in found.document] == [
        [{"object": str(WEB), "joined": time_text(at(0)), "left": time_text(at(9))}],
        [],
    ]


def test_a_group_says_how_each_membership_stands_and_for_whom() -> None:
    found = history.of_group(
        "web",
        [
            Membership(WEB, "10.0.0.1", at(0), None, False, (lease("a"), lease("a"), lease("b")), more=True),
            Membership(WEB, "10.0.0.1", at(0), at(9), False),
            Membership(WEB, "10.0.0.1", at(0), at(9), True),
        ],
    )
    assert [(row[1], row[3]) for row in found.rows] == [
        ("joined", "shop/a, shop/b and more"),
        ("left", ""),
        ("left, found gone", ""),
    ]
    assert [row[0] for row in found.rows] == [time_text(at(0)), time_text(at(9)), time_text(at(9))]


def test_of_a_rule_only_its_own_lines_are_shown() -> None:
    made = change("-", "{" + f"{OTHER}, {LINE}" + "}", "create")
    edited = change(f"0123456789abcdef -['{LINE}']", f"0123456789abcdef +['{LINE} log', '{OTHER}']")
    found = history.of_changes("rule", [edited, made], "out")
    assert [row["lines"] for row in found.document] == [[f"-{LINE}", f"+{LINE} log"], [f"+{LINE}"]]
    assert history.source_groups([made], "out") == (str(WEB),)
    assert history.rule_lines("{" + LINE + "}", "ou") == []


def test_of_other_objects_what_went_and_what_came() -> None:
    moved = change("0123456789abcdef -['10.0.0.1']", "0123456789abcdef +[]")
    made = change("-", "{443}", "create")
    order = change("0123456789abcdef -[]", "0123456789abcdef +[] in another order")
    rows = history.of_changes("device", [moved, made, order]).rows
    assert [row[4] for row in rows] == ["-['10.0.0.1']", "+{443}", "+[] in another order"]
    long = history.of_changes("device", [change("-", "{" + "x" * 500 + "}")]).rows[0][4]
    assert len(long) < 200
    assert long.endswith(" …")


def test_how_a_rule_stands() -> None:
    ref = Ref("ServiceEgressRule", "shop", "out")
    fine = Standing("east", ref, True, "Accepted", "", at(0))
    assert history.standing_note(fine) == f"now, in east: {ref} is accepted (since {time_text(at(0))})"
    wrong = Standing("east", ref, False, "Invalid", "spec.to: nothing there", at(0))
    assert "is not accepted, Invalid, spec.to: nothing there (since" in history.standing_note(wrong)
    lacking = Standing("east", ref, False, "OverBroad", "on gw: behind it stands shop/x", at(0))
    assert "is not in force as written, OverBroad, on gw" in history.standing_note(lacking)
