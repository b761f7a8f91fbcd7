"""Pages of the console as any browser gets them."""

from tests.acceptance.site import CLUSTER
from tests.api.conftest import Api


def test_the_first_page(api: Api) -> None:
    found = api.client.get("/")
    assert (found.status_code, found.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert CLUSTER in found.text
    for path in (
        "/static/vendor/pico.min.css",
        "/static/vendor/idiomorph.min.js",
        "/static/live.js",
        "/static/console.css",
    ):
        assert path in found.text
        assert api.client.get(path).status_code == 200
