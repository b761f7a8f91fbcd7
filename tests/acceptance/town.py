"""10,000 pods, 500 groups, 1,000 rules, three devices, the real program and its console: what a person meets on a large site."""

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.site import CLUSTER, PROGRAM, Bridge, ClusterEntry, bigip, eventually
from tests.acceptance.world import API, World, cluster

PODS, TEAMS, SERVICES, RULES = 10_000, 50, 10, 2  # services of each team, rules of each service
CROWD = "crowd"  # the team with a group of so many that a mass change of it is held
LIVELY = "team-00"  # where pods move
SCRIPT = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"
LONG = ".".join(("long-" + "n" * 45,) * 5)[:253].rstrip("-.").ljust(253, "x")
DOWN, EDGE, CLOUD = "branch", "edge", "cloud"
_FIRST = int(IPv4Address("10.244.0.10"))
_EXTERNALS = 20  # of the cluster


@dataclass
class Town(World):
    """The world with its other devices, and where its console answers."""

    console: str = ""
    addresses: Iterator[str] = field(default_factory=lambda: map(str, map(IPv4Address, range(_FIRST, _FIRST + 60_000))))

    def crowd_moves(self, count: int) -> None:
        """So many pods of the crowd get another label, all at once: no event proves that they may not go where they could."""
        found = [one for one in self.store.list("pods", CROWD) if one["metadata"]["labels"]["app"] == "svc-0"][:count]
        for one in found:
            one["metadata"]["labels"] = {"app": "elsewhere"}
        self.store.bulk_load("pods", found)

    def answer(self, path: str, **parameters: Any) -> Any:  # noqa: ANN401 (any JSON)
        """What the API answers."""
        found = httpx.get(f"{self.console}/api/v1/{path}", params=parameters, trust_env=False, timeout=60)
        found.raise_for_status()
        return found.json()


@contextlib.contextmanager
def town(folder: Path) -> Iterator[Town]:
    """All of it running: `edge` and `cloud` in step, `branch` never reached."""
    with cluster() as made, bigip(tls=False) as device:
        entry = ClusterEntry(CLUSTER, made.api.kubeconfig)
        with Bridge(folder, {EDGE: device}, [entry], environment={"WHO": "bridge"}) as bridge:
            more = {"devices": [*bridge.listed(), _cloud(folder), _branch()], "api": {"listen": "127.0.0.1:0"}}
            bridge.write_settings(more)
            found = Town(made.name, made.store, made.api, device, bridge)
            _fill(found)
            bridge.start()
            with bridge.state():  # the database lives as long as anybody uses it
                _await_programmed(bridge)
                with served(bridge) as found.console:
                    yield found


def _device(name: str, kind: str, url: str, **own: object) -> dict[str, Any]:
    default = {"action": "Deny", "unknownAddresses": "Deny"}
    return {
        "name": name,
        "kind": kind,
        "url": url,
        "credentials": {"username": {"env": "WHO"}},
        "scope": {"clusters": {CLUSTER: {"default": default}}, kind: own},
        "attach": "ifEmpty",
    }


def _cloud(folder: Path) -> dict[str, Any]:
    return _device(CLOUD, "memory", f"memory://{CLOUD}", file=str(folder / "cloud.json"), form="allow-only")


def _branch() -> dict[str, Any]:
    """A FortiGate where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = _device(DOWN, "fortigate", f"https://127.0.0.1:{port}", mode="policies", policies={"before": "clean up"})
    return found | {"credentials": {"token": {"env": "WHO"}}, "timeout": 2}


def _fill(made: Town) -> None:
    store = made.store
    for number in range(_EXTERNALS):
        made.external("", f"out-{number:02}", f"192.0.{number}.0/24")
    namespaces = [CROWD, *(f"team-{number:02}" for number in range(TEAMS - 1))]
    for one in namespaces:
        made.namespace(one)
    each = PODS // (TEAMS * SERVICES)
    store.bulk_load("services", (_service(one, f"svc-{n}") for one in namespaces for n in range(SERVICES)))
    kind = {"apiVersion": API, "kind": "ServiceEgressRule"}
    store.bulk_load(
        "serviceegressrules",
        (
            kind | _rule(one, f"svc-{n}", f"out-{(number + n + rule) % _EXTERNALS:02}")
            for number, one in enumerate(namespaces)
            for n in range(SERVICES)
            for rule in range(RULES)
        ),
    )
    store.bulk_load(
        "pods",
        (
            _pod(one, _app(one, n), f"svc-{n}-{pod}", next(made.addresses))
            for one in namespaces
            for n in range(SERVICES)
            for pod in range(each)
        ),
    )
    made.put_unchecked(
        "serviceegressrules", LIVELY, "scripted", {"service": SCRIPT, "action": "Allow", "to": [{"name": SCRIPT}]}
    )
    made.put(
        "ServiceEgressRule",
        LIVELY,
        LONG,
        {"service": "svc-1", "action": "Allow", "to": [{"name": "out-00", "kind": "ClusterExternalService"}]},
    )


def _app(namespace: str, number: int) -> str:
    """Every Service has as many pods, but for the crowd, where the first has those of five."""
    return "svc-0" if namespace == CROWD and number < 5 else f"svc-{number}"


def _service(namespace: str, name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
    }


def _rule(namespace: str, service: str, to: str) -> dict[str, Any]:
    spec = {"service": service, "action": "Allow", "to": [{"name": to, "kind": "ClusterExternalService"}]}
    return {"metadata": {"name": f"{service}-{to}", "namespace": namespace, "generation": 1}, "spec": spec}


def _pod(namespace: str, app: str, name: str, address: str) -> dict[str, Any]:
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}},
        "spec": {"nodeName": "node-0001", "serviceAccountName": "default"},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": started},
    }


def _await_programmed(bridge: Bridge) -> None:
    """Until the devices that can be reached hold everything, and the one that cannot was tried."""
    query = """SELECT bool_and(state = 'ok' OR name = %(down)s) AND count(*) = 3
        AND (SELECT bool_and(applied_generation >= desired_generation) FROM device_object WHERE device <> %(down)s)
        AND bool_or(state <> 'ok' AND message <> '') FROM device"""

    with bridge.state() as connection:

        def rests() -> bool:
            assert bridge.running, (bridge.folder / "bridge.log").read_text()[-2000:]
            tables = connection.execute("SELECT to_regclass('device_object')").fetchone()
            return tables != (None,) and connection.execute(query, {"down": DOWN}).fetchone() == (True,)

        eventually("the town is in step", rests, 240)


@contextlib.contextmanager
def served(bridge: Bridge) -> Iterator[str]:
    """`fusion-bridge serve` as a process; where it answers."""
    path = bridge.folder / "serve.log"
    with path.open("wb") as log:
        line: list[str | Path] = [PROGRAM, "--config", bridge.config, "serve"]
        process = subprocess.Popen(line, stdout=log, stderr=log, env={**os.environ, **bridge.environment})
    try:
        eventually("the console answers", lambda: bool(_listening(path)), 60)
        yield f"http://{_listening(path)}"
    finally:
        process.terminate()
        process.wait(30)


def _listening(path: Path) -> str:
    for line in path.read_text().splitlines():
        if line.startswith("{") and "api" in (told := json.loads(line)):
            return str(told["api"])
    return ""
