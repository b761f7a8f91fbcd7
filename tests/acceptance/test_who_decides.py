"""Who may decide, on a real API server: whom RBAC lets, in their own name where a site wants that, and once for each object."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from bridge.cluster.rights import Right
from bridge.model.kinds import DECISION, STOP, Kind
from bridge.resources import shipped
from tests.acceptance.documented import Document
from tests.cli.program import Answer, run
from tests.control_plane.api import Json, eventually
from tests.control_plane.plane import ControlPlane
from tests.deployment.account import ServiceAccount

HOME = "test-decisions"
OPERATIONS = Document(Path(__file__).parents[2] / "docs/operations.md")
DIGEST = "0123456789abcdef"
KUBERNETES = shipped("config/kubernetes")
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


@dataclass
class Site:
    """A cluster with our kinds and the role for those who decide, and people: with that role, and without."""

    plane: ControlPlane
    folder: Path

    def person(self, name: str, *granted: Right, decides: bool = False) -> Callable[..., Answer]:
        """The program as that person."""
        account = ServiceAccount.make(self.plane, HOME, name, granted)
        if decides:
            _, command, _ = OPERATIONS.examples()["security"].splitlines()
            names = {"fusion-bridge-security": f"{HOME}-{name}-decides", "--group=GROUP": f"--user={self.user(name)}"}
            self.plane.kubectl(*(names.get(word, word) for word in command.split()[1:]))
            account.await_roles([Right("create", "decisions", "fusionbridge.io")])
        account.connection(self.folder).close()
        kubeconfig = self.folder / f"{name}.kubeconfig"

        def program(*arguments: str) -> Answer:
            environment = {"FUSION_BRIDGE_CONFIG": None}
            return run(*arguments, "--kubeconfig", kubeconfig, "--wait", "0", "--output", "json", env=environment)

        return program

    def user(self, name: str) -> str:
        """By which the cluster knows the person."""
        return f"system:serviceaccount:{HOME}:{name}"

    def written(self, path: str) -> Sequence[Json]:
        return list(self.plane.api.items(path))


@pytest.fixture(scope="module")
def site(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    control_plane.install_crds(shipped("config/crd"))
    api = control_plane.api
    api.post("/api/v1/namespaces", {"metadata": {"name": HOME}})
    api.post(_ROLES, yaml.safe_load((KUBERNETES / "base/security-role.yaml").read_text()))
    yield Site(control_plane, tmp_path_factory.mktemp("people"))
    for path in (DECISION.path, STOP.path):
        for one in api.items(path):
            api.delete(f"{path}/{one['metadata']['name']}")
    for path in (_BINDINGS, _ROLES):
        for one in api.items(path):
            if one["metadata"]["name"].startswith((HOME, "fusion-bridge-security")):
                api.delete(f"{path}/{one['metadata']['name']}")
    api.delete(f"/api/v1/namespaces/{HOME}")


@pytest.fixture
def in_own_name(site: Site) -> Iterator[None]:
    """With the component decisions-by-user, in force."""
    api, folder = site.plane.api, KUBERNETES / "components/decisions-by-user"
    kinds = {"policy": "validatingadmissionpolicies", "policy-binding": "validatingadmissionpolicybindings"}
    for name, plural in kinds.items():
        api.post(f"{_ADMISSION}/{plural}", yaml.safe_load((folder / f"{name}.yaml").read_text()))
    eventually("the policy is in force", lambda: _refused(site, {"by": "nobody", "reason": "probe"}))
    yield
    for plural in kinds.values():
        api.delete(f"{_ADMISSION}/{plural}/fusion-bridge-decisions-by-user")
    eventually("the policy is gone", lambda: not _refused(site, {"by": "nobody", "reason": "probe"}))


def _refused(site: Site, spec: Json) -> bool:
    try:
        site.plane.api.post(f"{STOP.path}?dryRun=All", _object(STOP, spec))
    except httpx.HTTPStatusError as error:
        return error.response.status_code in (403, 422)
    return False


def _release(by: str = "") -> tuple[str, ...]:
    return ("release", DIGEST, "--device", "edge", "--reason", "they are gone", *(("--by", by) if by else ()))


@pytest.mark.acceptance("trust: a person without the right can neither release nor stop, and is told so")
def test_without_the_right(site: Site) -> None:
    passer_by = site.person("passer-by")
    before = len(site.written(DECISION.path)), len(site.written(STOP.path))
    for arguments in (
        _release("ann"),
        ("stop", "--by", "ann", "--reason", "x"),
        ("start", "--by", "ann", "--reason", "x"),
    ):
        answer = passer_by(*arguments)
        assert answer.code == 3
        assert "the cluster does not let you" in answer.err
    assert (len(site.written(DECISION.path)), len(site.written(STOP.path))) == before


@pytest.mark.acceptance("trust: release and stop are objects that RBAC guards, with a name and a reason")
def test_with_the_right(site: Site) -> None:
    ann = site.person("ann", decides=True)
    answer = ann(*_release())
    (one,) = [each for each in site.written(DECISION.path) if each["metadata"]["name"] == answer.json["name"]]
    assert one["spec"]["by"] == site.user("ann"), "the cluster itself says who it is"
    assert one["spec"]["reason"] == "they are gone"
    assert answer.json["state"] == "Waiting"
    stopped = ann("stop", "edge", "--by", "ann", "--reason", "a fire")
    name = stopped.json["stops"][0]["name"]
    ann("start", "edge", "--by", "ann", "--reason", "it is out")
    assert site.plane.api.get(f"{STOP.path}/{name}")["spec"]["lifted"] == {"by": "ann", "reason": "it is out"}


@pytest.mark.acceptance("trust: who may decide and not read what becomes of it is told that it is written")
def test_who_may_write_and_not_read(site: Site) -> None:
    joe = site.person("joe", Right("create", "decisions", "fusionbridge.io"))
    answer = joe(*_release("joe"))
    assert answer.code == 3
    assert "it is written, and what becomes of it is not to be read" in answer.json["message"]
    assert answer.json["name"] in [one["metadata"]["name"] for one in site.written(DECISION.path)]


@pytest.mark.acceptance(
    "trust: where a site wants it, whoever decides signs with the name by which the cluster knows them"
)
def test_in_ones_own_name(site: Site, in_own_name: None) -> None:
    eve = site.person("eve", decides=True)
    answer = eve(*_release("ann"))
    assert answer.code == 3
    assert f"spec.by must be the name by which the cluster knows you: {site.user('eve')}" in answer.err
    assert eve(*_release()).json["by"] == site.user("eve")
    name = eve("stop", "edge", "--reason", "a fire").json["stops"][0]["name"]
    refused = eve("start", "--stop", name, "--by", "ann", "--reason", "it is out")
    assert "spec.lifted.by must be the name" in refused.err
    eve("start", "--stop", name, "--reason", "it is out")
    assert site.plane.api.get(f"{STOP.path}/{name}")["spec"]["lifted"]["by"] == site.user("eve")
    # What was written in another name before the policy came can still be ended, and be told what became of it.
    status = site.plane.api.patch(f"{STOP.path}/{name}/status", {"status": {"state": "Started"}})
    assert status["status"]["state"] == "Started"


def _object(kind: Kind, spec: Json) -> Json:
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"generateName": "it-"}, "spec": spec}


def _post(site: Site, kind: Kind, spec: Json) -> str:
    made = site.plane.api.post(kind.path, _object(kind, spec))
    return f"{kind.path}/{made['metadata']['name']}"


_DECISION: Json = {"device": "edge", "digest": DIGEST, "verdict": "Reject", "by": "ann", "reason": "x"}
_STOP: Json = {"devices": ["edge"], "by": "ann", "reason": "a fire"}
_LIFTED: Json = {"by": "bob", "reason": "it is out"}


@pytest.mark.acceptance("trust: what was decided is never changed: the API server refuses it")
@pytest.mark.parametrize(
    ("kind", "first", "patch", "words"),
    [
        (DECISION, _DECISION, {"verdict": "Release"}, "a decision is never changed"),
        (DECISION, _DECISION, {"reason": "y"}, "a decision is never changed"),
        (STOP, _STOP, {"by": "eve"}, "who stopped them, and why, is never changed"),
        (STOP, _STOP, {"devices": ["core"]}, "what is stopped is never changed"),
        (STOP, _STOP, {"devices": None}, "what is stopped is never changed"),
        (STOP, _STOP | {"lifted": _LIFTED}, {"lifted": None}, "a stop is lifted once and for good"),
        (STOP, _STOP | {"lifted": _LIFTED}, {"lifted": {"by": "eve"}}, "a stop is lifted once and for good"),
        (STOP, _STOP, {"lifted": {"by": "bob"}}, "spec.lifted.reason: Required"),
    ],
)
def test_what_was_decided_is_never_changed(
    site: Site, kind: Kind, first: Json, patch: dict[str, Any], words: str
) -> None:
    place = _post(site, kind, first)
    with pytest.raises(httpx.HTTPStatusError) as refused:
        site.plane.api.patch(place, {"spec": patch})
    assert refused.value.response.status_code == 422
    assert words in refused.value.response.text


@pytest.mark.acceptance("trust: the API server takes no decision or stop without a name, a reason and a sense")
@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (DECISION, _DECISION | {"digest": "no digest"}),
        (DECISION, _DECISION | {"verdict": "release"}),
        (DECISION, _DECISION | {"by": "  "}),
        (DECISION, {name: value for name, value in _DECISION.items() if name != "reason"}),
        (STOP, _STOP | {"devices": ["Edge"]}),
        (STOP, _STOP | {"devices": "edge"}),
        (STOP, {"devices": ["edge"], "reason": "x"}),
    ],
)
def test_what_makes_no_sense_is_not_taken(site: Site, kind: Kind, spec: Json) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        _post(site, kind, spec)
    assert refused.value.response.status_code == 422


@pytest.mark.acceptance("trust: `kubectl get` shows decisions and stops with who made them and what became of them")
def test_what_kubectl_shows(site: Site) -> None:
    name = _post(site, DECISION, _DECISION).rpartition("/")[2]
    site.plane.api.patch(f"{DECISION.path}/{name}/status", {"status": {"state": "Done", "message": "12 members"}})
    lines = site.plane.kubectl("get", "fbd", name).splitlines()
    assert lines[0].split() == ["NAME", "DEVICE", "DIGEST", "VERDICT", "BY", "STATE", "AGE"]
    assert lines[1].split()[:6] == [name, "edge", DIGEST, "Reject", "ann", "Done"]
    stop = _post(site, STOP, _STOP).rpartition("/")[2]
    assert '["edge"]' in site.plane.kubectl("get", "fbstop", stop)
