"""The demo with the console left open, as a newcomer meets it."""

import json
import re
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.acceptance.site import PROGRAM, eventually


@pytest.mark.acceptance(
    "console: `fusion-bridge demo --console` leaves it open on a living cluster, with something held"
)
def test_demo_console(tmp_path: Path) -> None:
    line = [str(PROGRAM), "--data-dir", str(tmp_path), "demo", "--console", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            found = re.search(r"console: (http://127\.0\.0\.1:\d+)/ \(Ctrl-C ends it\)", demo.stdout.readline())
            assert found
            with httpx.Client(base_url=found[1], trust_env=False, timeout=30) as client:
                before = _revision(client)
                eventually("something is held", lambda: "1 change held for a decision" in client.get("/").text)
                eventually("pods come and go", lambda: _revision(client) > before + 3)
                assert "reach-mainframe" in client.get("/remarks").text
        finally:
            demo.send_signal(signal.SIGINT)
            rest, said = demo.communicate(timeout=120)
    assert demo.returncode == 0, said
    assert ", 0 missing, 0 extra" in rest.splitlines()[-1]


@pytest.mark.acceptance("console: the demo's console is for this machine alone")
@pytest.mark.parametrize("listen", ["0.0.0.0:9810", "127.0.0.1", "localhost:9810", "127.0.0.1:99999"])
def test_for_this_machine_alone(tmp_path: Path, listen: str) -> None:
    line = [str(PROGRAM), "--data-dir", str(tmp_path), "demo", "--console", "--listen", listen]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "an address of this machine alone" in " ".join(done.stderr.split())) == (2, True), (
        done.stderr
    )


def _revision(client: httpx.Client) -> int:
    (one,) = json.loads(client.get("/api/v1/clusters").text)["clusters"]
    return int(one["revision"])
