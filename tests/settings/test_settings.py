"""Where settings come from, and the values they become."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bridge.errors import SettingsError
from bridge.model.observed import Namespace
from bridge.model.policy import DefaultAction, Operator, Requirement, UnknownAddresses
from bridge.policy.guard import GuardLimits, Threshold
from bridge.policy.select import governed
from bridge.resources import shipped
from bridge.settings import load, load_base, locate, schema
from bridge.settings.credentials import SecretKey
from bridge.settings.loading import strangers
from tests.settings.files import GOOD, Paper, changed, good, loaded, problems


def test_the_order_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate(None, {}) != Path("bridge.yaml")
    Path("bridge.yaml").touch()
    assert locate(None, {}) == Path("bridge.yaml")
    assert locate(None, {"FUSION_BRIDGE_CONFIG": "other.yaml"}) == Path("other.yaml")
    assert locate(Path("said.yaml"), {"FUSION_BRIDGE_CONFIG": "other.yaml"}) == Path("said.yaml")


def test_without_a_file_the_places_are_named() -> None:
    with pytest.raises(
        SettingsError, match=r"no settings file.*FUSION_BRIDGE_CONFIG.*bridge\.yaml.*/etc/fusion-bridge"
    ):
        load(None, Paper(), {})


def test_everything_may_come_from_the_environment() -> None:
    environ = {
        "FUSION_BRIDGE_OWNER": "acme",
        "FUSION_BRIDGE_CLUSTERS": json.dumps(GOOD["clusters"]),
        "FUSION_BRIDGE_DEVICES": json.dumps(GOOD["devices"]),
    }
    assert [one.name for one in load(None, Paper(), environ).clusters] == ["east", "west"]


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    raw = {**good(), "log": {"level": "error", "format": "json"}, "database": {"poolSize": 3}}
    found = loaded(
        tmp_path,
        raw,
        {
            "FUSION_BRIDGE_LOG__LEVEL": "debug",
            "FUSION_BRIDGE_DATABASE_URL": "postgresql://u:hunter2@db/x",
            "FUSION_BRIDGE_DATABASE__POOL_SIZE": "12",
            "FUSION_BRIDGE_DATA_DIR": "/var/lib/bridge",
            "FUSION_BRIDGE_SERVICE_HOST": "10.96.0.7",
            "LOG": "nothing of ours",
        },
    )
    assert (found.log.level, found.log.format, found.database.pool_size) == ("debug", "json", 12)
    assert found.data_dir == Path("/var/lib/bridge")
    assert found.database.url is not None
    assert found.database.url.get_secret_value() == "postgresql://u:hunter2@db/x"
    assert "hunter2" not in repr(found) + str(found) + found.model_dump_json()


def test_a_bad_variable_is_a_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, good(), {"FUSION_BRIDGE_CLUSTERS": "[hunter2"}) == {
        "FUSION_BRIDGE_CLUSTERS": "is not YAML"
    }
    assert "log.levl" in problems(tmp_path, good(), {"FUSION_BRIDGE_LOG__LEVL": "debug"})


def test_variables_that_set_nothing_are_known() -> None:
    environ = dict.fromkeys(
        [
            "FUSION_BRIDGE_OWNR",
            "FUSION_BRIDGE_OWNER",
            "FUSION_BRIDGE_SERVICE_HOST",
            "FUSION_BRIDGE_PORT_80_TCP_ADDR",
            "PATH",
        ],
        "x",
    )
    assert strangers(environ) == ("FUSION_BRIDGE_OWNR",)


def test_the_base_is_readable_while_the_rest_is_not(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text("{owner: '!', devices: 3, database: {poolSize: 4}}")
    assert load_base(path, {}).database.pool_size == 4
    path.write_text("{database: {pools: 4}}")
    with pytest.raises(SettingsError, match=r"database\.pools"):
        load_base(path, {})


def test_paths_start_from_the_file(tmp_path: Path) -> None:
    raw = changed("clusters/0/kubeconfig", "east.kubeconfig")
    raw["dataDir"] = "state"
    found = loaded(tmp_path, raw)
    assert found.clusters[0].kubeconfig == tmp_path / "east.kubeconfig"
    assert found.data_dir == tmp_path / "state"


def test_nothing_is_governed_by_default(tmp_path: Path) -> None:
    governance = loaded(tmp_path, good()).cluster("east").governance("fusion-bridge")
    assert governance.pod_ranges == ("10.64.0.0/16",)
    assert governance.internal == ("10.64.0.0/16", "10.96.0.0/12")
    assert governance.namespaces.requirements == (Requirement("fusionbridge.io/egress", Operator.IN, ("governed",)),)
    label = {"fusionbridge.io/egress": "governed"}
    assert not governed(_namespace("shop", {}), governance)
    assert governed(_namespace("shop", label), governance)
    for never in ("kube-system", "fusion-bridge"):
        assert not governed(_namespace(never, label), governance)


def test_what_is_named_is_governed(tmp_path: Path) -> None:
    raw = changed("clusters/0/governed", {"namespaces": ["fusion-bridge"], "never": ["db"], "namespaceSelector": {}})
    governance = loaded(tmp_path, raw).cluster("east").governance("fusion-bridge")
    assert governed(_namespace("fusion-bridge", {}), governance)
    assert governed(_namespace("shop", {}), governance)
    assert not governed(_namespace("db", {}), governance)


def test_a_device_as_its_adapter_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "edge-password").write_text("hunter2\n")
    monkeypatch.setenv("EDGE_USER", "bridge")
    raw = good()
    raw["devices"][0] |= {"tls": {"caFile": "ca.pem"}, "timeout": 5, "attach": "ifEmpty", "mode": "plan"}
    found = loaded(tmp_path, raw)
    config = found.devices[0].config(found.owner)
    assert (config.name, config.kind, config.url, config.owner) == ("edge", "paper", "https://192.0.2.10", "acme")
    assert (config.scope, config.attach) == ({"colour": "blue"}, {"mode": "ifEmpty"})
    assert (config.tls_verify, config.ca_file, config.timeout) == (True, str(tmp_path / "ca.pem"), 5)
    assert (config.credentials.value("username"), config.credentials.value("password")) == ("bridge", "hunter2")
    assert "hunter2" not in repr(config)
    assert repr(config.credentials) == "<Credentials>"


def test_secrets_are_read_at_each_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = loaded(tmp_path, good()).devices[0].config("acme").credentials
    with pytest.raises(KeyError, match="No such file"):
        credentials.value("password")
    with pytest.raises(KeyError, match="EDGE_USER is not set"):
        credentials.value("username")
    with pytest.raises(KeyError, match="not among"):
        credentials.value("token")
    for secret in ("first", "second"):
        (tmp_path / "edge-password").write_text(secret)
        monkeypatch.setenv("EDGE_USER", secret)
        assert (credentials.value("password"), credentials.value("username")) == (secret, secret)


def test_a_kubernetes_secret_comes_through_the_reader(tmp_path: Path) -> None:
    place = {"secret": {"namespace": "fusion-bridge", "name": "edge", "key": "pw", "cluster": "west"}}
    device = loaded(tmp_path, changed("devices/0/credentials/password", place)).devices[0]
    asked: list[SecretKey] = []

    def read(secret: SecretKey) -> str:
        asked.append(secret)
        return "hunter2"

    assert device.config("acme", read).credentials.value("password") == "hunter2"
    assert [(one.cluster, one.namespace, one.name, one.key) for one in asked] == [
        ("west", "fusion-bridge", "edge", "pw")
    ]
    with pytest.raises(KeyError, match="no way to read"):
        device.config("acme").credentials.value("password")


def test_defaults_for_each_cluster(tmp_path: Path) -> None:
    found = loaded(tmp_path, good())
    (device,) = found.serving("west")
    defaults = device.scope.clusters["west"].default.defaults()
    assert (defaults.action, defaults.unknown_addresses) == (DefaultAction.NONE, UnknownAddresses.PASS)
    assert device.namespaces() is None
    assert found.delivery.guard.limits() == GuardLimits()


def test_thresholds_can_be_set(tmp_path: Path) -> None:
    raw = {
        **good(),
        "delivery": {"guard": {"growthPerGroup": {"percent": 200, "count": 5}, "destination": 1, "window": 0}},
    }
    limits = loaded(tmp_path, raw).delivery.guard.limits()
    assert limits == GuardLimits(growth_per_group=Threshold(200, 5), destination=1, window=0)


def test_the_schema_takes_what_is_good_and_the_example() -> None:
    validator: Any = jsonschema.Draft202012Validator(schema())
    validator.validate(GOOD)
    validator.validate(yaml.safe_load(shipped("config/bridge.example.yaml").read_text()))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**GOOD, "ownr": "x"})


def test_the_example_names_every_setting() -> None:
    text = shipped("config/bridge.example.yaml").read_text()
    for section in [schema(), *schema()["$defs"].values()]:
        for name in section.get("properties", {}):
            if name not in ("matchLabels", "matchExpressions", "token"):
                assert f"{name}:" in text, name


def _namespace(name: str, labels: dict[str, str]) -> Namespace:
    return Namespace(uid=name, name=name, resource_version="1", labels=labels, annotations={}, deleting=False)
