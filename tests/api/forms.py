"""Forms of pages, as a browser sends them."""

import re

import httpx

from tests.api.conftest import Api


def token(api: Api, path: str) -> str:
    """The word of the form on that page."""
    found = re.search(r'name="form_token" value="([^"]+)"', api.client.get(path, headers={"Accept": "text/html"}).text)
    assert found, path
    return found[1]


def sent(api: Api, path: str, **fields: str) -> httpx.Response:
    """What is answered to the form of the page at that path, filled in so."""
    return posted(api, path, {"form_token": token(api, path), **fields})


def posted(api: Api, path: str, fields: dict[str, str]) -> httpx.Response:
    """The same with nothing but these fields."""
    origin = str(api.client.base_url).rstrip("/")
    return api.client.post(path, data=fields, headers={"Accept": "text/html", "Origin": origin})
