"""The rights on a real API server: what is granted suffices, and whatever is missing is missed by name."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.secrets import SecretStore
from bridge.clock import SystemClock
from bridge.cluster import gates
from bridge.cluster.answers import RequestRefused
from bridge.cluster.backoff import uniform
from bridge.cluster.client import Connection
from bridge.cluster.decode import Codec
from bridge.cluster.health import State
from bridge.cluster.listing import Lister
from bridge.cluster.rights import CARRIERS, Right, rights
from bridge.cluster.settings import ReflectorSettings
from bridge.cluster.watch import Watch
from bridge.cluster.watcher import ClusterWatcher
from bridge.cluster.writes import apply_annotations, apply_condition
from bridge.dialects.dialect import load
from bridge.errors import ClusterDenied
from bridge.feedback import telling
from bridge.feedback.account import Account, Body, Due
from bridge.feedback.writer import Fate, Writer
from bridge.model.kinds import KINDS, Brings, Kind
from bridge.model.observed import ALWAYS_WATCHED, Resource
from bridge.model.policy import Ref
from bridge.resources import shipped
from bridge.settings.credentials import SecretKey
from tests.control_plane.api import Json, eventually
from tests.control_plane.plane import ControlPlane
from tests.deployment.account import ServiceAccount
from tests.dialects.test_ces_on_the_api_server import DEFINITIONS

WATCHED = (*ALWAYS_WATCHED, *load(["native", "ces"]).kinds)
HOME = "test-rights"
NEEDED = rights(WATCHED, [(HOME, "edge")])
_PORTS = {"ports": "Any", "addresses": ["192.0.2.1"]}
_SPECS: Mapping[str, Json] = {
    "ExternalService": _PORTS,
    "ClusterExternalService": _PORTS,
    "AddressGroup": {},
    "Service": {"ports": [{"port": 80}]},
    "Pod": {"containers": [{"name": "it", "image": "it"}], "automountServiceAccountToken": False},
    "Decision": {"device": "edge", "digest": "0123456789abcdef", "verdict": "Reject", "by": "ann", "reason": "it"},
    "Stop": {"by": "ann", "reason": "it"},
}
_RULE: Json = {"action": "Allow", "to": [{"name": "it"}], "service": "it"}
_CES: Json = {"action": "accept", "externalServices": ["it"], "service": "it"}


@dataclass(frozen=True, slots=True)
class World:
    """A namespace with an object of each kind that is told something."""

    plane: ControlPlane
    uids: Mapping[str, str]  # by Ref kind

    def account(self, ref_kind: str, content: dict[str, Any] | str, *due: Due) -> Account:
        """What is to be told to the object of this kind."""
        kind = next(kind for kind in KINDS.values() if kind.ref == ref_kind)
        name = HOME if kind.resource is Resource.NAMESPACES else "it"
        ref = Ref(ref_kind, HOME if kind.namespaced else "", name)
        return Account(ref, self.uids[ref_kind], Body(content=content, due=due, written=False))


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane) -> Iterator[World]:
    """On the shared control plane, and away again afterwards."""
    control_plane.install_crds(shipped("config/crd"))
    control_plane.install_crds(DEFINITIONS)
    api = control_plane.api
    space = api.post("/api/v1/namespaces", {"metadata": {"name": HOME}})
    api.post(f"/api/v1/namespaces/{HOME}/secrets", {"metadata": {"name": "edge"}, "stringData": {"password": "it"}})
    uids = {"Namespace": space["metadata"]["uid"]}
    told = [kind for one in WATCHED if (kind := KINDS[one]).brings or one in (Resource.SERVICES, Resource.PODS)]
    eventually("the default service account", lambda: api.find(f"/api/v1/namespaces/{HOME}/serviceaccounts/default"))
    for kind in told:
        uids[kind.ref] = api.post(_collection(kind), manifest(kind))["metadata"]["uid"]
    yield World(control_plane, uids)
    for kind in told:
        api.delete(kind.object_path(HOME, "it"))
    api.delete(f"/api/v1/namespaces/{HOME}")


@pytest.fixture
def connect(world: World, tmp_path: Path) -> Iterator[Callable[..., Connection]]:
    """Connections as somebody with these rights and no others."""
    made: list[Connection] = []

    def make(*granted: Right) -> Connection:
        account = ServiceAccount.make(world.plane, HOME, f"bridge-{uuid.uuid4().hex[:8]}", granted)
        made.append(account.connection(tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.close()


def manifest(kind: Kind) -> Json:
    """An object of the kind that the API server takes."""
    spec = dict(_SPECS.get(kind.name, _CES if kind.foreign else _RULE))
    if kind.foreign and kind.name == "ExternalService":
        spec = {"addresses": ["192.0.2.1"]}
    if kind.name != "ServiceEgressRule":
        spec.pop("service", None)
    place = {"namespace": HOME} if kind.namespaced else {}
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": "it", **place}, "spec": spec}


def _collection(kind: Kind) -> str:
    return kind.object_path(HOME, "it").rpartition("/")[0]


def use(right: Right, world: World, connection: Connection) -> None:
    """Do what the right is for, by the code that does it in the product. ClusterDenied where it may not."""
    resource = Resource(right.resource)
    match right.verb, right.resource:
        case "list", _:
            next(Lister(connection, resource, 1).pages(not_before=0))
        case "watch", _:
            _watch(connection, resource, next(Lister(connection, resource, 1).pages(not_before=0)).resource_version)
        case "get", "namespaces":
            assert connection.identity()
        case "get", _:
            secret = SecretKey(namespace=HOME, name="edge", key="password")
            assert SecretStore({"east": connection})(secret) == "it"
        case "patch", "pods":
            condition = gates.said("Pending", "it waits", datetime.now(UTC), opened=False)
            apply_condition(connection, HOME, "it", world.uids["Pod"], condition)
        case "create", _:
            _tell(world.account("Service", "", Due("it-happened", "Held", "it happened", ())), connection)
        case _:
            _tell(world.account(KINDS[resource].ref, _content(KINDS[resource], right)), connection)


def _content(kind: Kind, right: Right) -> dict[str, Any] | str:
    """Status for kinds of ours; for another program's a status too, of which the annotation is made."""
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}
    dated = condition | {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    if kind.brings is Brings.ORDER:
        return {"state": "Done"}
    if kind.foreign:
        return {"conditions": [dated], **({"phase": kind.phases[0]} if kind.phases else {})}
    return {"conditions": [dated]} if right.subresource else '{"groups":{}}'


def _watch(connection: Connection, resource: Resource, version: str) -> None:
    watch = Watch(connection, resource, Codec(resource), ReflectorSettings(), SystemClock(), uniform)
    with closing(watch.batches(version)) as batches:
        assert next(batches) == ()


def _tell(account: Account, connection: Connection) -> None:
    attempt = Writer(connection, SystemClock(), lambda: 1).tell(account)
    if attempt.error:
        assert attempt.fate is Fate.DENIED or not isinstance(attempt.error, ClusterDenied)
        raise attempt.error


def test_the_right_to_annotate_is_for_those_who_are_told_by_annotation() -> None:
    assert {KINDS[one].ref for one in CARRIERS} == telling._CARRIERS


def test_what_is_granted_suffices(world: World, connect: Callable[..., Connection]) -> None:
    connection = connect(*NEEDED)
    for right in NEEDED:
        use(right, world, connection)


@pytest.mark.parametrize("right", NEEDED, ids=lambda right: f"{right}{'.secret' if right.namespace else ''}")
def test_each_right_that_is_missing_is_missed_by_name(
    right: Right, world: World, connect: Callable[..., Connection]
) -> None:
    with pytest.raises(ClusterDenied) as denied:
        use(right, world, connect(*(one for one in NEEDED if one != right)))
    assert str(denied.value).startswith(f"east: {right}: 403 ")
    assert "grant this verb on this resource in RBAC" in str(denied.value)


def test_no_more_than_the_named_secret_can_be_read(world: World, connect: Callable[..., Connection]) -> None:
    store = SecretStore({"east": connect(*NEEDED)})
    with pytest.raises(ClusterDenied, match="get secrets: 403"):
        store(SecretKey(namespace=HOME, name="another", key="password"))


def test_an_object_that_went_meanwhile_needs_no_right_to_create_it(
    world: World, connect: Callable[..., Connection]
) -> None:
    with pytest.raises(RequestRefused) as refused:
        apply_annotations(connect(*NEEDED), Resource.SERVICES, HOME, "gone", str(uuid.uuid4()), {})
    assert refused.value.code == 409


@pytest.mark.parametrize("verbs", [(), ("list",)], ids=["nothing", "lists only"])
def test_every_resource_that_may_not_be_watched_is_in_the_log_and_in_health(
    verbs: tuple[str, ...],
    connect: Callable[..., Connection],
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = connect(*(one for one in NEEDED if one.verb in verbs))
    watcher = ClusterWatcher(connection, lambda _: None, SystemClock(), resources=WATCHED)
    watcher.start()
    try:
        eventually("all denied", lambda: {one.state for one in watcher.health().values()} == {State.DENIED}, 20)
        missed = {str(resource): one.error for resource, one in watcher.health().items()}
    finally:
        watcher.stop()
    verb = "watch" if verbs else "list"
    assert {name for name, words in missed.items() if words.startswith(f"east: {verb} {name}: 403 ")} == set(WATCHED)
    assert not [name for name in WATCHED if f"east: {verb} {name}: 403 " not in caplog.text]
