"""What is wrong with the settings of a gateway, said before anything is tried."""

from dataclasses import replace
from typing import Any

import pytest

from adapters.nftables import factory
from adapters.nftables.scope import Scope
from bridge.contract import DeviceConfig
from bridge.model.capabilities import Form
from tests.adapters.nftables.rig import NoSecrets

GOOD = DeviceConfig("edge", "nftables", "local://gw", "fb", NoSecrets())
REMOTE = replace(GOOD, url="ssh://gateway.example:22")


def test_a_name_and_an_owner_are_enough() -> None:
    assert factory.problems(GOOD) == {}
    assert Scope.of(GOOD) == Scope()
    assert factory.limits(GOOD).group_members is None
    assert factory.limits(GOOD).shard_members is None


def test_all_that_can_be_said() -> None:
    said = {
        "form": "flat",
        "program": "/usr/sbin/nft",
        "sudo": True,
        "networkNamespace": "blue",
        "logRate": 0,
        "logGroup": 5,
        "transactionSteps": 10,
        "persist": "/etc/nftables.d/bridge.nft",
        "identityFile": "/etc/key",
        "knownHosts": "/etc/known",
    }
    config = replace(REMOTE, scope=said, attach={"mode": "ifEmpty", "priority": -5})
    assert factory.problems(config) == {}
    scope = Scope.of(config)
    assert (scope.host, scope.port, scope.attach, scope.priority) == ("gateway.example", 22, True, -5)
    assert scope.prefix == ("sudo", "-n", "ip", "netns", "exec", "blue")
    assert (scope.form, factory.capabilities(config).form) == (Form.FLAT, Form.FLAT)
    assert factory.limits(config).batch == 10


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"owner": "Not Me"}, "owner"),
        ({"url": "https://gw"}, "url"),
        ({"url": "ssh://-oProxyCommand=evil"}, "url"),
        ({"url": "ssh://host:99999"}, "url"),
        ({"url": "ssh://host/path"}, "url"),
        ({"url": "local://"}, "url"),
        ({"scope": {"form": "allow-only"}}, "scope.form"),
        ({"scope": {"program": "nft; reboot"}}, "scope.program"),
        ({"scope": {"persist": "relative"}}, "scope.persist"),
        ({"scope": {"persist": "/etc/x\n"}}, "scope.persist"),
        ({"scope": {"networkNamespace": "-a"}}, "scope.networkNamespace"),
        ({"scope": {"networkNamespace": ""}}, "scope.networkNamespace"),
        ({"scope": {"sudo": "yes"}}, "scope.sudo"),
        ({"scope": {"logRate": -1}}, "scope.logRate"),
        ({"scope": {"logGroup": True}}, "scope.logGroup"),
        ({"scope": {"transactionSteps": 0}}, "scope.transactionSteps"),
        ({"scope": {"identityFile": "/etc/key"}}, "scope.identityFile"),
        ({"scope": {"tabel": 1}}, "scope.tabel"),
        ({"attach": {"mode": "always"}}, "attach.mode"),
        ({"attach": {"priority": "high"}}, "attach.priority"),
        ({"attach": {"hook": "input"}}, "attach.hook"),
    ],
)
def test_what_is_wrong_is_named_by_path(change: dict[str, Any], path: str) -> None:
    assert set(factory.problems(replace(GOOD, **change))) == {path}
