"""Live flows of revoked permissions: closed where the settings ask for it, exactly those, and told of everywhere else."""

import socket
import subprocess
from functools import partial
from pathlib import Path

import pytest

from adapters.nftables import factory
from bridge.delivery.worker import Worker, WorkerSettings
from bridge.errors import Denied
from bridge.lab.devices.bigip.connections import Connection
from bridge.model.flows import Flow
from bridge.model.intent import Group
from bridge.model.policy import Action, Protocol
from tests.acceptance.site import DEVICE, eventually, stays
from tests.acceptance.test_metrics import value
from tests.acceptance.world import OUTSIDE, World, world
from tests.adapters.nftables.machine import kernel, tracked
from tests.adapters.nftables.rig import config
from tests.delivery.bench import FakeClock, bank, group, line, named, rules
from tests.delivery.state import State
from tests.packets.network import inside, network

PROVIDER, ELSEWHERE, RESOLVER = "192.0.2.1", "198.51.100.7", "192.0.2.53"
ONE, TWO, THREE = "10.244.1.1", "10.244.1.2", "10.244.1.3"


def _connections(site: World) -> set[Connection]:
    return set(site.device.connections.open)


def _shop(site: World) -> None:
    site.team("shop", ONE, TWO, THREE)
    site.external("", "dns", RESOLVER, port=53)
    site.cluster_rule("everyone-resolves", "dns", "Allow")
    site.bridge.start()
    eventually("in force", lambda: not site.allowed("10.244.9.9", OUTSIDE) and site.allowed(ONE, PROVIDER))
    site.await_in_step()
    for number, source in enumerate((ONE, TWO, THREE)):
        site.device.connections.open += [
            Connection(source, 40000 + number, PROVIDER, 443),
            Connection(source, 50000, "10.96.0.10", 53, "udp"),  # nothing of ours is about what lies inside
            Connection(source, 60000, RESOLVER, 53),
        ]
    site.device.connections.open.append(Connection("203.0.113.5", 40000, PROVIDER, 443))


@pytest.mark.acceptance(
    "devices: live flows: BIG-IP connections of a revoked permission are closed, those alone; audit, report and metrics count them"
)
def test_of_a_bigip(tmp_path: Path) -> None:
    with world(tmp_path, overrides={DEVICE: {"closeFlows": True}}) as site:
        _shop(site)
        before = _connections(site)
        site.delete_pod("shop", "web-1")
        gone = {Connection(TWO, 40001, PROVIDER, 443)}
        eventually("those of the pod that went are closed", lambda: _connections(site) == before - gone)
        site.external("shop", "provider", ELSEWHERE)
        gone |= {Connection(ONE, 40000, PROVIDER, 443), Connection(THREE, 40002, PROVIDER, 443)}
        eventually("those to what a rule reaches no longer are closed", lambda: _connections(site) == before - gone)
        site.store.delete("clusteregressrules", None, "everyone-resolves")
        gone |= {Connection(source, 60000, RESOLVER, 53) for source in (ONE, THREE)}
        eventually("those of everybody are closed", lambda: _connections(site) == before - gone)
        stays("and nothing else is", lambda: _connections(site) == before - gone, 1.0)
        (report,) = site.bridge.cli("report", codes=(0, 1))["byDevice"]
        assert report["closesFlows"]
        assert report["changes"]["flowsClosed"] == 5
        told = [one for one in report["changes"]["latest"] if one["op"] == "flows"]
        assert sum(one["outcome"].startswith("closed") for one in told) == len(told) >= 2
        assert f"TCP {TWO}:40001 -> {PROVIDER}:443" in " ".join(one["outcome"] for one in told)
        site.bridge.cli("audit", "verify")
        assert value(site.bridge, "device_flows_closed_total", device=DEVICE) == 5
        closing = [one for one in site.device.requests() if one.method == "DELETE" and "connection" in one.path]
        assert len(closing) == 5
        assert all("cs-client-addr" in one.query for one in closing)


@pytest.mark.acceptance(
    "devices: live flows: off by default; then the report says that tracked flows stay, and none is touched"
)
def test_off_by_default(tmp_path: Path) -> None:
    with world(tmp_path) as site:
        _shop(site)
        before = _connections(site)
        site.delete_pod("shop", "web-1")
        eventually("denied", lambda: not site.allowed(TWO, PROVIDER))
        site.await_in_step()
        assert _connections(site) == before
        assert not [one for one in site.device.requests() if "connection" in one.path]
        (report,) = site.bridge.cli("report", codes=(0, 1))["byDevice"]
        assert not report["closesFlows"]
        assert "what is under way stays" in site.bridge.command("report").stdout


@pytest.mark.acceptance("devices: live flows: a kind of device that cannot close flows refuses the setting by name")
def test_where_it_cannot_be(tmp_path: Path) -> None:
    with world(tmp_path) as site:
        memory = {"kind": "memory", "url": "memory://edge", "attach": "none", "closeFlows": True}
        site.bridge.overrides = {DEVICE: memory}
        site.bridge.write_settings()
        done: subprocess.CompletedProcess[str] = site.bridge.command("config", "check")
        assert done.returncode != 0
        assert "closeFlows" in done.stdout + done.stderr


@pytest.mark.acceptance("devices: live flows: no call that closes flows can be built without a source address")
def test_no_flow_without_a_source() -> None:
    for source in ("", "::", "any", "10.0.0.0/8", "0.0.0.0/0", "10.0.0.1-10.0.0.9", "224.0.0.1"):
        with pytest.raises(ValueError, match=r".+"):
            Flow(source, PROVIDER, Protocol.TCP, 40000, 443)
    for ports in ((0, 443), (40000, 0), (70000, 443)):
        with pytest.raises(ValueError, match="port"):
            Flow(ONE, PROVIDER, Protocol.TCP, *ports)


@kernel
@tracked
@pytest.mark.acceptance(
    "devices: live flows: conntrack on Linux: a real connection of a revoked permission ends, and others go on"
)
def test_on_a_linux_gateway() -> None:
    pay, everyone = group("pay"), group("everyone")
    pods = ("10.0.0.1", "10.0.0.2")
    state = State()
    state.want_group(pay)
    state.want(bank("192.0.2.1"), Group(everyone, frozenset({"10.0.0.0/24"})))
    state.want(rules(line(pay), line(everyone, Action.DENY)))
    state.move(named(pay, pods))
    with network(("one", "two"), ("192.0.2.1",)) as net:
        for address, pod in zip(pods, ("one", "two"), strict=True):
            net.place(address, pod)
        adapter = factory.open(config(net.gateway))
        clock = FakeClock()
        worker = Worker(adapter, state, clock, "installation", WorkerSettings(close_flows=True))
        _settle(worker, clock)
        talks = [
            inside(net.at(one), partial(socket.create_connection, ("192.0.2.1", 443), 5, (one, 0))) for one in pods
        ]
        try:
            assert all(_answers(one) for one in talks)
            state.move(leave=named(pay, pods[:1]))
            _settle(worker, clock)
            assert not adapter.flows(pods[:1])
            assert len(adapter.flows(pods[1:])) == 1
            assert not _answers(talks[0])
            assert _answers(talks[1])
            (told,) = [one for one in state.audit if one.op == "flows"]
            assert told.outcome.startswith("closed 1 of 1 live flows: TCP 10.0.0.1:")
        finally:
            for one in talks:
                one.close()
            adapter.close()


def _settle(worker: Worker, clock: FakeClock) -> None:
    for _ in range(20):
        clock.seconds += worker.turn(1)
        if worker.in_step.is_set() and worker.pacing.state == "ok":
            return
    raise Denied("edge", f"not in step: {worker.pacing.message}")


def _answers(talk: socket.socket) -> bool:
    """Whether the echo comes back soon."""
    talk.settimeout(1.0)
    try:
        talk.sendall(b"hello")
        return talk.recv(64) != b""
    except OSError:
        return False
