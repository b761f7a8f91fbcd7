"""Names in intake: which are to be resolved, and what becomes of what they stand for."""

from dataclasses import replace

from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Group
from bridge.model.observed import Change
from bridge.model.policy import Ref
from bridge.model.resolution import Resolution
from bridge.state.batch import Batch
from tests.intake.fold import CLUSTER, EDGE, Bench, substance
from tests.intake.objects import external, namespace, policy, service, service_rule

API, DB = "api.example.com", "db.example.com"
NAMED = Ref("ExternalService", "shop", "named")
NAMED_KEY = ObjectKey(Kind.GROUP, CLUSTER, Scope.EXTERNAL, "shop", "named")
TAKES_NAMES = replace(EDGE, name="able", capabilities=Capabilities(Form.TIERED, fqdn=True))


def _shop(*targets: object, fqdns: tuple[str, ...] = (API,), **rule: object) -> Bench:
    bench = Bench(*(targets or (EDGE,)))  # type: ignore[arg-type]
    named = policy("ExternalService", "named", fqdns=list(fqdns), ports=[{"protocol": "TCP", "port": 443}])
    bench.see(namespace(), service("pay", app="pay"), named, external(), service_rule("out", **{"to": "named", **rule}))  # type: ignore[arg-type]
    return bench


def _tell(bench: Bench, *said: Resolution) -> Batch:
    for one in said:
        bench.index.take_name(one)
    return bench.commit()


def _wanted(bench: Bench) -> set[str]:
    return set(bench.index.names.wanted or {})


def _members(bench: Bench) -> set[str]:
    body = bench.record.bodies.get(("edge", NAMED_KEY))
    return set(body.members) if isinstance(body, Group) else set()


def test_only_names_that_a_rule_needs_on_a_device_that_takes_none() -> None:
    assert Bench(EDGE).index.names.wanted is None, "nothing is known before the first picture"
    assert _wanted(_shop()) == {API}
    assert _wanted(_shop(TAKES_NAMES)) == set()
    assert _wanted(_shop(TAKES_NAMES, EDGE)) == {API}
    assert _wanted(_shop(TAKES_NAMES, EDGE, devices=["able"])) == set()
    assert _wanted(_shop(fqdns=("*.example.com", API))) == set(), "the rule cannot be there anyhow"
    assert _wanted(_shop(to="bank")) == set(), "no rule goes by it"
    assert _wanted(_shop(notAfter="2000-01-01T00:00:00Z")) == set(), "its time is over"
    assert _wanted(_shop(notBefore="2999-01-01T00:00:00Z")) == {API}, "so that it is in force when its hour comes"


def test_an_address_of_a_name_is_allowed_and_the_cause_says_why() -> None:
    bench = _shop()
    assert not _members(bench)
    assert bench.record.placements[Ref("ServiceEgressRule", "shop", "out"), "edge"].reason == "Pending"
    batch = _tell(bench, Resolution(API, ("203.0.113.9",)))
    assert _members(bench) == {"203.0.113.9"}
    assert {one.cause for one in batch.desired if one.key == NAMED_KEY} == {f"name {API} now 203.0.113.9"}
    assert batch.names == [Resolution(API, ("203.0.113.9",))]
    batch = _tell(bench, Resolution(API, ("203.0.113.9", "2001:db8::9", "203.0.113.10", "203.0.113.11")))
    assert [one.key for one in batch.desired] == [NAMED_KEY], "nothing else is touched"
    assert {one.cause for one in batch.desired} == {f"name {API} now 203.0.113.9, 2001:db8::9, 203.0.113.10 and 1 more"}
    _tell(bench, Resolution(API, ()))
    assert not _members(bench)


def test_what_is_not_new_is_not_recorded() -> None:
    bench = _shop()
    one = Resolution(API, ("203.0.113.9",))
    _tell(bench, one)
    assert _tell(bench, one).empty
    assert _tell(bench, Resolution("unknown.example.com", ("203.0.113.1",))).empty, "nobody asked for it"


def test_warnings_are_told_without_a_compilation() -> None:
    bench = _shop()
    _tell(bench, Resolution(API, ("203.0.113.9",)))
    batch = _tell(bench, Resolution(API, ("203.0.113.9",), (("127.0.0.1", "loopback"),), problem="SERVFAIL"))
    assert not batch.desired
    assert not batch.placements
    (verdict,) = batch.verdicts
    assert (verdict.ref, verdict.ok) == (NAMED, True)
    assert verdict.message == (
        f"{API}: the answer 127.0.0.1 is left out: loopback; {API} cannot be resolved, the last answer stays: SERVFAIL"
    )
    batch = _tell(bench, Resolution(API, ("203.0.113.9",)))
    assert [one.message for one in batch.verdicts] == [""]


def test_a_compilation_for_another_reason_keeps_the_warnings() -> None:
    bench = _shop()
    _tell(bench, Resolution(API, ("203.0.113.9",), problem="SERVFAIL"))
    bench.see(external("bank", "192.0.2.77", generation=2))
    assert "SERVFAIL" in bench.record.verdicts[NAMED].message


def test_a_restart_changes_nothing_and_forgets_nothing() -> None:
    bench = _shop()
    known = Resolution(API, ("203.0.113.9",), (("127.0.0.1", "loopback"),), problem="SERVFAIL")
    _tell(bench, known)
    bench.restart()
    assert bench.index.names.recorded == {API: known}
    assert not substance(bench.commit())
    assert _wanted(bench) == {API}
    assert _tell(bench, known).empty
    assert _members(bench) == {"203.0.113.9"}


def test_a_name_that_nobody_needs_any_more_is_forgotten() -> None:
    bench = _shop()
    _tell(bench, Resolution(API, ("203.0.113.9",)))
    before = dict(bench.index.names.wanted or {})
    rule = service_rule("out", to="named")
    assert bench.see(rule, change=Change.DELETED).names_gone == [API]
    assert _wanted(bench) == set()
    assert _tell(bench, Resolution(API, ("203.0.113.66",))).empty, "who is late is not listened to"
    bench.see(rule)
    assert bench.index.names.wanted != before, "it is wanted anew"
    assert not _members(bench), "and nothing is known of it"


def test_whoever_resolves_is_woken_when_the_names_change() -> None:
    bench = Bench(EDGE)
    woken: list[int] = []
    bench.index.names.listen(lambda: woken.append(1))
    named = policy("ExternalService", "named", fqdns=[API], ports="Any")
    bench.see(namespace(), service("pay", app="pay"), named, service_rule("out", to="named"))
    assert len(woken) == 1
    bench.see(external())
    assert len(woken) == 1
    both = policy("ExternalService", "named", generation=2, fqdns=[API, DB], ports="Any")
    numbers = dict(bench.index.names.wanted or {})
    bench.see(both)
    assert len(woken) == 2
    assert (bench.index.names.wanted or {})[API] == numbers[API], "what is wanted still is not asked about anew"


def test_a_deny_by_a_name_that_nobody_resolved_holds_back_what_is_below() -> None:
    bench = Bench(EDGE)
    named = policy("ExternalService", "named", fqdns=[API], ports="Any")
    deny = policy("NamespaceEgressRule", "no", action="Deny", to=[{"name": "named"}])
    bench.see(namespace(), service("pay", app="pay"), named, external(), deny, service_rule())
    allow = Ref("ServiceEgressRule", "shop", "pay-out")
    assert bench.record.placements[Ref("NamespaceEgressRule", "shop", "no"), "edge"].reason == "Pending"
    assert bench.record.placements[allow, "edge"].reason == "Withheld"
    _tell(bench, Resolution(API, answered=False, problem="SERVFAIL"))
    assert bench.record.placements[allow, "edge"].reason == "Withheld"
    _tell(bench, Resolution(API, ("203.0.113.9",)))
    assert bench.record.placements[allow, "edge"].reason == ""
    assert _members(bench) == {"203.0.113.9"}
