"""Rules in the order in which devices ask them, and what is not in force as written, on real tables."""

from random import Random
from typing import Any

import pytest

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import RuleEntry, RuleList
from bridge.model.observed import PolicyObject, Resource
from bridge.model.policy import Action, Ref, Tier
from bridge.state import remark_store, rule_store
from bridge.state.batch import Batch, DesiredObject, Placement, Verdict
from bridge.state.database import Database
from bridge.state.desired import Applied, ObjectState
from bridge.state.remark_store import RemarkStore
from bridge.state.rule_store import Chosen, RuleStore, Written
from tests.state.builders import Stores, at, group

KINDS = {
    "ClusterEgressRule": Resource.CLUSTER_RULES,
    "NamespaceEgressRule": Resource.NAMESPACE_RULES,
    "ServiceEgressRule": Resource.SERVICE_RULES,
}
LIST = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores(database)


def rule(ref: Ref, action: str = "Allow", to: str = "bank", **more: Any) -> Verdict:  # noqa: ANN401 (any JSON)
    """An accepted rule."""
    spec = {"action": action, "to": [{"kind": "ExternalService", "name": to}], **more}
    written = PolicyObject(KINDS[ref.kind], "u", ref.namespace, ref.name, "1", 1, {}, spec)
    return Verdict(ref, "u", 1, True, "Accepted", "", written)


def service(name: str, namespace: str = "shop", **more: Any) -> Verdict:  # noqa: ANN401
    """The same of the service tier."""
    return rule(Ref("ServiceEgressRule", namespace, name), service=name, **more)


def commit(stores: Stores, *verdicts: Verdict, seconds: float = 0, **more: Any) -> None:  # noqa: ANN401
    """Record these verdicts, and whatever else of a batch."""
    stores.commit(Batch(at(seconds), verdicts=list(verdicts), **more))


def names(database: Database, limit: int = 100, chosen: Chosen | None = None) -> list[str]:
    """The names of the rules of all pages, in their order."""
    found: list[Written] = []
    while True:
        with RuleStore(database).reading() as reading:
            page = reading.rules(limit, found[-1].order if found else rule_store.BEGINNING, chosen)
        assert len(page) <= limit
        found += page
        if len(page) < limit:
            return [one.ref.name for one in found]


def test_rules_come_as_devices_ask_them(stores: Stores, database: Database) -> None:
    """Tier before namespace before priority before what stops before what passes before what lets through before name."""
    expected = [
        rule(Ref("ClusterEgressRule", "", "first"), "Pass", priority=1),
        rule(Ref("ClusterEgressRule", "", "second")),
        rule(Ref("NamespaceEgressRule", "bank", "third"), priority=9000),
        rule(Ref("NamespaceEgressRule", "shop", "fourth"), "Deny", priority=10),
        service("z-denies", action="Deny", priority=10),
        service("a-allows", priority=10),
        service("b-allows", priority=10),
        service("a-later"),
        service("never", "town"),
    ]
    expected[-1] = Verdict(expected[-1].ref, "u", 1, False, "Invalid", "spec.to: missing")
    told = [one.ref.name for one in expected]
    Random(7).shuffle(expected)
    commit(stores, *expected)
    for limit in (1, 2, 3, 9, 10):
        assert names(database, limit) == told


def test_only_those_that_were_asked_for(stores: Stores, database: Database) -> None:
    refs = [Ref("ServiceEgressRule", "shop", name) for name in ("web", "api")]
    placed = [Placement(refs[0], "edge", (LIST,), Tier.SERVICE)]
    commit(stores, service("web", to="Stripe-1"), service("api"), service("web", "town"), placements=placed)
    asked = {
        Chosen(namespace="shop"): ["api", "web"],
        Chosen(device="edge"): ["web"],
        Chosen(tier=Tier.CLUSTER): [],
        Chosen(cluster="west"): [],
        Chosen(words="STRIPE"): ["web"],
        Chosen(words="shop/w"): ["web"],
        Chosen(words="api"): ["api"],
        Chosen(words="ExternalService"): [],  # what stands in the JSON, and is no name
        Chosen(words="%"): [],
    }
    for chosen, expected in asked.items():
        assert names(database, 1, chosen) == expected, chosen


def test_a_picture_has_what_it_takes_to_judge_these_rules(stores: Stores, database: Database) -> None:
    web, api = (Ref("ServiceEgressRule", "shop", name) for name in ("web", "api"))
    entry = RuleEntry("web_bank", Action.ALLOW, (group("web"),), (group("bank"),))
    wanted = [
        DesiredObject("edge", LIST, RuleList(LIST, (entry,)), "1"),
        DesiredObject("edge", group("web"), None, "2"),
    ]
    placed = [
        Placement(web, "edge", (LIST, group("web")), Tier.SERVICE),
        Placement(api, "edge", (), Tier.SERVICE, "Unsupported", "no names"),
    ]
    commit(stores, service("web"), service("api"), desired=wanted, placements=placed, groups=[group("web")])
    applied = [
        Applied(LIST, 1, ObjectState.QUARANTINED, message="no"),
        Applied(group("web"), 1, ObjectState.PROGRAMMED),
    ]
    stores.delivery.record("edge", 1, applied, [], "", at(1))
    with RuleStore(database).reading() as reading:
        found = reading.placed("east", [web, api])
        picture = reading.picture("east", found)
    assert [(one.device, one.reason, one.keys) for one in found[api]] == [("edge", "Unsupported", ())]
    assert {key: row.message for key, row in picture.unfinished.items()} == {("edge", str(LIST)): "no"}
    assert picture.lists["edge"][LIST].entries == (entry,)
    assert picture.devices.keys() == {"edge"}


def test_remarks_tell_each_thing_once_and_of_the_device_where_it_lacks_something(
    stores: Stores, database: Database
) -> None:
    web, api, cart = (Ref("ServiceEgressRule", "shop", name) for name in ("web", "api", "cart"))
    lacking = Verdict(api, "u", 1, False, "Unsupported", "not everywhere", service("api").accepted)
    invalid = Verdict(cart, "u", 1, False, "Invalid", "spec.to: missing")
    placed = [
        Placement(api, "edge", (), Tier.SERVICE, "Unsupported", "the device takes no names"),
        Placement(web, "edge", (), Tier.SERVICE, "NotYet", "it counts from tomorrow"),
    ]
    wanted = [DesiredObject("edge", LIST, RuleList(LIST, ()), "1"), DesiredObject("edge", group("web"), None, "2")]
    commit(stores, service("web"), lacking, invalid, placements=placed, desired=wanted, groups=[group("web")])
    applied = [
        Applied(LIST, 1, ObjectState.PROGRAMMED),
        Applied(group("web"), 1, ObjectState.WITHHELD, message="held back"),
    ]
    stores.delivery.record("edge", 1, applied, [], "", at(1))
    store = RemarkStore(database)
    found = store.remarks(10)
    assert [(one.object, one.name, one.device, one.reason, one.message) for one in found] == [
        ("ServiceEgressRule", "cart", "", "Invalid", "spec.to: missing"),
        ("ServiceEgressRule", "api", "edge", "Unsupported", "the device takes no names"),
        (str(group("web")), "", "edge", "Withheld", "held back"),
    ]
    pages = [store.remarks(1, one.order if one else remark_store.BEGINNING) for one in (None, *found)]
    assert [page[0] for page in pages[:-1]] == list(found)
    assert pages[-1] == ()
    asked = remark_store.Chosen
    assert store.remarks(9, chosen=asked(device="edge", reasons=["Withheld"])) == found[2:]
    assert store.remarks(9, chosen=asked(words="SHOP/api")) == found[1:2]
    assert store.remarks(9, chosen=asked(namespace="shop")) == found
    assert store.remarks(9, chosen=asked(cluster="west")) == ()
