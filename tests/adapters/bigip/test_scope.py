"""Every problem of the settings is told with its path, and the factory answers without a device."""

from typing import Any

import pytest

from adapters.bigip import factory
from bridge.contract import DeviceConfig
from bridge.model.capabilities import Form
from tests.adapters.bigip.site import Secrets


def config(**changes: Any) -> DeviceConfig:  # noqa: ANN401
    given: dict[str, Any] = {"name": "edge", "kind": "bigip", "url": "https://192.0.2.1", "owner": "fb"}
    return DeviceConfig(**(given | {"credentials": Secrets({})} | changes))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"owner": "Much_Too_Long"}, "owner"),
        ({"url": "192.0.2.1"}, "url"),
        ({"scope": {"routeDomain": 70_000}}, "scope.routeDomain"),
        ({"scope": {"routeDomain": "7"}}, "scope.routeDomain"),
        ({"scope": {"pageSize": True}}, "scope.pageSize"),
        ({"scope": {"activation": 3}}, "scope.activation"),
        ({"scope": {"folder": "/Common/x"}}, "scope.folder"),
        ({"attach": {"mode": "always"}}, "attach.mode"),
        ({"attach": {"cluster": {"context": "management"}}}, "attach.cluster.context"),
        ({"attach": {"namespace": {"routeDomain": "0"}}}, "attach.namespace.routeDomain"),
        ({"attach": {"service": "/Common/vs"}}, "attach.service"),
        ({"attach": {"service": {"virtualServer": ["x"]}}}, "attach.service.virtualServer"),
        ({"attach": {"tenant": {}}}, "attach.tenant"),
    ],
)
def test_a_problem_is_told_with_its_path(changes: dict[str, Any], path: str) -> None:
    assert list(factory.problems(config(**changes))) == [path]


def test_all_problems_are_told_at_once() -> None:
    found = factory.problems(config(url="x", scope={"a": 1, "b": 2}, attach={"mode": 1}))
    assert set(found) == {"url", "scope.a", "scope.b", "attach.mode"}


def test_good_settings_have_no_problems() -> None:
    scope = {"routeDomain": 3, "activation": "none", "loginProvider": "tmos", "tokenSeconds": 1200, "pageSize": 100}
    attach = {"mode": "ifEmpty", "cluster": {"context": "global"}, "namespace": {"routeDomain": "/Common/3"}}
    attach["service"] = {"virtualServer": "/Common/egress"}
    assert factory.problems(config(scope=scope, attach=attach)) == {}
    assert factory.problems(config()) == {}


def test_the_factory_answers_without_a_device() -> None:
    can, limits = factory.capabilities(config()), factory.limits(config(timeout=12.0))
    assert can.form is Form.TIERED
    assert can.atomic
    assert can.compiles_later
    assert not can.fqdn
    assert limits.call_seconds == 12.0
    assert limits.shard_members == 128
    assert factory.open(config()).device == "edge"
