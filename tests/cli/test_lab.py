"""`lab`: one JSON line, service until SIGTERM."""

import json
import signal
import socket
import ssl

import httpx
import pytest

from tests.cli.program import start

KEYS = {"url", "kubeconfig", "username", "password", "token", "ca"}


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["device", "bigip", "--username", "lab", "--password", "pw"], "/mgmt/tm/sys/version"),
        (["cluster", "--pods", "5"], "/version"),
    ],
)
def test_one_line_then_service_until_sigterm(arguments: list[str], path: str) -> None:
    with start("lab", *arguments) as process:
        try:
            assert process.stdout is not None
            document = json.loads(process.stdout.readline())
            assert set(document) == KEYS
            trust = ssl.create_default_context(cafile=document["ca"])
            headers = {"Authorization": f"Bearer {document['token']}"} if document["token"] else {}
            auth = ("lab", "pw") if document["username"] else None
            assert httpx.get(document["url"] + path, headers=headers, auth=auth, verify=trust).status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def test_an_unknown_kind_and_a_taken_port() -> None:
    with start("lab", "device", "toaster") as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, "no simulator for toaster; there are aws, bigip" in err) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for what in (["cluster"], ["device", "bigip"]):
            with start("lab", *what, "--port", port) as process:
                _, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (1, "fusion-bridge: Address already in use\n")
