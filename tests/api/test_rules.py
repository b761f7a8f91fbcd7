"""Rules over the API: in the order in which a device asks them, with their state on each device."""

from tests.acceptance.site import DEVICE
from tests.api.conftest import Api


def test_a_rule_says_who_may_go_where_and_how_far_each_device_is(api: Api) -> None:
    (one,) = api.every("rules", namespace="shop", limit=1)
    assert one["object"] == "ServiceEgressRule shop/web-provider"
    assert (one["action"], one["source"], one["priority"]) == ("Allow", "service shop/web", 1000)
    assert one["devices"] == [{"device": DEVICE, "state": "Programmed", "message": ""}]
    assert api.get(f"groups/{one['group']}")["title"] == "service shop/web"


def test_a_place_of_another_list_is_none_here(api: Api) -> None:
    place = api.get("groups", limit=1)["next"]
    assert place is not None
    assert api.get("rules", 422, page=place)["problems"].keys() == {"page"}
