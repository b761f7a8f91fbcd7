"""The real program between a cluster and a simulated BIG-IP, and what is true of the two."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
import yaml
from sqlalchemy import make_url

from bridge.lab.devices.bigip import Bigip
from bridge.state.embedded import EmbeddedPostgres

OWNER, CLUSTER, DEVICE = "fbtest", "real", "edge"
FOLDER = f"/Common/{OWNER}"
LISTS = "security/firewall/address-list"
PROGRAM = Path(sys.executable).parent / "fusion-bridge"


@dataclass
class ClusterEntry:
    """A cluster as the settings name it."""

    name: str
    kubeconfig: Path
    pod_ranges: tuple[str, ...] = ("10.244.0.0/16",)
    internal: tuple[str, ...] = ("10.96.0.0/12", "172.18.0.0/16")
    node_ranges: tuple[str, ...] = ()

    def settings(self) -> dict[str, Any]:
        """As YAML has it."""
        return {
            "name": self.name,
            "kubeconfig": str(self.kubeconfig),
            "podRanges": list(self.pod_ranges),
            "serviceRanges": list(self.internal),
            "nodeRanges": list(self.node_ranges),
        }


@dataclass
class Bridge:
    """`fusion-bridge run` as a process, started and stopped at will; its settings and state stay in `folder`."""

    folder: Path
    devices: Mapping[str, Bigip]
    clusters: list[ClusterEntry]
    default: Mapping[str, str] = field(default_factory=lambda: {"action": "Deny", "unknownAddresses": "Deny"})
    delivery: Mapping[str, Any] = field(default_factory=lambda: {"auditInterval": 300, "saveAfter": 0.5})
    environment: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by device, over its settings
    process: subprocess.Popen[bytes] | None = None
    program: Path = PROGRAM  # another version of it, perhaps

    def __enter__(self) -> Self:
        self.write_settings()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "bridge.yaml"

    def write_settings(self, more: Mapping[str, Any] | None = None) -> None:
        """Write the settings as they are now; `more` goes over them."""
        document = {
            "owner": OWNER,
            "dataDir": "data",
            "log": {"format": "json"},
            "monitoring": {"listen": "127.0.0.1:0"},
            "delivery": dict(self.delivery),
            "clusters": [cluster.settings() for cluster in self.clusters],
            "devices": self.listed(),
            **(more or {}),
        }
        self.config.write_text(yaml.safe_dump(document))

    def listed(self) -> list[dict[str, Any]]:
        """Its BIG-IPs as the settings name them."""
        return [self._device(name, device) for name, device in self.devices.items()]

    def start(self) -> None:
        """Start it and return at once."""
        log = (self.folder / "bridge.log").open("ab")
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(
            [self.program, "--config", self.config, "run"], stderr=log, stdout=log, env=environment
        )
        log.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process = None
        return code

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the program with these settings, to its end, whatever that is."""
        line = [str(self.program), "--config", str(self.config), *words]
        environment = {**os.environ, **self.environment}
        return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, env=environment)

    def cli(self, *words: str, codes: Iterable[int] = (0,)) -> Any:  # noqa: ANN401 (any JSON)
        """A command's JSON answer; AssertionError when it ends otherwise."""
        done = self.command("--output", "json", *words)
        assert done.returncode in codes, (words, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def state(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """A connection to its database; an embedded one lives as long as anybody uses it."""
        with contextlib.ExitStack() as stack:
            given = self.environment.get("FUSION_BRIDGE_DATABASE_URL")
            url = make_url(given or stack.enter_context(EmbeddedPostgres(self.folder / "data")).url)
            plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
            yield stack.enter_context(psycopg.connect(plain, autocommit=True))

    def await_in_step(self, seconds: float = 60.0) -> None:
        """Until every device was read and nothing recorded waits for it: what `status` says, asked more cheaply."""
        query = """SELECT (SELECT bool_and(state = 'ok') FROM device)
            AND (SELECT bool_and(applied_generation >= desired_generation) FROM device_object)"""
        with self.state() as connection:

            def rests() -> bool:
                try:
                    return connection.execute(query).fetchone() == (True,)
                except psycopg.errors.UndefinedTable:
                    return False

            eventually("every device is in step", rests, seconds)

    def log(self) -> list[dict[str, Any]]:
        """What it has logged."""
        lines = (self.folder / "bridge.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _device(self, name: str, device: Bigip) -> dict[str, Any]:
        for word, value in (("username", device.username), ("password", device.password)):
            (self.folder / f"{name}-{word}").write_text(value)
        return {
            "name": name,
            "kind": "bigip",
            "url": device.url,
            "timeout": 5,
            "credentials": {word: {"file": f"{name}-{word}"} for word in ("username", "password")},
            "tls": {"caFile": str(device.ca)} if device.ca else {"verify": False},
            "scope": {"clusters": {one.name: {"default": dict(self.default)} for one in self.clusters}},
            "attach": {
                "mode": "ifEmpty",
                "cluster": {"context": "global"},
                "namespace": {"routeDomain": "/Common/0"},
                "service": {"virtualServer": "/Common/egress"},
            },
            **self.overrides.get(name, {}),
        }


@contextlib.contextmanager
def bigip(*, tls: bool = True) -> Iterator[Bigip]:
    """A simulated device with the virtual server that service policies are attached to."""
    device = Bigip(tls=tls)
    device.put_object("ltm/virtual", {"name": "egress", "partition": "Common", "destination": "/Common/0.0.0.0:0"})
    with device:
        yield device


def eventually(what: str, holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it holds; fails saying what did not."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)


def stays(what: str, holds: Callable[[], bool], seconds: float = 2.0) -> None:
    """Look again and again for so long that it holds all the time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert holds(), f"did not stay so: {what}"
        time.sleep(0.1)


def members(device: Bigip, group: str) -> frozenset[str]:
    """The addresses of one of our groups, its parts included, placeholders left out."""
    lists = device.objects(LISTS, FOLDER)
    found: set[str] = set()
    for path, body in lists.items():
        name = path.rpartition("/")[2]
        if name == group or name.startswith(f"{group}_"):
            found |= {one["name"] for one in body.get("addresses", ())}
    return frozenset(found - {"::1:5ee:bad:c0de"})


def ours(device: Bigip) -> set[str]:
    """Everything of ours on the device, but for what the bridge keeps for itself."""
    kinds = ("address-list", "port-list", "rule-list", "policy")
    found = {path for kind in kinds for path in device.objects(f"security/firewall/{kind}", FOLDER)}
    return {path.rpartition("/")[2] for path in found}
