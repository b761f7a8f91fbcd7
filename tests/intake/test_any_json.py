"""Whatever JSON stands in one object: intake goes on, and nothing changes for another (through decode, policy and every compiler)."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.cluster.decode import Codec
from bridge.dialects import kinds
from bridge.dialects.dialect import Dialects
from bridge.intake.policies import NATIVE
from bridge.model.capabilities import Capabilities, Form
from bridge.model.identity import ObjectKey
from bridge.model.intent import DeviceObject
from bridge.model.observed import Change, Event, PolicyObject, Undecodable
from bridge.model.policy import Ref
from bridge.policy.compile import Target
from bridge.state.batch import Placement, Verdict
from bridge.state.encoding import decode_slim, encode_slim
from tests.dialects import any_json, ces_objects
from tests.dialects.objects import GOOD
from tests.intake.fold import EDGE, Bench
from tests.intake.objects import external, namespace, pod, policy, service, service_rule

FLAT = Target("flat", Capabilities(Form.FLAT), EDGE.defaults)
SETS = Target("sets", Capabilities(Form.ALLOW_ONLY, deny=False, reject=False), EDGE.defaults)
SOME = max(5, settings.default.max_examples // 5) if settings.default else 10  # of each kind
KINDS = [kind.name for kind in kinds.KINDS]
NAMESPACED = [kind.name for kind in kinds.KINDS if kind.namespaced]

Picture = tuple[
    dict[Ref, Verdict],
    dict[tuple[Ref, str], Placement],
    dict[tuple[str, ObjectKey], tuple[str, DeviceObject | None]],
    dict[ObjectKey, frozenset[str]],
]


def _bench(dialects: Dialects = NATIVE) -> Bench:
    """Two teams on a device of each form; `odd` is where things go wrong, `shop` and the cluster's own where nothing may."""
    bench = Bench(EDGE, FLAT, SETS, dialects=dialects)
    wide: dict[str, Any] = {"addresses": ["198.51.100.0/24"], "ports": [{"protocol": "TCP", "port": 443}]}
    bench.see(
        *(namespace(name) for name in ("shop", "odd")),
        *(pod(f"{name}-1", f"10.0.0.{last}", namespace=name) for last, name in enumerate(("shop", "odd"), 1)),
        pod("pay-1", "10.0.0.9"),
        service(app="pay"),
        service("odd", place="odd", app="odd"),
        policy("ClusterExternalService", "wide", **wide),
        policy("ClusterEgressRule", "first", action="Allow", priority=1, to=[{"name": "wide"}]),
        external(),
        policy("NamespaceEgressRule", "some", action="Pass", priority=5, to=[{"name": "bank"}]),
        service_rule("no", action="Deny", priority=3),
        service_rule(),
    )
    return bench


def _events(kind: str, *items: object) -> list[Event]:
    """As a list shows them."""
    resource = kinds.BY_NAME[kind].resource
    body = b'{"metadata":{"resourceVersion":"1"},"items":[' + b",".join(any_json.text(item) for item in items) + b"]}"
    page = Codec(resource).page(body)
    assert len(page.values) == len(items)
    return [Event(Change.UPSERT, resource, value) for value in page.values]


def _picture(bench: Bench, *, but: frozenset[Ref], namespaces: frozenset[str] | None = None) -> Picture:
    """What became of everything else; of these namespaces only where some are given."""
    record = bench.record

    def counts(ref: Ref) -> bool:
        return ref not in but and (namespaces is None or ref.namespace in namespaces)

    def concerns(key: ObjectKey) -> bool:
        return namespaces is None or key.namespace in namespaces

    return (
        {ref: one for ref, one in record.verdicts.items() if counts(ref)},
        {place: one for place, one in record.placements.items() if counts(place[0])},
        {place: (digest, record.bodies[place]) for place, digest in record.desired.items() if concerns(place[1])},
        {key: frozenset(members) for key, members in record.members.items() if concerns(key)},
    )


def _refs(kind: str, events: list[Event]) -> frozenset[Ref]:
    return frozenset(Ref(kind, getattr(event.value, "namespace", ""), event.value.name) for event in events)


@pytest.mark.parametrize("kind", NAMESPACED)
@settings(max_examples=SOME)
@given(data=st.data())
def test_what_stands_in_one_namespace_changes_nothing_in_another(kind: str, data: st.DataObject) -> None:
    bench, items = _bench(), data.draw(st.lists(any_json.objects(kind), min_size=1, max_size=3))
    before = _picture(bench, but=frozenset(), namespaces=frozenset({"shop", ""}))
    bench.take(_events(kind, *items))
    bench.commit()
    assert _picture(bench, but=frozenset(), namespaces=frozenset({"shop", ""})) == before
    bench.restart()
    bench.commit()
    assert _picture(bench, but=frozenset(), namespaces=frozenset({"shop", ""})) == before


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=SOME)
@given(data=st.data())
def test_what_is_refused_changes_nothing_at_all(kind: str, data: st.DataObject) -> None:
    bench, item = _bench(), data.draw(any_json.objects(kind))
    events = _events(kind, item)
    (about,) = but = _refs(kind, events)
    before = _picture(bench, but=but)
    bench.take(events)
    bench.commit()
    verdict = bench.record.verdicts.get(about)
    if verdict is None or verdict.accepted is None:
        assert _picture(bench, but=but) == before
    bench.take([Event(Change.DELETED, events[0].resource, events[0].value)])
    bench.commit()
    if about not in before[0]:
        assert _picture(bench, but=frozenset()) == before


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=SOME)
@given(data=st.data())
def test_an_edit_that_is_refused_leaves_what_was_accepted(kind: str, data: st.DataObject) -> None:
    bench = _bench()
    place = "odd" if kinds.BY_NAME[kind].namespaced else ""
    to = (
        {"to": [{"name": "bank"}]}
        if "to" in GOOD[kind] and place
        else {"to": [{"name": "wide"}]}
        if "to" in GOOD[kind]
        else {}
    )
    bench.see(external(place="odd"), policy(kind, "same", place="odd", uid="same", **(GOOD[kind] | to)))
    but = frozenset({Ref(kind, place, "same")})
    before = _picture(bench, but=but)
    (ref,) = but
    good = bench.record.verdicts[ref].accepted
    assert good is not None
    spec = data.draw(any_json.specs(kind))
    metadata = {"uid": "same", "name": "same", "resourceVersion": "2", "generation": 2} | (
        {"namespace": place} if place else {}
    )
    bench.take(_events(kind, {"metadata": metadata, "spec": spec}))
    bench.commit()
    verdict = bench.record.verdicts[ref]
    if verdict.accepted == good:
        assert _picture(bench, but=but) == before


@pytest.mark.parametrize("kind", KINDS)
@given(item=any_json.ANY)
def test_no_item_spoils_its_page(kind: str, item: Any) -> None:  # noqa: ANN401
    good = {"metadata": {"uid": "1", "name": "good", "namespace": "shop", "resourceVersion": "1"}, "spec": GOOD[kind]}
    first, _, last = (event.value for event in _events(kind, good, item, good))
    assert first == last
    assert isinstance(first, PolicyObject)


@pytest.mark.parametrize("depth", [30, 60, 100, 700, 950, 5_000, 100_000])
def test_nesting_is_bounded(depth: int) -> None:
    deep = (
        b'{"metadata":{"uid":"2","name":"deep","namespace":"odd","resourceVersion":"1"},"spec":{"ports":'
        + b"[" * depth
        + b"]" * depth
        + b"}}"
    )
    good = any_json.text(
        {
            "metadata": {"uid": "1", "name": "good", "namespace": "odd", "resourceVersion": "1"},
            "spec": GOOD["ExternalService"],
        }
    )
    resource, bench = kinds.BY_NAME["ExternalService"].resource, _bench()
    page = Codec(resource).page(b'{"metadata":{"resourceVersion":"1"},"items":[' + deep + b"," + good + b"]}")
    bench.take(Event(Change.UPSERT, resource, value) for value in page.values)
    bench.commit()
    assert not bench.record.verdicts[Ref("ExternalService", "odd", "deep")].ok
    assert bench.record.verdicts[Ref("ExternalService", "odd", "good")].ok


@given(st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), any_json.objects(kind))))
def test_what_is_taken_is_kept_exactly(case: tuple[str, Any]) -> None:
    """A restart reads what the database kept: the same object, or the bridge would think that it was edited."""
    kind, item = case
    (value,) = (event.value for event in _events(kind, item))
    if isinstance(value, Undecodable):
        return
    assert isinstance(value, PolicyObject)
    assert decode_slim(value.resource, encode_slim(value)) == value


@pytest.mark.parametrize("kind", sorted(ces_objects.BY_NAME))
@settings(max_examples=SOME)
@given(data=st.data())
def test_objects_of_another_program_are_no_different(kind: str, data: st.DataObject) -> None:
    of, bench = ces_objects.BY_NAME[kind], _bench(ces_objects.dialects())
    definition = yaml.safe_load((Path(ces_objects.__file__).parent / "ces-crds" / f"{of.plural}.yaml").read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec = data.draw(any_json.around(any_json.of_schema(schema, "spec")))
    before = _picture(bench, but=frozenset(), namespaces=frozenset({"shop"}))
    metadata = {"uid": "ces", "name": "odd", "resourceVersion": "1", "generation": 1}
    item = {"metadata": metadata | ({"namespace": "odd"} if of.namespaced else {}), "spec": spec}
    (value,) = (
        Codec(of.resource).page(b'{"metadata":{"resourceVersion":"1"},"items":[' + any_json.text(item) + b"]}").values
    )
    bench.take([Event(Change.UPSERT, of.resource, value)])
    bench.commit()
    ref = Ref(of.ref, "odd" if of.namespaced else "", "odd")
    verdict = bench.record.verdicts.get(ref)
    if of.namespaced or verdict is None or verdict.accepted is None:
        assert _picture(bench, but=frozenset(), namespaces=frozenset({"shop"})) == before
