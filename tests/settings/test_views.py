"""From `addressSource` as it is typed to the views of a device."""

import pytest

from bridge.model.policy import AddressSource, View
from bridge.settings.devices import DeviceSettings

TEN, HUNDRED, DOCS = "10.8.0.0/16", "198.51.100.0/24", "203.0.113.0/24"
POD, NODE, EGRESS = AddressSource.POD, AddressSource.NODE, AddressSource.EGRESS


def _device(**more: object) -> DeviceSettings:
    default = {"default": {"action": "Deny", "unknownAddresses": "Deny"}}
    where = {"name": "edge", "kind": "bigip", "url": "https://192.0.2.1", "credentials": {"username": {"env": "U"}}}
    inner = more.pop("inner", {})
    clusters = {"east": {**default, **inner}} if isinstance(inner, dict) else {}
    return DeviceSettings.model_validate({**where, "scope": {"clusters": clusters}, **more})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Pod", (View(),)),
        ("Node", (View(NODE, name="node"),)),
        ([{"source": "Node", "destinations": [TEN]}], (View(), View(NODE, (TEN,), name="node"))),
        (
            [{"source": "Node", "destinations": [HUNDRED]}, {"source": "Node", "destinations": [TEN]}],
            (View(), View(NODE, (TEN, HUNDRED), name="node")),
        ),
        (
            [{"source": "Pod", "destinations": [TEN]}, {"source": "Node"}],
            (View(POD, (TEN,)), View(NODE, name="node")),
        ),
        (
            [{"source": "Pod", "destinations": [TEN]}, {"source": "Pod"}, {"source": "Node", "destinations": [DOCS]}],
            (View(), View(NODE, (DOCS,), name="node")),
        ),
        (
            [
                {"source": "Egress", "destinations": [DOCS], "addresses": ["192.0.2.9", "2001:DB8::1"]},
                {"source": "Egress", "addresses": ["192.0.2.8"], "namespaces": ["shop", "bank"]},
            ],
            (
                View(EGRESS, (DOCS,), ("192.0.2.9", "2001:db8::1"), (), "egress.edge.1"),
                View(EGRESS, (), ("192.0.2.8",), ("bank", "shop"), "egress.edge.2"),
            ),
        ),
    ],
)
def test_views(typed: object, meant: tuple[View, ...]) -> None:
    assert _device(addressSource=typed).views("east") == meant
    assert _device(addressSource="Node", inner={"addressSource": typed}).views("east") == meant


def test_as_the_pods_own_unless_told() -> None:
    assert _device().views("east") == (View(),)
    assert _device(inner={}).scope.clusters["east"].default.accept_shared is False
