"""What developers see on their objects, on a real kube-apiserver: conditions, annotations, Events, `kubectl describe` of each reason."""

import contextlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.devices.bigip import Bigip
from bridge.model.reasons import LACKING, MEANINGS, Reason
from bridge.resources import shipped
from tests.acceptance.documented import Document, excerpt
from tests.acceptance.site import CLUSTER, OWNER, Bridge, ClusterEntry, bigip, eventually, members, stays
from tests.control_plane.api import MERGE, Json
from tests.control_plane.fixtures import remove_namespace
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane

pytestmark = pytest.mark.timeout(240)

API = "fusionbridge.io/v1alpha1"
STATUS, GROUP = "fusionbridge.io/status", "fusionbridge.io/address-group"
DOCUMENT = Path(__file__).parents[2] / "docs" / "status.md"
PLURALS = {
    "ClusterEgressRule": "clusteregressrules",
    "NamespaceEgressRule": "namespaceegressrules",
    "ServiceEgressRule": "serviceegressrules",
    "ClusterExternalService": "clusterexternalservices",
    "ExternalService": "externalservices",
    "AddressGroup": "addressgroups",
}
GUARD = {"removalsPerGroup": {"percent": 10, "count": 2}}


@dataclass
class Teams:
    """Namespaces on the control plane, three devices and the bridge between them.

    `edge` is attached and serves all; `west` is attached by nobody and `lab` only planned for, and both serve `branch` alone.
    """

    plane: ControlPlane
    bridge: Bridge
    names: Mapping[str, str]  # what they are called here -> in the cluster
    document: Document

    @property
    def edge(self) -> Bigip:
        """The device that everything goes to."""
        return self.bridge.devices["edge"]

    def apply(self, kind: str, namespace: str, name: str, spec: object, **metadata: object) -> None:
        """One of our kinds; cluster-scoped without a namespace."""
        body = {"apiVersion": API, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
        self.plane.apply(body, namespace=self.names.get(namespace) or None)

    def external(self, namespace: str, name: str, *addresses: str, **more: object) -> None:
        """A destination."""
        spec = {"addresses": list(addresses), "ports": [{"protocol": "TCP", "port": 443}], **more}
        kind = "ExternalService" if namespace else "ClusterExternalService"
        self.apply(kind, namespace, name, {key: value for key, value in spec.items() if value})

    def rule(self, namespace: str, service: str, to: str, **more: object) -> None:
        """A rule of the service tier, called as its service and destination."""
        spec = {"service": service, "action": "Allow", "to": [{"name": to}], **more}
        self.apply("ServiceEgressRule", namespace, f"{service}-{to}", spec)

    def service(self, namespace: str, name: str, **annotations: str) -> None:
        """A Service that selects by `app`; annotations with their names below fusionbridge.io."""
        notes = {f"fusionbridge.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
        metadata = {"name": name, "annotations": notes}
        spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
        body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
        self.plane.apply(body, namespace=self.names[namespace])

    def pods(self, namespace: str, name: str, replicas: int) -> None:
        """A Deployment, and so many running pods of it."""
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
        self.plane.apply(body, namespace=self.names[namespace])
        eventually(f"{replicas} pods of {name}", lambda: len(self.running(namespace, name)) == replicas, 60)

    def lone_pod(self, name: str, address: str, started: str, **spec: object) -> None:
        """A pod of a workload `lone`, on a node that no stand-in keeps, at this address."""
        metadata = {"name": name, "labels": {"app": "lone"}}
        body = {"nodeName": "node-elsewhere", "containers": [{"name": "c", "image": "i"}], **spec}
        pods = f"/api/v1/namespaces/{self.names['shop']}/pods"
        self.plane.api.post(pods, {"metadata": metadata, "spec": body})
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": started}
        self.plane.api.patch(f"{pods}/{name}/status", {"status": status}, MERGE)

    def running(self, namespace: str, app: str) -> set[str]:
        """The addresses of the pods with this label."""
        path = f"/api/v1/namespaces/{self.names[namespace]}/pods?labelSelector=app%3D{app}"
        return {one["status"]["podIP"] for one in self.plane.api.items(path) if one["status"].get("podIP")}

    def get(self, kind: str, namespace: str, name: str) -> Json:
        """One of our kinds as it is."""
        scope = f"/namespaces/{self.names[namespace]}" if namespace else ""
        return self.plane.api.get(f"/apis/{API}{scope}/{PLURALS[kind]}/{name}")

    def condition(self, kind: str, namespace: str, name: str, which: str = "Programmed") -> str:
        """The reason of a condition; "" without one."""
        conditions = self.get(kind, namespace, name).get("status", {}).get("conditions", ())
        return next((str(one["reason"]) for one in conditions if one["type"] == which), "")

    def ours(self) -> list[Json]:
        """Every object of our kinds, and every carrier of our annotation, in these namespaces or in none."""
        found = [one for plural in PLURALS.values() for one in self.plane.api.items(f"/apis/{API}/{plural}")]
        found += self.plane.api.items("/api/v1/services") + self.plane.api.items("/api/v1/namespaces")
        mine = set(self.names.values())
        return [
            one
            for one in found
            if {one["metadata"].get("namespace"), one["metadata"]["name"]} & mine or _of_cluster(one)
        ]

    def told(self) -> dict[str, str]:
        """What stands on each of them of ours, and when the API server says that we wrote it."""
        found = {}
        for one in self.ours():
            about = one["metadata"]
            writes = [each.get("time") for each in about["managedFields"] if each["manager"] == "fusion-bridge"]
            said = one["status"] if one.get("apiVersion") == API else about.get("annotations", {}).get(STATUS)
            found[f"{about.get('namespace', '')}/{about['name']}/{about['uid']}"] = json.dumps([said, writes])
        return found

    def events(self) -> list[Json]:
        """Every Event that the bridge made here."""
        mine = {*self.names.values(), "default"}
        listed = self.plane.api.items("/api/v1/events")
        return [
            one
            for one in listed
            if one["reportingComponent"] == "fusion-bridge" and one["metadata"]["namespace"] in mine
        ]

    def shown(self, example: str, kind: str, namespace: str, name: str) -> None:
        """What `kubectl describe` says of the object is what the document shows as this example."""
        scope = ["-n", self.names[namespace]] if namespace else []
        words = [*scope, "describe", kind.lower(), name]
        parts = {"Namespace": ("Annotations",), "Service": ("Annotations", "Events"), "Pod": ("Events",)}
        self.document.check(
            example,
            "kubectl " + " ".join(words),
            excerpt(self.plane.kubectl(*words), *parts.get(kind, ("Status", "Events"))),
        )


def _of_cluster(one: Json) -> bool:
    return one.get("apiVersion") == API and "namespace" not in one["metadata"]


@pytest.fixture(scope="module")
def teams(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teams]:
    """Everything that is told at least once, but for what needs a disturbance: two of the tests make one each."""
    control_plane.install_crds(shipped("config/crd"))
    folder, entry = tmp_path_factory.mktemp("bridge"), ClusterEntry(CLUSTER, control_plane.kubeconfig)
    suffix = uuid.uuid4().hex[:6]
    names = {name: f"{name}-{suffix}" for name in ("shop", "open", "closed", "branch", "orders")}
    with contextlib.ExitStack() as stack:
        stack.enter_context(NodeStandIn(control_plane.api))
        devices = {name: stack.enter_context(bigip()) for name in ("edge", "west", "lab")}
        for name, real in names.items():
            stack.callback(remove_namespace, control_plane, real)
            _make_namespace(control_plane, name, real)
        scope = {"clusters": {CLUSTER: {"default": {"action": "Deny", "unknownAddresses": "Pass"}}}}
        apart = {"scope": {**scope, "namespaces": [names["branch"]]}}
        overrides = {"west": {**apart, "attach": "none"}, "lab": {**apart, "mode": "plan"}}
        delivery = {"auditInterval": 300, "saveAfter": 0.5, "guard": GUARD}
        bridge = stack.enter_context(Bridge(folder, devices, [entry], delivery=delivery, overrides=overrides))
        bridge.start()
        document = Document(DOCUMENT, {real: name for name, real in names.items()})
        made = Teams(control_plane, bridge, names, document)
        stack.callback(_remove_cluster_objects, made)
        _populate(made)
        yield made
        assert bridge.running, bridge.log()[-5:]


def _make_namespace(plane: ControlPlane, name: str, real: str) -> None:
    labels = {} if name == "open" else {"fusionbridge.io/egress": "governed"}
    notes = {GROUP: "everyone"} if name == "orders" else {}
    plane.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": real, "labels": labels, "annotations": notes}}
    )
    eventually(
        "the service account", lambda: bool(plane.api.find(f"/api/v1/namespaces/{real}/serviceaccounts/default"))
    )


def _remove_cluster_objects(teams: Teams) -> None:
    for plural in PLURALS.values():
        teams.plane.kubectl("delete", f"{plural}.fusionbridge.io", "--all", "--all-namespaces", "--wait=false")


def _populate(teams: Teams) -> None:
    """One object for each thing that can be told, and what makes it so."""
    for service in ("web", "batch", "lone"):
        teams.service("shop", service)
    teams.pods("shop", "web", 2)
    teams.pods("shop", "batch", 8)
    teams.service("orders", "payments", address_group="payments")
    teams.service("orders", "misspelt", address_group="Not A Name")
    teams.external("", "dns", "192.0.2.53")
    teams.external("", "spare", "192.0.2.99")
    teams.apply(
        "ClusterEgressRule", "", "all-resolve", {"action": "Allow", "to": [{"name": "dns"}], "devices": ["edge"]}
    )
    teams.apply("AddressGroup", "", "web-pods", {"podSelector": {"matchLabels": {"app": "web"}}, "devices": ["edge"]})
    for namespace in ("shop", "open", "branch"):
        teams.external(namespace, "provider", "192.0.2.0/28")
    teams.apply("NamespaceEgressRule", "shop", "all-pay", {"action": "Allow", "to": [{"name": "provider"}]})
    teams.rule("shop", "web", "provider")
    teams.rule("shop", "batch", "provider")
    teams.rule("shop", "lone", "provider")
    teams.rule("shop", "web", "nowhere")  # no such external service
    teams.rule("open", "web", "provider")
    teams.external("shop", "inside", "10.96.0.0/16")
    teams.rule("shop", "web", "inside")
    teams.rule("branch", "web", "provider", devices=["west"])
    teams.external("branch", "staged", "192.0.2.64/28")
    teams.rule("branch", "web", "staged", devices=["lab"])
    teams.external("branch", "faraway", "192.0.2.80/28")
    teams.rule("branch", "web", "faraway", devices=["decommissioned"])
    _populate_closed(teams)
    _refuse(teams, "legacy")


def _populate_closed(teams: Teams) -> None:
    """A Deny that no device here can express, above an Allow that overlaps it."""
    teams.external("closed", "bad", "192.0.2.8/29", fqdns=["*.bad.example.com"], ports="Any")
    teams.apply("NamespaceEgressRule", "closed", "no-bad", {"action": "Deny", "to": [{"name": "bad"}]})
    teams.external("closed", "provider", "192.0.2.0/27")
    teams.rule("closed", "web", "provider")


def _refuse(teams: Teams, name: str) -> None:
    """Somebody else's object stands where ours would."""
    folder = f"/Common/{OWNER}"
    eventually("the bridge's folder", lambda: folder in teams.edge.objects("sys/folder"))
    taken = f"{OWNER}_{CLUSTER}_external_{teams.names['shop']}_{name}"
    body = {"name": taken, "partition": "Common", "subPath": OWNER, "addresses": [{"name": "192.0.2.200"}]}
    teams.edge.put_object("security/firewall/address-list", body)
    teams.external("shop", name, "192.0.2.96/28")
    teams.rule("shop", "web", name)


@pytest.mark.acceptance("feedback: Accepted, Programmed and status.devices[] on every rule, group and external service")
@pytest.mark.parametrize(
    ("kind", "namespace", "name"),
    [
        ("ClusterEgressRule", "", "all-resolve"),
        ("ClusterExternalService", "", "dns"),
        ("AddressGroup", "", "web-pods"),
        ("NamespaceEgressRule", "shop", "all-pay"),
        ("ServiceEgressRule", "shop", "web-provider"),
        ("ExternalService", "shop", "provider"),
    ],
)
def test_conditions(teams: Teams, kind: str, namespace: str, name: str) -> None:
    eventually("programmed", lambda: teams.condition(kind, namespace, name) == "Programmed")
    found = teams.get(kind, namespace, name)
    status = found["status"]
    assert status["observedGeneration"] == found["metadata"]["generation"] == 1
    assert {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]} == {
        "Accepted": ("True", "Accepted"),
        "Programmed": ("True", "Programmed"),
    }
    assert {"name": "edge", "generation": 1, "state": "Programmed"} in status["devices"]


@pytest.mark.acceptance("feedback: fusionbridge.io/status on annotated Namespaces and Services, and gone with the wish")
def test_annotations(teams: Teams) -> None:
    space = f"/api/v1/namespaces/{teams.names['orders']}"

    def told(path: str) -> Any:  # noqa: ANN401
        return json.loads(teams.plane.api.get(path)["metadata"]["annotations"].get(STATUS, "null"))

    service = f"{space}/services/payments"
    eventually("told", lambda: told(service) == {"groups": {"payments": {"edge": "Programmed"}}})
    eventually("told", lambda: told(space) == {"groups": {"everyone": {"edge": "Programmed"}}})
    eventually("why not", lambda: (told(f"{space}/services/misspelt") or {}).get("reason") == "Invalid")
    asked = teams.plane.api.get(service)["metadata"]["annotations"][GROUP]
    teams.plane.api.patch(service, {"metadata": {"annotations": {GROUP: None}}}, MERGE)
    eventually("taken back", lambda: STATUS not in teams.plane.api.get(service)["metadata"].get("annotations", {}))
    teams.plane.api.patch(service, {"metadata": {"annotations": {GROUP: asked}}}, MERGE)
    eventually("told again", lambda: told(service) == {"groups": {"payments": {"edge": "Programmed"}}})


EXAMPLES = [
    ("programmed", "ServiceEgressRule", "shop", "web-provider", "Programmed"),
    ("invalid", "ServiceEgressRule", "shop", "web-nowhere", "NotAccepted"),
    ("not-governed", "ServiceEgressRule", "open", "web-provider", "NotAccepted"),
    ("unsupported", "NamespaceEgressRule", "closed", "no-bad", "Unsupported"),
    ("withheld", "ServiceEgressRule", "closed", "web-provider", "Withheld"),
    ("quarantined", "ServiceEgressRule", "shop", "web-legacy", "Quarantined"),
    ("not-attached", "ServiceEgressRule", "branch", "web-provider", "NotAttached"),
    ("pending", "ServiceEgressRule", "branch", "web-staged", "Pending"),
    ("no-destination", "ServiceEgressRule", "shop", "web-inside", "NoDestination"),
    ("no-device", "ServiceEgressRule", "branch", "web-faraway", "NoDevice"),
    ("not-used", "ClusterExternalService", "", "spare", "NotUsed"),
]


@pytest.mark.acceptance("feedback: `kubectl describe` alone tells the reason: the example of each in docs/status.md")
@pytest.mark.parametrize(("example", "kind", "namespace", "name", "reason"), EXAMPLES, ids=[row[0] for row in EXAMPLES])
def test_examples(teams: Teams, example: str, kind: str, namespace: str, name: str, reason: str) -> None:
    eventually(f"{name} is {reason}", lambda: teams.condition(kind, namespace, name) == reason)
    if MEANINGS[Reason(reason)].event:
        eventually("the Event", lambda: _about(teams, kind, name) >= {reason})
    teams.shown(example, kind, namespace, name)


@pytest.mark.acceptance("feedback: `kubectl describe` alone tells the reason: Services and Namespaces")
def test_examples_of_carriers(teams: Teams) -> None:
    eventually("the Service's Event", lambda: _about(teams, "Service", "misspelt") == {"Invalid"})
    teams.shown("annotation", "Service", "orders", "payments")
    teams.shown("annotation-namespace", "Namespace", "", teams.names["orders"])
    teams.shown("annotation-invalid", "Service", "orders", "misspelt")


@pytest.mark.acceptance("feedback: `kubectl describe pod` alone tells why no rule reaches a pod")
def test_examples_of_pods(teams: Teams) -> None:
    teams.lone_pod("agent", "172.18.0.9", "2026-03-01T12:00:00Z", hostNetwork=True)
    teams.lone_pod("outside", "10.99.0.7", "2026-03-01T12:00:00Z")
    teams.lone_pod("first", "10.244.0.250", "2026-03-01T12:00:00Z")
    teams.lone_pod("second", "10.244.0.250", "2026-03-01T12:00:05Z")
    pods = {"agent": "HostNetwork", "outside": "OutsidePodRanges", "first": "AddressConflict"}
    for name, reason in pods.items():
        eventually(f"the Event of {name}", lambda: _about(teams, "Pod", name) == {reason})  # noqa: B023
    assert _about(teams, "Pod", "second") == set()
    for name, example in {"agent": "pod", "outside": "pod-outside", "first": "pod-conflict"}.items():
        teams.shown(example, "Pod", "shop", name)
    teams.plane.kubectl("-n", teams.names["shop"], "delete", "pods", "-l", "app=lone", "--force", "--wait=false")


@pytest.mark.acceptance("feedback: reasons are one table: that of docs/status.md is made of it")
def test_reasons(teams: Teams) -> None:
    accepted = (
        Reason.ACCEPTED,
        Reason.INVALID,
        Reason.NAMESPACE_NOT_GOVERNED,
        Reason.DOUBTED,
        Reason.LET_GO,
    )
    pods = (Reason.HOST_NETWORK, Reason.ADDRESS_CONFLICT, Reason.OUTSIDE_POD_RANGES)
    rows = ["| reason | condition | means | to do | Event |", "| --- | --- | --- | --- | --- |"]
    for reason, meaning in MEANINGS.items():
        if reason not in pods:
            condition = "both" if reason in LACKING else "Accepted" if reason in accepted else "Programmed"
            value = "True" if reason in ("Accepted", "Programmed") else "False"
            event = "yes" if meaning.event else ""
            rows.append(f"| {reason} | {condition} {value} | {meaning.text} | {meaning.remedy} | {event} |")
    teams.document.check_text("reasons", "\n".join(rows) + "\n")
    rows = ["| reason | means | to do |", "| --- | --- | --- |"]
    rows += [f"| {one} | {MEANINGS[one].text} | {MEANINGS[one].remedy} |" for one in pods]
    teams.document.check_text("pod-reasons", "\n".join(rows) + "\n")


def _about(teams: Teams, kind: str, name: str) -> set[str]:
    """The reasons of the Events about an object."""
    named = ((one["involvedObject"], one["reason"]) for one in teams.events())
    return {reason for about, reason in named if (about["kind"], about["name"]) == (kind, name)}


@pytest.mark.acceptance("feedback: Events for withheld, quarantined, not attached and others, each telling what to do")
def test_events(teams: Teams) -> None:
    wanted = {"Invalid", "NamespaceNotGoverned", "Unsupported", "Withheld", "Quarantined", "NotAttached"}
    eventually("each reason", lambda: {one["reason"] for one in teams.events()} >= wanted)
    for one in teams.events():
        meaning = MEANINGS[Reason(one["reason"])]
        assert one["type"] == "Warning"
        assert one["message"].endswith(f"To do: {meaning.remedy}.")
        assert meaning.event
    seen = [(one["involvedObject"]["uid"], one["reason"]) for one in teams.events()]
    assert len(seen) == len(set(seen)), "each once"


@pytest.mark.acceptance("feedback: none when nothing changed, over a restart too; own field manager, no finalizers")
def test_quiet(teams: Teams) -> None:
    _await_quiet(teams)
    told, events = teams.told(), len(teams.events())
    teams.bridge.stop()
    started = len(teams.bridge.log())
    teams.bridge.start()
    eventually("it serves again", lambda: any(one["event"] == "running" for one in teams.bridge.log()[started:]))
    stays("nothing is written", lambda: teams.told() == told and len(teams.events()) == events, 8)
    for one in teams.ours():
        assert not [each for each in one["metadata"].get("finalizers", ()) if "fusion" in each]
        mine = [each for each in one["metadata"]["managedFields"] if each["manager"] == "fusion-bridge"]
        assert all(each["operation"] == "Apply" for each in mine)
        for each in mine:
            fields = each["fieldsV1"]
            assert set(fields) == {"f:status"} or set(fields["f:metadata"]["f:annotations"]) == {f"f:{STATUS}"}
        assert len(mine) <= 1


@pytest.mark.acceptance("feedback: a scale-up and a rollout of pods cause no status write")
def test_pods_come_and_go(teams: Teams) -> None:
    _await_quiet(teams)
    told, events = teams.told(), len(teams.events())
    teams.pods("shop", "web", 12)
    group = f"{OWNER}_{CLUSTER}_service_{teams.names['shop']}_web"
    eventually("all are members", lambda: len(members(teams.edge, group)) == 12)
    teams.plane.kubectl("-n", teams.names["shop"], "rollout", "restart", "deployment/web")
    teams.plane.kubectl("-n", teams.names["shop"], "rollout", "status", "deployment/web", "--timeout=60s")
    teams.pods("shop", "web", 2)
    eventually("two are left", lambda: len(members(teams.edge, group)) == 2)
    stays("two are left", lambda: len(members(teams.edge, group)) == 2, 4)
    assert teams.told() == told
    assert len(teams.events()) == events


@pytest.mark.acceptance("feedback: at most one write per object per 5 s, and the last state is told in the end")
def test_pace(teams: Teams) -> None:
    """Edits that each change what is to be told, far faster than that; the API server itself notes when we wrote."""
    path = f"/apis/{API}/namespaces/{teams.names['shop']}/serviceegressrules/web-paced"
    spec = {"service": "web", "action": "Allow", "to": [{"name": "provider"}]}
    teams.apply("ServiceEgressRule", "shop", "web-paced", spec)
    written: dict[str, set[str]] = {}
    for number in range(30):
        to = ("nowhere", "provider")[number % 2]
        found = teams.plane.api.patch(path, {"spec": {"to": [{"name": to}]}}, MERGE)
        for each in found["metadata"]["managedFields"]:
            if each["manager"] == "fusion-bridge":
                written.setdefault(each["time"], set()).add(json.dumps(found["status"], sort_keys=True))
        time.sleep(0.4)
    times = sorted(datetime.fromisoformat(one) for one in written)
    assert len(times) >= 2
    assert all((later - earlier).total_seconds() >= 4 for earlier, later in pairwise(times)), times  # whole seconds
    assert all(len(said) == 1 for said in written.values())
    eventually("the last", lambda: teams.condition("ServiceEgressRule", "shop", "web-paced", "Accepted") == "Accepted")
    eventually(
        "of the last", lambda: teams.get("ServiceEgressRule", "shop", "web-paced")["status"]["observedGeneration"] >= 30
    )
    teams.plane.api.delete(path)


@pytest.mark.acceptance("feedback: a rejected edit is told, and which version stays in force")
def test_rejected_edit(teams: Teams) -> None:
    teams.apply(
        "ServiceEgressRule", "shop", "web-edited", {"service": "web", "action": "Allow", "to": [{"name": "provider"}]}
    )
    eventually("programmed", lambda: teams.condition("ServiceEgressRule", "shop", "web-edited") == "Programmed")
    teams.apply(
        "ServiceEgressRule", "shop", "web-edited", {"service": "web", "action": "Allow", "to": [{"name": "nowhere"}]}
    )
    eventually("told", lambda: teams.condition("ServiceEgressRule", "shop", "web-edited", "Accepted") == "Invalid")
    eventually("the Event", lambda: _about(teams, "ServiceEgressRule", "web-edited") == {"Invalid"})
    teams.shown("rejected-edit", "ServiceEgressRule", "shop", "web-edited")


@pytest.mark.acceptance("feedback: what is held is told by status and Event")
def test_held(teams: Teams) -> None:
    """Most pods of a group vanish while nobody watches."""
    group = f"{OWNER}_{CLUSTER}_service_{teams.names['shop']}_batch"
    eventually("all pods are members", lambda: len(members(teams.edge, group)) == 8)
    teams.bridge.stop()
    teams.plane.kubectl("-n", teams.names["shop"], "scale", "deployment/batch", "--replicas=2")
    eventually("six are gone", lambda: len(teams.running("shop", "batch")) == 2, 60)
    teams.bridge.start()
    eventually("told", lambda: teams.condition("ServiceEgressRule", "shop", "batch-provider") == "Held")
    eventually("the Event", lambda: _about(teams, "ServiceEgressRule", "batch-provider") == {"Held"})
    teams.shown("held", "ServiceEgressRule", "shop", "batch-provider")


@pytest.mark.acceptance("feedback: what a device has stored and not enforced yet is told, and its end")
def test_awaiting_deploy(teams: Teams) -> None:
    teams.edge.store.compiler.manual = True
    try:
        teams.external("orders", "bank", "192.0.2.112/28")
        teams.rule("orders", "payments", "bank")
        eventually("told", lambda: teams.condition("ServiceEgressRule", "orders", "payments-bank") == "AwaitingDeploy")
        teams.shown("awaiting-deploy", "ServiceEgressRule", "orders", "payments-bank")
    finally:
        teams.edge.store.compiler.manual = False
        teams.edge.deploy()
    eventually("told", lambda: teams.condition("ServiceEgressRule", "orders", "payments-bank") == "Programmed")


@pytest.mark.acceptance("feedback: a device that is away is told, and its return")
def test_unreachable(teams: Teams) -> None:
    teams.edge.faults.add("cut", times=None)
    try:
        teams.external("orders", "post", "192.0.2.128/28")
        teams.rule("orders", "payments", "post")
        eventually(
            "told", lambda: teams.condition("ServiceEgressRule", "orders", "payments-post") == "DeviceUnreachable"
        )
        teams.shown("unreachable", "ServiceEgressRule", "orders", "payments-post")
    finally:
        teams.edge.faults.clear()
    eventually("told", lambda: teams.condition("ServiceEgressRule", "orders", "payments-post") == "Programmed", 60)


def _await_quiet(teams: Teams) -> None:
    """Until all there is to be told was told."""
    before: dict[str, str] = {}

    def rests() -> bool:
        nonlocal before
        last, before = before, teams.told()
        time.sleep(6)
        return last == before

    for _, kind, namespace, name, reason in EXAMPLES:
        eventually(f"{name} is {reason}", partial(_is_told, teams, kind, namespace, name, reason))
    eventually("all is told", rests, 60)


def _is_told(teams: Teams, kind: str, namespace: str, name: str, reason: str) -> bool:
    return teams.condition(kind, namespace, name) == reason
