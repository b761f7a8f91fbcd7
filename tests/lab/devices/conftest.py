"""A simulated BIG-IP with a folder of our own, and three clients: plain HTTP, f5-sdk, bigrest. A simulated FortiGate, and a client."""

import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bridge.lab.devices.bigip import Bigip
from bridge.lab.devices.fortigate import Fortigate
from tests.lab.devices.fortigate import Api

FIREWALL = "/mgmt/tm/security/firewall"

Untyped = Any
"""Objects of f5-sdk and bigrest, which carry no types."""


@pytest.fixture
def device() -> Iterator[Bigip]:
    with Bigip() as bigip:
        bigip.put_object("sys/folder", {"name": "/Common/fb"}, user="site")
        yield bigip


@pytest.fixture
def http(device: Bigip) -> Iterator[httpx.Client]:
    with client(device) as opened:
        yield opened


def client(device: Bigip) -> httpx.Client:
    verify = ssl.create_default_context(cafile=device.ca)
    return httpx.Client(base_url=device.url, auth=(device.username, device.password), verify=verify, timeout=5)


@pytest.fixture
def trusted(device: Bigip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients built on requests let the environment's authorities win over what they are told."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(device.ca))


@pytest.fixture
def sdk(device: Bigip, trusted: None) -> Iterator[Untyped]:
    from f5.bigip import ManagementRoot

    root = ManagementRoot(
        "127.0.0.1", device.username, device.password, port=urlsplit(device.url).port, verify=device.ca
    )
    with root.icrs.session:  # neither client has a close of its own: left open, the socket warns in a later test
        yield root


@pytest.fixture
def rest(device: Bigip, trusted: None) -> Iterator[Untyped]:
    from bigrest.bigip import BIGIP

    bigip = BIGIP(
        urlsplit(device.url).netloc, device.username, device.password, request_token=True, session_verify=device.ca
    )
    with bigip.session:
        yield bigip


@pytest.fixture
def box() -> Iterator[Fortigate]:
    with Fortigate(tls=False) as fortigate:
        yield fortigate


@pytest.fixture
def api(box: Fortigate) -> Iterator[Api]:
    opened = Api(box)
    with opened.http:
        yield opened
