"""Who answers, what speaks against writing there, and what the settings say of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from adapters.fortigate import factory
from adapters.fortigate.adapter import FortigateAdapter
from adapters.fortigate.unit import Room, Unit, version
from bridge.contract import DeviceConfig
from bridge.errors import Denied
from bridge.lab.devices.fortigate import Fortigate
from bridge.model.capabilities import Limits
from bridge.model.intent import EVERYTHING
from tests.adapters.fortigate.rig import Token


@pytest.fixture
def box() -> Iterator[Fortigate]:
    with Fortigate(tls=False) as device:
        yield device


def config(box: Fortigate, **scope: object) -> DeviceConfig:
    return DeviceConfig("edge", "fortigate", box.url, "fb", Token(box), scope)


Open = Callable[..., FortigateAdapter]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens adapters, and closes them at the end."""
    found: list[FortigateAdapter] = []

    def another(box: Fortigate, **scope: object) -> FortigateAdapter:
        found.append(factory.open(config(box, **scope)))
        return found[-1]

    yield another
    for one in found:
        one.close()


def test_a_policy_based_vdom_is_refused_unless_acknowledged(box: Fortigate, opened: Open) -> None:
    box.change_object("system/settings", {"ngfw-mode": "policy-based"})
    with pytest.raises(Denied, match="policy-based mode; say policyBased"):
        opened(box).read(EVERYTHING)
    opened(box, acknowledge=["policyBased"]).read(EVERYTHING)
    with pytest.raises(Denied, match="only mode groups"):
        opened(box, acknowledge=["policyBased"], mode="policies", policies={"before": "x"}).read(EVERYTHING)


def test_a_unit_under_a_manager_is_refused_unless_acknowledged(box: Fortigate, opened: Open) -> None:
    box.manage("192.0.2.9")
    with pytest.raises(Denied, match=r"FortiManager 192\.0\.2\.9 manages it"):
        opened(box).read(EVERYTHING)
    opened(box, acknowledge=["fortiManager"]).read(EVERYTHING)
    box.manage("")
    opened(box).read(EVERYTHING)


def test_nothing_is_written_to_a_unit_that_is_refused(box: Fortigate, opened: Open) -> None:
    box.manage()
    written = len(box.writes())
    adapter = opened(box)
    with pytest.raises(Denied):
        adapter.read(EVERYTHING)
    assert len(box.writes()) == written


def test_a_pair_is_one_device_when_the_settings_name_its_units(box: Fortigate, opened: Open) -> None:
    box.pair()
    one, other = (unit.serial for unit in box.identity.units)
    named, unnamed = opened(box, units=[other, one]), opened(box)
    before = named.read(EVERYTHING).identity
    assert unnamed.read(EVERYTHING).identity == one
    box.failover()
    assert named.read(EVERYTHING).identity == before == f"{one}+{other}"
    assert unnamed.read(EVERYTHING).identity == other
    assert opened(box, units=["FGT999"]).read(EVERYTHING).identity == other, "another box in its place is told"


def test_room_is_told_by_the_unit() -> None:
    unit = Unit("FGT1", (7, 4, 8), rooms={"policies": Room(300, 10), "groups": Room(50, 0)})
    assert unit.limits(Limits(rules=1000)) == Limits(rules=300, groups=50)
    assert replace(unit, version=(7, 2, 0)).limits(Limits(feeds=8)).feeds == 0
    assert unit.limits(Limits(feeds=8)).feeds == 8


def test_limits_follow_the_unit_once_it_was_read(box: Fortigate, opened: Open) -> None:
    box.limits.tables["firewall-policy"] = 77
    adapter = opened(box)
    assert adapter.limits.rules is None
    adapter.read(EVERYTHING)
    assert adapter.limits.rules == 77


@pytest.mark.parametrize(("text", "found"), [("v7.4.8", (7, 4, 8)), ("7.2", (7, 2)), ("", ()), ("special", ())])
def test_versions(text: str, found: tuple[int, ...]) -> None:
    assert version(text) == found


@pytest.mark.parametrize(
    ("scope", "wrong"),
    [
        ({"feeds": {"most": 4, "entries": 10, "renewSeconds": 0}}, []),
        ({"feeds": {}}, []),
        ({"feeds": {"most": 257}}, ["scope.feeds.most"]),
        ({"feeds": {"each": 1}}, ["scope.feeds.each"]),
        ({"feeds": 3}, ["scope.feeds"]),
        ({"acknowledge": ["policyBased", "fortiManager"]}, []),
        ({"acknowledge": ["everything"]}, ["scope.acknowledge"]),
        ({"acknowledge": "policyBased"}, ["scope.acknowledge"]),
        ({"units": ["FGT1", "FGT2"]}, []),
        ({"units": "FGT1"}, ["scope.units"]),
    ],
)
def test_settings(box: Fortigate, scope: dict[str, object], wrong: list[str]) -> None:
    assert list(factory.problems(config(box, **scope))) == wrong
