"""Devices over the API."""

from tests.acceptance.site import CLUSTER, DEVICE
from tests.api.conftest import Api


def test_a_device_is_told_with_the_clusters_that_it_serves(api: Api) -> None:
    (one,) = api.every("devices", limit=1)
    assert (one["name"], one["kind"], one["clusters"]) == (DEVICE, "bigip", [CLUSTER])
    assert one.keys() == api.get(f"devices/{DEVICE}").keys()


def test_objects_are_chosen_by_kind_and_key(api: Api) -> None:
    lists = api.every(f"devices/{DEVICE}/objects", kind="rules", q="/shop/")
    assert [(one["object"], one["title"]) for one in lists] == [
        (f"rules:{CLUSTER}/service/shop/", "service rules of shop")
    ]
