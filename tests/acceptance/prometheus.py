"""A real Prometheus that scrapes a real bridge, and promtool beside it. From Debian's package `prometheus`."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.acceptance.site import eventually

MONITORING = Path(__file__).parents[2] / "config" / "monitoring"


def program(name: str) -> str:
    """Where `prometheus` or `promtool` is. Without it the test is skipped; in CI, where it is installed, it fails."""
    found = shutil.which(name)
    if found is None:
        words = f"{name} is not installed: it is in Debian's package prometheus"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    return found


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that runs; answers of its HTTP API as Python has them."""

    client: httpx.Client

    def ask(self, path: str, **query: str) -> Any:  # noqa: ANN401 (any JSON)
        """The data of an answer; AssertionError with its words when it is an error."""
        answer = self.client.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, (query, answer.text)
        return answer.json()["data"]

    def series(self, expression: str) -> list[Mapping[str, str]]:
        """The labels of each series that an expression comes to."""
        found = self.ask("query", query=expression)
        assert found["resultType"] == "vector", (expression, found["resultType"])
        return [one["metric"] for one in found["result"]]

    def value(self, expression: str) -> float | None:
        """What an expression of at most one series comes to."""
        found = self.ask("query", query=expression)["result"]
        assert len(found) <= 1, (expression, found)
        return float(found[0]["value"][1]) if found else None


@contextlib.contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """The example configuration with our rules, asked to scrape `target` each second; data in `folder`, on loopback."""
    settings = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(MONITORING / "alerts.yaml")]
    settings["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    line = [program("prometheus"), f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*line, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            found = Prometheus(client)
            eventually("Prometheus is up", lambda: _up(client) or process.poll() is not None)
            assert process.poll() is None, (folder / "prometheus.log").read_text()[-2000:]
            eventually("the bridge was scraped often enough for rates", lambda: _scrapes(found) >= 4)
            yield found
    finally:
        process.terminate()
        process.wait(30)


def _up(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def _scrapes(found: Prometheus) -> float:
    return found.value('count_over_time((up{job="fusion-bridge"} == 1)[1m:1s])') or 0
