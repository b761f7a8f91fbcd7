"""The manifests of config/kubernetes as they stand in their files: made of what the code and the other files say, and nothing forgotten."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.cli.adapters import InstalledAdapters
from bridge.cluster.rights import Right, bindings, rights, roles
from bridge.dialects.dialect import load
from bridge.errors import SettingsError
from bridge.model.observed import ALWAYS_WATCHED
from bridge.resources import shipped
from bridge.settings import Settings
from bridge.settings import load as load_settings

KUBERNETES = shipped("config/kubernetes")
RULE = KUBERNETES / "components/monitoring/prometheus-rule.yaml"
ALERTS = shipped("config/monitoring") / "alerts.yaml"


def documents(*names: str) -> list[dict[str, Any]]:
    """The objects in these files of config/kubernetes."""
    return [one for name in names for one in yaml.safe_load_all((KUBERNETES / name).read_text())]


def needed(*dialects: str) -> tuple[Right, ...]:
    """What it takes to serve a cluster with these dialects, and no Secrets."""
    return rights((*ALWAYS_WATCHED, *load(dialects).kinds))


def site() -> Settings:
    """The settings of the site that is to be copied."""
    return load_settings(KUBERNETES / "site/bridge.yaml", InstalledAdapters(), environ={})


@pytest.mark.parametrize(
    ("folder", "name", "granted"),
    [
        ("base", "fusion-bridge", needed("native")),
        (
            "components/ces",
            "fusion-bridge-ces",
            [one for one in needed("native", "ces") if one not in needed("native")],
        ),
    ],
)
def test_the_roles_are_what_the_code_uses(folder: str, name: str, granted: Iterable[Right]) -> None:
    assert documents(f"{folder}/role.yaml") == roles(name, granted)
    assert documents(f"{folder}/role-binding.yaml") == bindings(name, granted, "fusion-bridge", "fusion-bridge")


def test_the_alerts_are_those_of_the_monitoring_folder() -> None:
    text = ALERTS.read_text()
    if os.environ.get("FUSION_BRIDGE_WRITE_DOCS") == "1":
        head = RULE.read_text().partition("spec:\n")[0]
        lines = text[text.index("groups:\n") :].splitlines()
        RULE.write_text(f"{head}spec:\n" + "".join(f"  {line}".rstrip() + "\n" for line in lines))
    (rule,) = documents("components/monitoring/prometheus-rule.yaml")
    assert rule["spec"] == yaml.safe_load(text)


def test_the_job_is_the_one_that_the_alerts_ask_for() -> None:
    (service,) = documents("components/monitoring/service.yaml")
    assert f'job="{service["metadata"]["name"]}"' in ALERTS.read_text()
    (monitor,) = documents("components/monitoring/service-monitor.yaml")
    (port,) = service["spec"]["ports"]
    assert [one["port"] for one in monitor["spec"]["endpoints"]] == [port["name"]]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


@pytest.mark.parametrize(
    "folder",
    [*(path.parent for path in KUBERNETES.rglob("kustomization.yaml")), shipped("config/crd")],
    ids=lambda path: path.name,
)
def test_a_kustomization_names_every_file_beside_it(folder: Path) -> None:
    (found,) = (path for path in folder.iterdir() if path.stem.lower() == "kustomization")
    said = yaml.safe_load(found.read_text())
    named = [*said["resources"], *(name for made in said.get("configMapGenerator", ()) for name in made["files"])]
    assert {name for name in named if "/" not in name} == {path.name for path in folder.glob("*.yaml")} - {found.name}
    assert all((folder / name).exists() for name in (*named, *said.get("components", ())))


def test_the_site_is_one_and_the_base_is_nobodys() -> None:
    settings = site()
    assert settings.clusters[0].in_cluster
    with pytest.raises(SettingsError) as refused:
        load_settings(KUBERNETES / "base/bridge.yaml", InstalledAdapters(), environ={})
    assert "owner" in refused.value.problems


def test_credentials_come_from_what_the_pod_mounts() -> None:
    settings = site()
    (deployment,) = documents("base/deployment.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    places = [source.file for device in settings.devices for _, source in device.credentials.places()]
    assert places
    assert {str(place.parent) for place in places if place} == {mounts["devices"]}
    assert mounts["settings"] == "/etc/fusion-bridge"  # where the settings are looked for


def test_two_replicas_on_two_nodes_and_one_that_stays() -> None:
    (deployment,) = documents("base/deployment.yaml")
    (budget,) = documents("base/disruption-budget.yaml")
    template = deployment["spec"]["template"]
    (apart,) = template["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    selectors = [deployment["spec"]["selector"], budget["spec"]["selector"], apart["labelSelector"]]
    assert all(one["matchLabels"] == template["metadata"]["labels"] for one in selectors)
    assert deployment["spec"]["replicas"] - budget["spec"]["minAvailable"] == 1


def test_nothing_in_the_pod_may_be_written_but_tmp_or_is_privileged() -> None:
    (deployment,) = documents("base/deployment.yaml")
    spec = deployment["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65534  # as the image
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
        assert writable == ["/tmp"]


# ---- the console


def test_the_console_is_opened_as_the_settings_ask_and_decides_by_its_own_account() -> None:
    (deployment,) = documents("components/console/deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environ = {
        one["name"]: one["value"].replace("$(POD_IP)", "10.64.0.7") for one in container["env"] if "value" in one
    }
    environ["FUSION_BRIDGE_API__ROLES"] = "{security: {groups: [firewall-team]}}"  # what a site has to say itself
    settings = load_settings(KUBERNETES / "site/bridge.yaml", InstalledAdapters(), environ=environ)
    (service,) = documents("components/console/service.yaml")
    name, home = service["metadata"]["name"], service["metadata"]["namespace"]
    assert (settings.api.address, settings.api.authentication) == ("10.64.0.7", "tokenReview")
    assert f"{name}.{home}.svc" in settings.api.hosts
    assert settings.api.tls is not None
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(settings.api.tls.cert_file.parent) == mounts["certificate"]
    (port,) = service["spec"]["ports"]
    assert [(one["name"], one["containerPort"]) for one in container["ports"]] == [(port["targetPort"], 9810)]
    assert deployment["spec"]["template"]["metadata"]["labels"].items() >= service["spec"]["selector"].items()
    bound = {one["roleRef"]["name"]: one["subjects"] for one in documents("components/console/role-binding.yaml")}
    account = {"kind": "ServiceAccount", "name": pod["serviceAccountName"], "namespace": home}
    assert bound == {"fusion-bridge-security": [account], "system:auth-delegator": [account]}


def test_the_console_is_as_bare_as_the_bridge() -> None:
    (console,), (bridge,) = documents("components/console/deployment.yaml"), documents("base/deployment.yaml")
    ours, theirs = (one["spec"]["template"]["spec"] for one in (console, bridge))
    assert ours["securityContext"] == theirs["securityContext"]
    assert ours["containers"][0]["securityContext"] == theirs["containers"][0]["securityContext"]
    assert ours["serviceAccountName"] != theirs["serviceAccountName"]
