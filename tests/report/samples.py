"""Reports for tests: something of everything, in small and in large."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import DeviceObject, Foreign, Group, Policy, Ports, RuleEntry, RuleList, Snapshot
from bridge.model.plan import Held, Op, Plan, Step
from bridge.model.policy import Action, PortRange, Protocol, Tier
from bridge.report.about import about
from bridge.report.build import device_report, recorded
from bridge.report.changes import Bucket, Change, Changes, Picture, Since, Touched
from bridge.report.evidence import Evidence
from bridge.report.model import DeviceReport, Report, report_of
from bridge.state.desired import DeviceHealth, ObjectState
from bridge.state.reported import DeviceStanding, HeldPlan, Holder, ObjectStanding

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAY = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "pay")
BANK = ObjectKey(Kind.GROUP, "east", Scope.EXTERNAL, "shop", "bank")
HTTPS = ObjectKey(Kind.PORTS, "east", Scope.EXTERNAL, "shop", "bank.tcp")
OUTSIDE = ObjectKey(Kind.GROUP, "east", Scope.BUILTIN, "", "outside")
RANGES = ObjectKey(Kind.GROUP, "east", Scope.BUILTIN, "", "pod-ranges")
RULES = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
DEFAULT = ObjectKey(Kind.RULE_LIST, "east", Scope.DEFAULT)
POLICY = ObjectKey(Kind.POLICY, "", Scope.SERVICE)


def entry(name: str, action: Action = Action.ALLOW) -> RuleEntry:
    """A line from pay to the bank."""
    return RuleEntry(name, action, (PAY,), (BANK,))


def group(*members: str) -> Group:
    """Pay with these members."""
    return Group(PAY, frozenset(members))


def standing(key: ObjectKey, state: ObjectState, message: str = "") -> ObjectStanding:
    """How the state has an object."""
    return ObjectStanding(
        "edge",
        "east",
        key,
        None,
        False,
        1,
        "d",
        1,
        "d",
        state,
        message,
        0,
        "Pod shop/pay-7 at 8123",
        START,
        None,
        START,
    )


def change(number: int, op: str = "update", **more: object) -> Change:
    """A row of the audit."""
    fields: dict[str, object] = {
        "number": number,
        "at": START - timedelta(minutes=5),
        "op": op,
        "cause": "Pod shop/pay-7 at 8123",
        "before": "a1b2 -[]",
        "after": "c3d4 +['10.64.0.3']",
        "outcome": "done",
        "plan": "feed",
        "lag": 0.04,
    }
    return Change(*about(PAY), **(fields | more))  # type: ignore[arg-type]


def evidence(holders: Iterable[str] = ("10.64.0.1", "10.64.0.2", "10.64.0.9"), *, calm: bool = False) -> Evidence:
    """What the state says; `calm` without drift and held plans."""
    held = Held(PAY, frozenset({"10.64.0.9", "10.64.0.8"}), "growth by 2 from 1 members")
    drift = change(
        39,
        "drift",
        cause="changed on the device, not by this bridge",
        before="{10.64.0.1}",
        after="{10.64.0.1, 198.51.100.66}",
        outcome="repaired",
        lag=None,
    )
    buckets = tuple(
        Bucket(
            START - timedelta(minutes=30 * (47 - at)), 3 + at * 7 % 11, int(at == 30), 0.03, 0.04 + (at % 9) ** 3 / 90
        )
        for at in range(47)
        if at % 5
    )
    return Evidence(
        at=START,
        standing=DeviceStanding(
            "edge",
            "bigip",
            DeviceHealth("ok", identity="serial-1"),
            START - timedelta(seconds=90),
            START - timedelta(seconds=90),
            audit_number=41,
            audit_head="9f" * 32,
        ),
        held=()
        if calm
        else (HeldPlan("edge", "feed", (held,), START, "held"), HeldPlan("edge", "old", (held,), START, "x")),
        holders={"east": {one: Holder("shop", f"pay-{one.rpartition('.')[2]}", "ReplicaSet/pay") for one in holders}},
        since=Since(11, START - timedelta(hours=6)),
        drift_total=0 if calm else 1,
        drift=() if calm else (drift,),
        changes=Changes(
            40,
            1,
            {"create": 4, "update": 36},
            0.031,
            1.4,
            (Touched(*about(PAY), 31, START, "a pod"),),
            (
                change(40, outcome=f"refused: /Common/fbtest/{'a_name_without_an_end_' * 6} stands there"),
                change(38, cause="x" * 120),
            ),
        ),
        picture=Picture(START - timedelta(hours=24), START, 1800.0, buckets),
    )


def full(name: str = "edge") -> DeviceReport:
    """A device with something of everything."""
    objects: dict[ObjectKey, DeviceObject] = {
        PAY: group("10.64.0.1"),
        BANK: Group(BANK, frozenset({"203.0.113.0/28"})),
        OUTSIDE: Group(OUTSIDE, frozenset({"0.0.0.0/1", "128.0.0.0/1"})),
        RANGES: Group(RANGES, frozenset({"10.64.0.0/14"})),
        HTTPS: Ports(HTTPS, (PortRange(443, 443), PortRange(8000, 8080))),
        RULES: RuleList(
            RULES, (RuleEntry("pay_bank_tcp", Action.ALLOW, (PAY,), (BANK,), Protocol.TCP, HTTPS, log=True), entry("b"))
        ),
        DEFAULT: RuleList(DEFAULT, (RuleEntry("default-deny", Action.DENY, (RANGES,), (OUTSIDE,), log=True),)),
        POLICY: Policy(POLICY, (RULES, DEFAULT)),
    }
    snapshot = Snapshot(
        name,
        objects,
        foreign=(Foreign("/Common/theirs"), Foreign("/Common/fb_acme_x", "our name without our mark")),
        identity="serial-1",
        attached={Tier.SERVICE: False, Tier.CLUSTER: True},
        attach_by={Tier.SERVICE: "modify security firewall policy /Common/site rules add { ours }"},
    )
    held = Held(PAY, frozenset({"10.64.0.9", "10.64.0.8"}), "growth by 2 from 1 members")
    plan = Plan(name, ((Step(Op.UPDATE, PAY, group("10.64.0.1"), group("10.64.0.2")),),), (held,))
    rows = [
        standing(PAY, ObjectState.HELD),
        standing(RULES, ObjectState.PROGRAMMED),
        standing(
            ObjectKey(Kind.GROUP, "east", Scope.EXTERNAL, "shop", "refused"), ObjectState.QUARANTINED, "01070712: no"
        ),
    ]
    return device_report("bigip", snapshot, plan, rows, evidence())


def calm(name: str = "calm") -> DeviceReport:
    """A device that is in step."""
    snapshot = Snapshot(
        name, {PAY: group("10.64.0.1", "10.64.0.2")}, attached={Tier.SERVICE: True}, identity="serial-2"
    )
    return device_report("bigip", snapshot, Plan(name), [standing(PAY, ObjectState.PROGRAMMED)], evidence(calm=True))


def silent(name: str = "away") -> DeviceReport:
    """A device that does not answer."""
    return recorded(name, "bigip", Evidence(), "no answer within 30 s")


def report(*devices: DeviceReport) -> Report:
    """These devices."""
    return report_of(START, devices, version="0.1")


def large(groups: int = 300, members: int = 500) -> Report:
    """As much as a large fleet has."""
    objects: dict[ObjectKey, DeviceObject] = {}
    rows, holders = [], {}
    for at in range(groups):
        key = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, f"team-{at // 10}", f"service-{at}")
        found = [
            f"10.{64 + at // 200}.{at % 200}.{low}" if low < 256 else f"10.{72 + at // 200}.{at % 200}.{low - 256}"
            for low in range(members)
        ]
        objects[key] = Group(key, frozenset(found))
        holders.update(
            {
                one: Holder(key.namespace, f"{key.name}-7d9f8-{low:05d}", f"ReplicaSet/{key.name}-7d9f8")
                for low, one in enumerate(found)
            }
        )
        rows.append(standing(key, ObjectState.PROGRAMMED))
    told = evidence(calm=True)
    snapshot = Snapshot("edge", objects, attached={Tier.SERVICE: True})
    found_all = Evidence(told.standing, (), {"east": holders}, None, told.since, 0, (), told.changes, told.picture)
    return report(device_report("bigip", snapshot, Plan("edge"), rows, found_all))
