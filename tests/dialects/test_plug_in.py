"""A dialect that somebody else brings: found by its entry point, read by intake, compiled as any other."""

from importlib.metadata import EntryPoint, EntryPoints, entry_points

import pytest

from bridge.dialects import dialect
from bridge.errors import PolicyError, SettingsError
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleList
from bridge.model.kinds import CORE, Resource, register
from bridge.model.kinds import Kind as KindOfObject
from bridge.model.observed import PolicyObject
from bridge.model.policy import Action, Ref
from tests.dialects.tiny import PLACE, WALL
from tests.intake.fold import CLUSTER, Bench
from tests.intake.objects import external, namespace, pod, service, service_rule

REAL = entry_points


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package with that dialect were installed, and one that is broken."""

    def found(*, group: str, name: str = "") -> EntryPoints:
        more = [
            EntryPoint("tiny", "tests.dialects.tiny:DIALECT", group),
            EntryPoint("broken", "tests.dialects.nowhere:DIALECT", group),
            EntryPoint("odd", "tests.dialects.tiny:WALL", group),
        ]
        chosen = EntryPoints([*REAL(group=group), *more])
        return chosen.select(name=name) if name else chosen

    monkeypatch.setattr(dialect, "entry_points", found)


def wall(name: str, before: str, uid: str = "") -> PolicyObject:
    return PolicyObject(WALL.resource, uid or f"wall-{name}", "shop", name, "1", 1, {}, {"before": before})


def place(name: str, address: object) -> PolicyObject:
    return PolicyObject(PLACE.resource, f"place-{name}", "shop", name, "1", 1, {}, {"address": address})


@pytest.mark.usefixtures("tiny")
def test_a_third_dialect_works_beside_ours() -> None:
    bench = Bench(dialects=dialect.load(("native", "tiny")))
    bench.see(namespace(), service("pay", app="pay"), pod("pay-1", "10.0.0.1"), external("bank"), service_rule())
    bench.see(wall("east", "bank"), place("bank", "192.0.2.9"), wall("west", "nowhere"), place("odd", 7))
    verdicts = bench.record.verdicts
    assert verdicts[Ref("Wall.tiny.example", "shop", "east")].ok
    assert "Place.tiny.example shop/nowhere" in verdicts[Ref("Wall.tiny.example", "shop", "west")].message
    assert verdicts[Ref("Place.tiny.example", "shop", "odd")].message == "spec.address: must be an address"
    assert verdicts[Ref("ServiceEgressRule", "shop", "pay-out")].ok
    rules = bench.record.bodies["edge", ObjectKey(Kind.RULE_LIST, CLUSTER, Scope.NAMESPACE, "shop")]
    assert isinstance(rules, RuleList)
    (line,) = rules.entries
    assert line.action is Action.DENY
    # Two destinations of one name are two, on the device too.
    assert bench.record.destination("bank") == {"192.0.2.1"}
    assert bench.record.destination("bank-.tiny.example") == {"192.0.2.9"}
    bench.restart()
    assert not bench.commit().desired


@pytest.mark.usefixtures("tiny")
def test_a_dialect_that_is_taken_out_of_use_takes_its_rules_with_it() -> None:
    bench = Bench(dialects=dialect.load(("native", "tiny")))
    bench.see(namespace(), pod("pay-1", "10.0.0.1"), wall("east", "bank"), place("bank", "192.0.2.9"))
    assert any(ref.kind == "Wall.tiny.example" for ref in bench.record.verdicts)
    without = Bench(dialects=dialect.load(("native",)), record=bench.record)
    without.commit()
    assert not bench.record.verdicts
    assert not [key for key in bench.record.objects if key[0] in (WALL.resource, PLACE.resource)]
    assert not [key for _, key in bench.record.desired if key.kind is Kind.RULE_LIST and key.scope is Scope.NAMESPACE]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "there is no dialect nobody; there are broken, ces, native"),
        ("broken", "cannot be loaded"),
        ("odd", "is no dialect"),
    ],
)
def test_a_dialect_that_cannot_be_had_is_a_mistake_in_the_settings(name: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        dialect.load(("native", name))


def test_a_name_means_one_kind() -> None:
    with pytest.raises(ValueError, match="another kind already"):
        register((KindOfObject(Resource("pods"), "Pod", "other/v1", namespaced=True),))
    register(CORE)


def test_what_no_dialect_reads_is_refused() -> None:
    stranger = PolicyObject(Resource("strangers.example"), "u", "", "it", "1", 1, {}, {})
    with pytest.raises(PolicyError, match=r"no dialect in use reads strangers\.example"):
        dialect.load(("native",)).read(stranger)


def test_a_label_leads_back_to_its_object() -> None:
    for ref in (Ref("ServiceEgressRule", "shop", "a.b"), Ref("ServiceEgressRule.kubeovn.io", "shop", "a.b")):
        assert Ref.labelled("ServiceEgressRule", "shop", ref.label) == ref
