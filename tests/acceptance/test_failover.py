"""Failover: another replica goes on where the owner was killed, with what it has been watching all the time."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.acceptance.site import DEVICE, Bridge, ClusterEntry, bigip, eventually, stays
from tests.acceptance.world import World, cluster

_PODS = 60
_GONE = range(10, 50)  # far more than the guard lets go without proof


@dataclass
class Pair:
    """One cluster and one device, an owner and who stands by."""

    site: World
    owner: Bridge
    standby: Bridge

    def address(self, number: int) -> str:
        """Of the pod of that number."""
        return f"10.244.1.{number}"

    def kill(self) -> None:
        """The owner is no more, at once."""
        self.owner.stop(signal.SIGKILL)

    @property
    def web(self) -> frozenset[str]:
        """Who may reach the provider, as the device has it."""
        return self.site.group("service", "shop", "web")

    @property
    def held(self) -> int:
        """How many steps wait for a person."""
        devices = self.standby.cli("status", codes=(0, 1, 3))["devices"]
        return sum(one["held"] for one in devices)

    def said(self, event: str, **more: Any) -> bool:  # noqa: ANN401 (any JSON)
        """Whether the one that stands by has logged it."""
        return any(one.get("event") == event and more.items() <= one.items() for one in self.standby.log())


@contextlib.contextmanager
def pair(folder: Path, url: str, standby: str = "warm") -> Iterator[Pair]:
    """An owner with everything in step, and another replica that looks on."""
    conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    environment = {"FUSION_BRIDGE_DATABASE_URL": conninfo}
    with cluster() as made, bigip() as device, contextlib.ExitStack() as stack:
        entries, bridges = [ClusterEntry(made.name, made.api.kubeconfig)], []
        for name in ("owner", "standby"):
            (folder / name).mkdir()
            one = stack.enter_context(Bridge(folder / name, {DEVICE: device}, entries, environment=environment))
            one.write_settings({"replicas": {"standby": standby}})
            bridges.append(one)
        owner, other = bridges
        site = World(made.name, made.store, made.api, device, owner)
        site.team("shop", *(f"10.244.1.{number}" for number in range(1, _PODS + 1)))
        owner.start()
        eventually("in force", lambda: len(site.group("service", "shop", "web")) == _PODS, 60)
        site.await_in_step()
        other.start()
        yield Pair(site, owner, other)
        assert other.running, other.log()[-5:]


def _change_everything(both: Pair) -> None:
    """Pods go, come and hand their addresses over, and a rule is edited: all at one moment."""
    site = both.site
    for number in _GONE:
        site.delete_pod("shop", f"web-{number - 1}")
    site.pod("shop", "web-900", "10.244.2.1")
    site.delete_pod("shop", "web-0")
    site.pod("shop", "other-1", both.address(1), app="other")
    site.external("shop", "provider", "192.0.2.0/28", port=8443)


@pytest.mark.timeout(300)
@pytest.mark.acceptance(
    "trust: failover: the owner is killed (kill -9); what changed in the cluster at that very moment is on the device through the standby, "
    "nothing lost, no stale member, and no list is sent again"
)
def test_killed(tmp_path: Path, database_url: str) -> None:
    with pair(tmp_path, database_url) as both:
        eventually("it stands by", lambda: both.said("stands by"), 60)
        site = both.site
        known = len(site.api.requests.entries("list"))
        both.kill()
        _change_everything(both)
        rest = {both.address(number) for number in range(2, _PODS + 1) if number not in _GONE} | {"10.244.2.1"}
        eventually("nothing lost, nobody stale", lambda: both.web == rest, 60)
        eventually("the rule as it is now", lambda: site.allowed("10.244.2.1", "192.0.2.1", 8443))
        assert not site.allowed("10.244.2.1", "192.0.2.1", 443)
        assert not site.allowed(both.address(1), "192.0.2.1", 8443), "the address is another pod's now"
        assert site.api.requests.entries("list")[known:] == (), "the standby had it all"
        assert both.held == 0, "it saw them go: nothing waits for a person"
        with both.standby.state() as connection:
            query = "SELECT count(*), count(*) FILTER (WHERE t2 = 'infinity') FROM lease WHERE host(address) = ANY(%s)"
            gone = [both.address(number) for number in _GONE]
            assert connection.execute(query, [gone]).fetchall() == [(len(gone), 0)], (
                "each lease once, and each has ended"
            )
        # And on it goes.
        site.pod("shop", "web-901", "10.244.2.2")
        eventually("changes go on", lambda: both.web == rest | {"10.244.2.2"})


@pytest.mark.timeout(300)
@pytest.mark.acceptance(
    "trust: failover: what nobody saw going is inferred, confirmed by a second list and guarded, by a cold standby as after any restart"
)
def test_cold(tmp_path: Path, database_url: str) -> None:
    with pair(tmp_path, database_url, "cold") as both:
        eventually("it runs", lambda: both.said("running"), 60)
        both.kill()
        _change_everything(both)
        eventually("what came is there", lambda: "10.244.2.1" in both.web, 60)
        eventually("what is proven went", lambda: both.address(1) not in both.web)
        stays("what was not seen going is held", lambda: {both.address(number) for number in _GONE} <= both.web)
        eventually("and told of", lambda: both.held > 0)


@pytest.mark.timeout(300)
@pytest.mark.acceptance(
    "trust: failover: a replica that ends in order hands everything over at once, and is served no list again either"
)
def test_in_order(tmp_path: Path, database_url: str) -> None:
    with pair(tmp_path, database_url) as both:
        eventually("it stands by", lambda: both.said("stands by"), 60)
        known = len(both.site.api.requests.entries("list"))
        assert both.owner.stop() == 0
        both.site.pod("shop", "web-900", "10.244.2.1")
        eventually("there", lambda: "10.244.2.1" in both.web)
        assert both.site.api.requests.entries("list")[known:] == ()
