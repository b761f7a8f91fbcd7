"""Addresses change hands on devices of every kind: never do both owners' permissions stand, and the window is measured and shown."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from bridge.cli.status import standing
from bridge.metrics import REGISTRY
from bridge.report.evidence import Witness
from bridge.report.words import handover_line
from bridge.state.report_store import ReportStore
from tests.acceptance.stand import Stand, passes, stand

SHOP, BANK, AUDIT = "192.0.2.1", "198.51.100.1", "203.0.113.1"
OWNERS = {SHOP: ("shop", "web"), BANK: ("bank", "web"), AUDIT: ("shop", "audit")}
"""Each kind of owner by the one destination that it may reach: two namespaces' Services, and a group of the whole cluster."""
ADDRESSES = [f"10.244.7.{number}" for number in range(1, 13)]
STARTED = datetime(2026, 1, 1, tzinfo=UTC)


BEFORE: dict[tuple[str, str], float] = {}
"""What the metrics of this process said before."""


def shown(figure: str, device: str) -> float:
    return REGISTRY.get_sample_value(f"fusion_bridge_device_handover_{figure}", {"device": device}) or 0.0


class Hands:
    """Who has which address. Each move is one of the ways in which clusters do that."""

    def __init__(self, site: Stand, random: Random) -> None:
        self.site, self.random = site, random
        self.owner: dict[str, str] = {}
        self.name: dict[str, str] = {}
        self.moves = 0

    def take(self, address: str, owner: str) -> None:
        """A new pod has the address; its predecessor goes before it comes, or after."""
        made, before, old = self.site.made, self.owner.get(address), self.name.get(address)
        namespace, app = OWNERS[owner]
        self.moves += 1
        in_place = before is not None and OWNERS[before][0] == namespace and self.random.random() < 0.5
        if in_place and old is not None:
            made.pod(namespace, old, address, app=app, uid=f"uid-{old}", started=STARTED + self._age(old))
            self.owner[address] = owner
            return
        name = f"{app}-{self.moves}"
        first = self.random.random() < 0.5
        if old is not None and before is not None and first:
            made.delete_pod(OWNERS[before][0], old)
        made.pod(namespace, name, address, app=app, uid=f"uid-{name}", started=STARTED + self._age(name))
        if old is not None and before is not None and not first:
            made.delete_pod(OWNERS[before][0], old)
        self.owner[address], self.name[address] = owner, name

    @staticmethod
    def _age(name: str) -> timedelta:
        return timedelta(minutes=int(name.rpartition("-")[2]))

    @property
    def wanted(self) -> dict[tuple[str, str], bool]:
        return {(address, to): owner == to for address, owner in self.owner.items() for to in OWNERS}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with stand(tmp_path_factory.mktemp("handover")) as made:
        for namespace, to in (("shop", SHOP), ("bank", BANK)):
            made.made.team(namespace, to=f"{to}/32")
        made.made.external("", "auditors", f"{AUDIT}/32")
        made.made.cluster_rule(
            "audited", "auditors", "Allow", **{"from": {"podSelector": {"matchLabels": {"app": "audit"}}}}
        )
        made.made.put("AddressGroup", "", "web", {"podSelector": {"matchLabels": {"app": "web"}}})
        yield made


@pytest.fixture(scope="module")
def moved(site: Stand) -> Stand:
    """Forty moves, in storms of some at once; every moment of every device is judged."""
    random = Random(20261123)
    hands = Hands(site, random)
    for number, address in enumerate(ADDRESSES):
        hands.take(address, list(OWNERS)[number % 3])
    BEFORE.update(
        {
            (figure, one.name): shown(figure, one.name)
            for figure in ("seconds_count", "both_total")
            for one in site.posts
        }
    )
    site.start()
    site.await_all(hands.wanted)
    for _ in range(5):
        for post in site.posts:
            post.track.take()
        chosen = random.sample(ADDRESSES, 8)
        for address in chosen:
            hands.take(address, random.choice([one for one in OWNERS if one != hands.owner[address]]))
        site.await_all(hands.wanted)
        for post in site.posts:
            moments, _ = post.track.take()
            assert moments, f"{post.name} changed nothing"
            for moment in moments:
                for address in chosen:
                    may = [to for to in OWNERS if passes(moment, address, to)]
                    assert len(may) <= 1, f"{post.name} lets {address} reach {may} at once"
    return site


@pytest.mark.acceptance("trust: hand-over: at no moment of any device has an address the permissions of two owners")
def test_never_both(moved: Stand) -> None:
    found = ReportStore(moved.database).handovers(STARTED)
    for post in moved.posts:
        assert found[post.name].both == 0, post.name


@pytest.mark.acceptance("trust: hand-over: the window is measured on each device (p50, p99, worst)")
def test_measured(moved: Stand) -> None:
    found = ReportStore(moved.database).handovers(datetime.now(UTC) - timedelta(days=1))
    for post in moved.posts:
        told = found[post.name]
        assert told.count >= 20, f"{post.name}: {told}"
        assert told.p50 is not None
        assert told.p99 is not None
        assert told.worst is not None
        assert 0 < told.p50 <= told.p99 <= told.worst


@pytest.mark.acceptance("trust: hand-over: the window is shown in status, reports and metrics")
def test_shown(moved: Stand) -> None:
    now = datetime.now(UTC)
    found = ReportStore(moved.database).handovers(now - timedelta(days=1))
    status = {one["name"]: one["handover"] for one in standing(moved.database, now)["devices"]}
    for post in moved.posts:
        told = found[post.name]
        assert status[post.name]["count"] == told.count
        assert status[post.name]["worstSeconds"] == told.worst
        reported = Witness(moved.database, now).evidence(post.name, {}).handover
        assert (reported.count, reported.p99, reported.worst) == (told.count, told.p99, told.worst)
        assert f"{told.count} addresses in the last day" in handover_line(reported)
        assert shown("seconds_count", post.name) - BEFORE["seconds_count", post.name] == told.count
        assert shown("both_total", post.name) == BEFORE["both_total", post.name]
