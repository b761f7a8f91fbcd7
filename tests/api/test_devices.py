"""Devices over the API."""

from tests.acceptance.site import CLUSTER, DEVICE
from tests.api.conftest import Api


def test_devices(api: Api) -> None:
    (one,) = api.every("devices")
    assert (one["name"], one["kind"], one["state"], one["clusters"]) == (DEVICE, "bigip", "ok", [CLUSTER])
    assert api.get(f"devices/{DEVICE}")["objects"].keys() == {"Programmed"}
