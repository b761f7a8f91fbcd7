"""A device that asks callers for a certificate, and certificates that are changed while the bridge runs."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from adapters.bigip import factory
from bridge.errors import Busy, Denied
from bridge.lab.devices.bigip import Bigip
from bridge.model.intent import EVERYTHING
from tests.adapters.bigip.site import config

AUTHORITY = trustme.CA()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Bigip]:
    """Takes callers with a certificate of AUTHORITY only."""
    simulator = Bigip()
    AUTHORITY.cert_pem.write_to_path(tmp_path / "clients.pem")
    simulator.endpoint.client_ca = str(tmp_path / "clients.pem")
    with simulator:
        yield simulator


def _issue(authority: trustme.CA, certificate: Path, key: Path) -> None:
    issued = authority.issue_cert("bridge.example.com")
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())


def test_it_is_shown(device: Bigip, tmp_path: Path) -> None:
    certificate, key = tmp_path / "bridge.pem", tmp_path / "bridge.key"
    _issue(AUTHORITY, certificate, key)
    adapter = factory.open(config(device, cert_file=str(certificate), key_file=str(key)))
    assert adapter.read(EVERYTHING).objects == {}
    adapter.close()


def test_key_and_certificate_in_one_file(device: Bigip, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(AUTHORITY.issue_cert("bridge.example.com").private_key_and_cert_chain_pem.bytes())
    adapter = factory.open(config(device, cert_file=str(both)))
    assert adapter.read(EVERYTHING).objects == {}
    adapter.close()


def test_without_one_it_is_said_what_to_do(device: Bigip) -> None:
    adapter = factory.open(config(device))
    with pytest.raises(Busy, match="certFile and keyFile"):  # the simulator hangs up without a word
        adapter.read(EVERYTHING)
    adapter.close()


def test_a_refusal_in_words_opens_the_breaker(device: Bigip, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    context.load_verify_locations(device.endpoint.client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        refused = pool.submit(_refuse_calls, listener, context)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        adapter = factory.open(config(device, url=url, ca_file=str(tmp_path / "ca.pem")))
        with pytest.raises(Denied, match="certFile and keyFile"):
            adapter.read(EVERYTHING)
        assert refused.result() == 2  # tried once more, for it never was a call
        adapter.close()


def _refuse_calls(listener: socket.socket, context: ssl.SSLContext) -> int:
    refused = 0
    for _ in range(2):
        peer, _ = listener.accept()
        with peer, suppress(ssl.SSLError), context.wrap_socket(peer, server_side=True):
            return refused
        refused += 1
    return refused


def test_a_changed_certificate_counts_from_the_next_call_on(device: Bigip, tmp_path: Path) -> None:
    certificate, key = tmp_path / "bridge.pem", tmp_path / "bridge.key"
    _issue(trustme.CA(), certificate, key)
    adapter = factory.open(config(device, cert_file=str(certificate), key_file=str(key)))
    with pytest.raises((Denied, Busy)):
        adapter.read(EVERYTHING)
    _issue(AUTHORITY, certificate, key)
    assert adapter.read(EVERYTHING).objects == {}
    _issue(trustme.CA(), certificate, key)
    with pytest.raises((Denied, Busy)):  # the connection that was made with the old one is not used any longer
        adapter.read(EVERYTHING)
    adapter.close()


def test_a_changed_authority_counts_from_the_next_call_on(tmp_path: Path) -> None:
    with Bigip() as device:
        trusted, given = Path(device.ca or ""), tmp_path / "authorities.pem"
        given.write_bytes(trusted.read_bytes())
        adapter = factory.open(config(device, ca_file=str(given)))
        assert adapter.read(EVERYTHING).objects == {}
        trustme.CA().cert_pem.write_to_path(given)
        with pytest.raises(Denied, match="caFile"):
            adapter.read(EVERYTHING)
        given.write_bytes(trusted.read_bytes())
        assert adapter.read(EVERYTHING).objects == {}
        adapter.close()


@pytest.mark.parametrize("damage", ["missing", "garbage", "locked"])
def test_files_that_cannot_be_used_are_named(damage: str, device: Bigip, tmp_path: Path) -> None:
    certificate, key = tmp_path / "bridge.pem", tmp_path / "bridge.key"
    if damage == "garbage":
        certificate.write_text("no certificate")
        key.write_text("no key")
    elif damage == "locked":
        _issue(AUTHORITY, certificate, key)
        key.write_text(_LOCKED)
    adapter = factory.open(config(device, cert_file=str(certificate), key_file=str(key)))
    with pytest.raises(Denied, match=r"certFile and keyFile \(.*bridge\.pem and .*bridge\.key\) cannot be used"):
        adapter.read(EVERYTHING)
    adapter.close()


_LOCKED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBBzXQ5yX8eZQ0b3mJc0
-----END ENCRYPTED PRIVATE KEY-----
"""
