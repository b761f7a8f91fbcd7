"""The endpoint of the running program."""

from types import SimpleNamespace
from typing import Any, cast

import httpx

from bridge.cli.controller import Controller
from bridge.cli.monitoring import Monitoring


def _controller(missing: list[str]) -> Controller:
    step = SimpleNamespace(is_set=lambda: True)
    worker = SimpleNamespace(in_step=step, pacing=SimpleNamespace(open=False))
    intake = SimpleNamespace(waiting=3, revision=7)
    watcher = SimpleNamespace(health=dict)
    found: Any = SimpleNamespace(
        intakes={"east": intake}, watchers={"east": watcher}, workers={"edge": worker}, unready=lambda: missing
    )
    return cast(Controller, found)


def test_metrics_health_and_readiness() -> None:
    missing = ["cluster east"]
    endpoint = Monitoring(_controller(missing), "127.0.0.1", 0)
    endpoint.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{endpoint.port}", trust_env=False) as client:
            text = client.get("/metrics").text
            assert 'fusion_bridge_intake_waiting_events{cluster="east"} 3.0' in text
            assert 'fusion_bridge_device_in_step{device="edge"} 1.0' in text
            assert client.get("/livez").status_code == 200
            waiting = client.get("/readyz")
            assert (waiting.status_code, waiting.text) == (503, "cluster east\n")
            missing.clear()
            assert client.get("/readyz").text == "ready\n"
            assert client.get("/").status_code == 404
    finally:
        endpoint.stop()
