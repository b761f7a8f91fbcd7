"""Transactions that are refused at their end, or that a unit has no time for; and how few calls one is."""

from collections.abc import Iterator
from itertools import count

import pytest

from adapters.conformance.bench import FENCE
from adapters.conformance.site import BANK, CART, SOURCES, WEB, Site, Terms, line, objects
from adapters.fortigate import FortigateAdapter, factory
from bridge.errors import Busy, DeviceError, Drifted, NotOwned
from bridge.lab.device import Exchange
from bridge.model.identity import ObjectKey
from bridge.model.intent import EVERYTHING, Group, Intent
from bridge.policy.shard import spread
from tests.adapters.fortigate.rig import Rig, fortigate_rig
from tests.adapters.fortigate.test_writing import planned, reconcile, shop

ROOT, ADDRESS, GROUP = "/api/v2/cmdb", "/api/v2/cmdb/firewall/address", "/api/v2/cmdb/firewall/addrgrp"


@pytest.fixture(scope="module")
def lent() -> Iterator[Rig]:
    with fortigate_rig(tls=False) as rig:
        yield rig


@pytest.fixture
def rig(lent: Rig) -> Rig:
    lent.reset()
    return lent


@pytest.fixture
def adapter(rig: Rig) -> Iterator[FortigateAdapter]:
    opened = factory.open(rig.config())
    opened.raise_fence(FENCE)
    yield opened
    opened.close()


def many(key: ObjectKey, net: int, size: int) -> Group:
    return Group(key, frozenset(f"10.{net}.0.{number}" for number in range(1, size + 1)))


def persevere(adapter: FortigateAdapter, site: Site, most: int) -> list[DeviceError]:
    """Read, plan and apply, until nothing is left; what was told meanwhile."""
    told: list[DeviceError] = []
    for _ in range(most):
        made = planned(adapter, site)
        if made.empty:
            return told
        try:
            adapter.apply(made, FENCE)
        except (Busy, Drifted) as error:
            told.append(error)
    pytest.fail(f"not done after {most} times: {told}")


def slow(adapter: FortigateAdapter) -> None:
    """Each call takes a second of the sixty that a transaction has."""
    clock = count()
    adapter._transactions._elapsed = lambda: next(clock)


def test_a_phase_that_its_transaction_has_no_time_for_gets_through(rig: Rig, adapter: FortigateAdapter) -> None:
    slow(adapter)
    site = objects(many(CART, 1, 40), many(WEB, 2, 40))
    told = persevere(adapter, site, 4)
    assert [type(one) for one in told] == [Busy]
    assert "transactionSeconds" in str(told[0])
    assert adapter.limits.batch is not None
    assert adapter.limits.batch < 60
    assert adapter.read(EVERYTHING).objects == site
    assert len(rig.device.transactions) == 0


def test_a_list_that_no_transaction_has_time_for_goes_line_by_line(rig: Rig, adapter: FortigateAdapter) -> None:
    slow(adapter)
    terms = Terms.of(adapter.capabilities)
    site = terms.shop(SOURCES[0], lines=[line(f"r{number}") for number in range(40)])
    told = persevere(adapter, site, 8)
    assert told
    assert all(isinstance(one, Busy | Drifted) for one in told)
    assert len(told) <= 3
    assert adapter.read(EVERYTHING).objects == adapter.normalize(Intent("edge", site))


def test_a_transaction_that_the_unit_drops_is_made_smaller(rig: Rig, adapter: FortigateAdapter) -> None:
    """As one does whose clock is another than ours."""
    write = adapter._client.write

    def dropping(method: str, path: str, *rest: object, **more: object) -> object:
        if rig.calls() % 30 == 0:
            rig.device.transactions.forget()
        return write(method, path, *rest, **more)  # type: ignore[arg-type]

    adapter._client.write = dropping  # type: ignore[method-assign,assignment]
    site = objects(many(CART, 1, 40), many(WEB, 2, 40))
    told = persevere(adapter, site, 6)
    assert told
    assert adapter.read(EVERYTHING).objects == site


def test_a_commit_that_is_refused_leaves_nothing_open(rig: Rig, adapter: FortigateAdapter) -> None:
    site = objects(Group(CART, frozenset(SOURCES[:1])), Group(WEB, frozenset(SOURCES[1:2])))
    made = planned(adapter, site)
    write = adapter._client.write

    def meddling(
        method: str, path: str, body: object = None, query: dict[str, str] | None = None, **more: object
    ) -> object:
        if query and query.get("action") == "transaction-commit":
            theirs = {"name": "fb_prod_service_shop_web", "subnet": "192.0.2.1/32"}
            rig.device.put_object("firewall/address", theirs, user="site")
        return write(method, path, body, query, **more)  # type: ignore[arg-type]

    adapter._client.write = meddling  # type: ignore[method-assign,assignment]
    with pytest.raises(DeviceError):
        adapter.apply(made, FENCE)
    assert len(rig.device.transactions) == 0
    assert "fb_prod_service_shop_cart" not in rig.device.objects("firewall/addrgrp")


# ---- how few calls


def calls(rig: Rig, adapter: FortigateAdapter, before: Site, after: Site) -> list[Exchange]:
    """What it takes from one to the other."""
    reconcile(adapter, before)
    made = planned(adapter, after)
    first = len(rig.device.requests())
    adapter.apply(made, FENCE)
    return list(rig.device.requests()[first:])


def test_a_member_that_changes_its_part_is_a_look_a_transaction_and_four_writes(
    rig: Rig, adapter: FortigateAdapter
) -> None:
    members = {f"10.8.{at >> 8}.{at & 255}" for at in range(160)}
    before = shop(SOURCES[0]) | objects(*spread(BANK, members, 4))
    others = (members - {"10.8.0.1"} | {f"10.9.0.{last}"} for last in range(1, 99))
    sites = (shop(SOURCES[0]) | objects(*spread(BANK, held, 4)) for held in others)
    after = next(site for site in sites if sum(before[key] != site[key] for key in site) == 2)
    told = calls(rig, adapter, before, after)
    assert [(one.method, one.path.removeprefix("/api/v2/cmdb").partition("/member")[0][:17]) for one in told] == [
        ("POST", ""),
        ("POST", "/firewall/address"),
        ("GET", "/firewall/address"),
        *[(one.method, "/firewall/addrgrp") for one in told[3:5]],
        ("DELETE", "/firewall/address"),
        ("POST", ""),
    ]
    assert sum(one.bytes_in + one.bytes_out for one in told) <= 8 * 1024


def test_parts_in_which_several_change_are_written_whole_and_read_together(rig: Rig, adapter: FortigateAdapter) -> None:
    keys = [CART, WEB, BANK, ObjectKey.parse("group:prod/service/shop/more")]
    before = objects(*(many(key, net, 40) for net, key in enumerate(keys)))
    after = objects(
        *(Group(key, many(key, net, 38).members | {f"10.{net}.1.1", f"10.{net}.1.2"}) for net, key in enumerate(keys))
    )
    told = calls(rig, adapter, before, after)
    assert len([one for one in told if one.path.startswith(GROUP)]) == len(keys) + 1
    assert len(told) == 16 + len(keys) + 4  # addresses, groups, and: start, look, commit, read back
    assert adapter.read(EVERYTHING).objects == after


def test_an_address_whose_mark_went_stops_the_transaction(rig: Rig, adapter: FortigateAdapter) -> None:
    before = shop(SOURCES[0]) | objects(Group(BANK, frozenset({"198.51.100.7"})))
    after = shop(SOURCES[1]) | objects(Group(BANK, frozenset({"198.51.100.8"})))
    reconcile(adapter, before)
    made = planned(adapter, after)
    rig.device.change_object(f"firewall/address/fb_{SOURCES[0]}", {"comment": "mine now"}, user="site")
    written = len(rig.moments())
    with pytest.raises(NotOwned, match=f"fb_{SOURCES[0]}"):
        adapter.apply(made, FENCE)
    assert len(rig.moments()) == written
    assert len(rig.device.transactions) == 0
