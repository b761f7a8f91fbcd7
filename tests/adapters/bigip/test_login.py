"""One token, extended, renewed, given back; secrets in no log, no error, no repr; TLS verified unless the settings say otherwise."""

import logging

import pytest

from adapters.bigip import BigipAdapter, factory
from adapters.bigip.tokens import Tokens
from adapters.bigip.transport import Transport
from bridge.errors import Busy, Denied
from bridge.lab.devices.bigip import Bigip
from bridge.model.intent import EVERYTHING
from tests.adapters.bigip.site import Secrets, config, open_adapter, reconcile, shop, wanted


def logins(device: Bigip) -> int:
    return sum(1 for call in device.requests() if call.path.endswith("/authn/login"))


def test_one_token_serves_all_calls_and_is_given_back(adapter: BigipAdapter, device: Bigip) -> None:
    for at in range(3):
        reconcile(adapter, shop(f"10.0.0.{at}"))
    assert logins(device) == 1
    (token,) = device.tokens.live()
    assert token.lifetime == 1200  # so that one that a crash leaves behind counts against the limit for no longer
    adapter.close()
    assert device.tokens.live() == []
    adapter.close()


def test_an_ended_token_is_replaced_once(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, shop("10.0.0.1"))
    device.tokens.forget()
    reconcile(adapter, shop("10.0.0.2"))
    assert logins(device) == 2


def test_a_token_that_ends_inside_a_transaction_costs_nothing(adapter: BigipAdapter, device: Bigip) -> None:
    reconcile(adapter, {})
    device.faults.add("unauthorized", method="POST", path="address-list")
    reconcile(adapter, shop("10.0.0.1"))
    assert adapter.read(EVERYTHING).objects == wanted(adapter, shop("10.0.0.1"))
    assert not any(call.transaction for call in device.requests() if "/mgmt/shared/" in call.path)


def test_a_token_is_renewed_before_it_ends(device: Bigip) -> None:
    now = [0.0]
    transport = Transport(config(device))
    tokens = Tokens(transport, config(device).credentials, provider="tmos", seconds=2000, now=lambda: now[0])
    first = tokens.headers()
    now[0] = 1600.0
    assert tokens.headers() == first
    now[0] = 1800.0
    assert tokens.headers() != first
    assert len(device.tokens.live()) == 1
    tokens.give_back()
    transport.close()


def test_a_device_that_does_not_extend_tokens_keeps_its_own_length(device: Bigip) -> None:
    now = [0.0]
    transport = Transport(config(device))
    tokens = Tokens(transport, config(device).credentials, provider="tmos", seconds=36_000, now=lambda: now[0])
    device.faults.add("forbidden", method="PATCH", path="/authz/tokens/")
    first = tokens.headers()
    now[0] = 1000.0
    assert tokens.headers() != first
    tokens.give_back()
    transport.close()


def test_credentials_are_read_at_each_login(device: Bigip) -> None:
    secrets = Secrets({"username": device.username, "password": device.password})
    adapter = open_adapter(device, credentials=secrets)
    adapter.read(EVERYTHING)
    device.tokens.add_user(device.username, "rotated")
    device.tokens.forget()
    secrets.values["password"] = "rotated"
    adapter.read(EVERYTHING)
    assert secrets.reads.count("password") == 2


def test_too_many_tokens_says_what_to_do(adapter: BigipAdapter, device: Bigip) -> None:
    device.tokens.limit = 0
    with pytest.raises(Denied, match="account of its own"):
        adapter.read(EVERYTHING)


@pytest.mark.parametrize("values", [{"username": "bridge", "password": "wr0ng"}, {"username": "bridge"}])
def test_a_wrong_password_is_denied_with_one_attempt(device: Bigip, values: dict[str, str]) -> None:
    adapter = open_adapter(device, credentials=Secrets(values))
    with pytest.raises(Denied) as denied:
        adapter.read(EVERYTHING)
    assert logins(device) == len(values) - 1
    assert "wr0ng" not in str(denied.value)


@pytest.mark.parametrize("fault", ["busy", "html-503", "garbage", "cut"])
def test_a_login_that_cannot_now_is_busy(adapter: BigipAdapter, device: Bigip, fault: str) -> None:
    device.faults.add(fault, path="/authn/login", times=None)
    with pytest.raises(Busy):
        adapter.read(EVERYTHING)


def test_no_secret_in_any_log_or_repr(device: Bigip, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    adapter = open_adapter(device, scope={"tokenSeconds": 36_000})  # asked for in a call whose path is the token
    reconcile(adapter, shop("10.0.0.1"))
    (token,) = device.tokens.live()
    device.faults.add("cut", method="DELETE")
    adapter.close()
    logged = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn"))
    shown = logged + repr(adapter) + repr(vars(adapter)) + repr(factory)
    assert "authn/login" in shown
    assert "/authz/tokens/…" in shown
    assert device.password not in shown
    assert token.name not in shown


def test_tls_is_verified_unless_the_settings_say_otherwise() -> None:
    with Bigip() as device:
        trusted = factory.open(config(device))
        assert trusted.read(EVERYTHING).objects == {}
        strange = factory.open(config(device, ca_file=None))
        with pytest.raises(Denied, match="certificate"):
            strange.read(EVERYTHING)
        careless = factory.open(config(device, ca_file=None, tls_verify=False))
        assert careless.read(EVERYTHING).objects == {}
        missing = factory.open(config(device, ca_file="/nowhere/ca.pem"))
        with pytest.raises(Denied, match="caFile"):
            missing.read(EVERYTHING)
        for adapter in (trusted, strange, careless, missing):
            adapter.close()
