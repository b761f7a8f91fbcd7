"""The simulator as a process of its own: one JSON line, then service until SIGTERM."""

import json
import signal
import ssl
import subprocess
import sys
from importlib.metadata import entry_points

import httpx
import pytest

from bridge.lab.devices.bigip import Bigip

PROGRAM = """
from bridge.lab.device import serve
from bridge.lab.devices.bigip import simulator
serve(simulator(tls={tls}, username="lab", password="pw"))
"""


def test_found_by_entry_point() -> None:
    (found,) = entry_points(group="fusion_bridge.lab_devices", name="bigip")
    assert isinstance(found.load()(tls=False), Bigip)


@pytest.mark.parametrize("tls", [True, False])
def test_one_line_and_service_until_sigterm(tls: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(tls=tls)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            document = json.loads(process.stdout.readline())
            assert set(document) == {"url", "kubeconfig", "username", "password", "token", "ca"}
            assert (document["username"], document["password"], document["kubeconfig"]) == ("lab", "pw", None)
            assert document["url"].startswith("https://127.0.0.1:" if tls else "http://127.0.0.1:")
            verify = document["ca"] if tls else True
            answer = httpx.get(f"{document['url']}/mgmt/tm/sys/version", auth=("lab", "pw"), verify=_context(verify))
            assert answer.status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")


def _context(verify: str | bool) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=verify) if isinstance(verify, str) else True
