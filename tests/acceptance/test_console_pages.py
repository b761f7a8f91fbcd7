"""The console as a person asks it: of a flow, of the past, of proofs, and of what waits for a decision, of a site where steps are held."""

import re
from collections.abc import Iterator

import pytest

from tests.acceptance.site import CLUSTER, DEVICE, eventually
from tests.acceptance.world import LEFT, STAY, World, half_unseen
from tests.api.conftest import Api, api_of
from tests.api.forms import sent
from tests.api.test_console import page, words

ANN = {"by": "ann", "reason": "the team moved away"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A team of 60 pods, of which half are gone and nobody saw it: their removal is held."""
    with half_unseen(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(scope="module")
def api(site: World) -> Iterator[Api]:
    with api_of(site) as found:
        yield found


@pytest.mark.acceptance("console: held steps with what would change, and the release behind a confirmation")
def test_what_is_held_is_looked_at_and_released(api: Api, site: World) -> None:
    (where,) = set(re.findall(rf'href="(/held/{DEVICE}/[0-9a-f]+)"', page(api, "/held")))
    told = words(page(api, where))
    assert "waits for a decision" in told
    assert f"1 step, {len(LEFT)} members" in told
    assert "members are taken out" in told
    assert "10.244.1.1 shop/web-0" in told
    assert f"All {len(LEFT)} members" in told
    whole = page(api, f"{where}/members")
    assert all(f">{address}</a>" in whole for address in LEFT)
    asked = page(api, f"{where}/release")
    assert "data-still" in asked
    assert all(site.allowed(address, "192.0.2.1") for address in LEFT), "to look changes nothing"

    refused = sent(api, f"{where}/release", by="ann", reason=" ")
    assert (refused.status_code, 'value="ann"' in refused.text) == (422, True)
    released = sent(api, f"{where}/release", **ANN)
    assert (released.status_code, released.headers["location"]) == (303, where)
    eventually("it is done", lambda: not any(site.allowed(address, "192.0.2.1") for address in LEFT))
    assert all(site.allowed(address, "192.0.2.1") for address in STAY)
    eventually("it is told", lambda: "Release by ann: the team moved away. Done" in words(page(api, where)))
    assert f"{where}/release" not in page(api, where)


@pytest.mark.acceptance(
    "console: a trace form with the answer drawn along the path: sender, tiers, decision, devices, destination"
)
def test_a_trace(api: Api, site: World) -> None:
    told = site.bridge.cli("trace", "--from", "shop/web-40", "--to", "192.0.2.1:443", codes=(0,))
    asked = page(api, "/trace")
    assert re.findall(r'<input id="asked-\w+" name="(\w+)"', asked) == ["from", "to", "at"]
    found = page(api, "/trace?from=shop/web-40&to=192.0.2.1:443")
    assert re.findall(r"<h4>(.*?)</h4>", found) == ["From", "Service tier", "Policy says", "Devices in scope", "To"]
    assert told["headline"] in words(found)
    (path,) = re.findall(r'<ol class="path">.*</ol>', found, re.DOTALL)
    assert "ServiceEgressRule shop/web-provider" in words(path)
    assert f"{DEVICE} yes" in words(path)
    assert words(path).endswith("let through")


@pytest.mark.acceptance("console: who held an address, and what became of a group, along a line of time")
def test_the_past(api: Api) -> None:
    gone = page(api, f"/who?address={LEFT[0]}")
    assert "nobody" in words(gone)
    assert "Before: shop/web-0" in words(gone)
    assert 'class="unsure"' in gone, "nobody watched when it went"
    members = page(api, f"/history?subject=group:{CLUSTER}/service/shop/web")
    assert words(members).count("found gone") == len(LEFT)
    assert members.count('class="stretch"') == 50, "a page of them"
    (following,) = re.findall(r'rel="next" href="([^"]+)"', members)
    rest = page(api, f"/history{following.replace('&amp;', '&')}")
    assert rest.count('class="stretch"') == len(LEFT) + len(STAY) - 50


def compared(api: Api, which: str) -> str:
    """The page of two reports, once they are compared."""
    path = f"/reports/difference?{which}"
    eventually("compared", lambda: "data-again" not in page(api, path))
    return page(api, path)


@pytest.mark.acceptance("console: reports are made and kept, and what differs between two of them is told")
def test_reports(api: Api, site: World) -> None:
    sent(api, "/reports")
    site.team("late", "10.244.7.1")
    eventually("it is there", lambda: site.allowed("10.244.7.1", "192.0.2.1"))
    sent(api, "/reports")
    numbers = re.findall(r'id="report-(\d+)"', page(api, "/reports"))
    assert len(numbers) == 2
    found = words(compared(api, "before=previous&after=last"))
    assert f"object came group:{CLUSTER}/service/late/web" in found
    assert "object went" not in found
    assert "nothing is otherwise" in compared(api, f"before={numbers[0]}&after=last")
