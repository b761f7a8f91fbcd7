"""What each answer of a unit means, odd ones included, and that a token stays where it belongs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.conformance.bench import FENCE
from adapters.conformance.site import SOURCES, WEB, objects
from adapters.fortigate import factory
from adapters.fortigate.block import Write
from adapters.fortigate.client import Client, Locked, Refusal
from adapters.fortigate.fence import Keeper
from adapters.fortigate.names import Names
from adapters.fortigate.transactions import Transactions
from adapters.fortigate.transport import Transport
from bridge.contract import DeviceConfig
from bridge.errors import Busy, Denied, DeviceError, NotOwned, Unsupported
from bridge.model.intent import EVERYTHING, Group, Intent
from tests.adapters.fortigate.rig import Rig, fortigate_rig
from tests.adapters.fortigate.test_writing import reconcile

HTML = b"<html><body>Too bad</body></html>"


@dataclass(frozen=True)
class Said:
    """A token, whatever it is."""

    text: str = "t" * 31

    def value(self, _name: str) -> str:
        return self.text


class Told(Transport):
    """A unit that always says the same."""

    def __init__(self, status: int, content: bytes) -> None:
        super().__init__(DeviceConfig("edge", "fortigate", "https://unit.invalid", "fb", Said()))
        self.answer = httpx.Response(status, content=content)

    def send(self, *_given: object, **_named: object) -> httpx.Response:
        return self.answer


def refused(status: int, content: bytes) -> Exception:
    with pytest.raises((DeviceError, Refusal)) as caught:
        Client(Told(status, content), "").write("PUT", "cmdb/firewall/address/x", {})
    return caught.value


def words(text: str, error: int = -651) -> bytes:
    return msgspec.json.encode({"status": "error", "http_status": 500, "error": error, "cli_error": text})


@pytest.mark.parametrize(
    ("status", "content", "meaning"),
    [
        (401, HTML, Denied),
        (403, HTML, Denied),
        (302, HTML, Denied),
        (429, HTML, Busy),
        (502, HTML, Busy),
        (200, HTML, Busy),
        (413, HTML, Refusal),
        (500, words("the table is locked by another transaction", -7), Locked),
        (500, words("entry not found in datasource: prod_east_service_shop_transaction"), Refusal),
        (500, words("value parse error before 'prod_east_clusterexternal__blocked'"), Refusal),
        (500, words("prod_east_service_shop_locked.tcp_tcp is not there", -3), Refusal),
    ],
)
def test_what_a_refusal_means(status: int, content: bytes, meaning: type[Exception]) -> None:
    assert type(refused(status, content)) is meaning


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda one: st.lists(one, max_size=2)
)
FIELDS = st.sampled_from(["status", "error", "cli_error", "results", "serial", "mkey", "matched_count", "http_status"])


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([200, 400, 404, 424, 500]), st.dictionaries(FIELDS, ODD | st.sampled_from(["success", "error"])))
def test_odd_answers_are_errors_of_the_contract_or_empty(status: int, envelope: dict[str, object]) -> None:
    client = Client(Told(status, msgspec.json.encode(envelope)), "root")
    for read in (
        lambda: list(client.entries("firewall/address", msgspec.Raw)),
        lambda: client.find("cmdb/x", msgspec.Raw),
    ):
        try:
            read()
        except DeviceError:
            continue


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with fortigate_rig(tls=False) as lent:
        yield lent


@pytest.mark.parametrize("token", ["half\nof it", "half\x0bof it", "hálf of it"])
def test_a_token_that_no_header_can_have_is_in_no_error(rig: Rig, token: str) -> None:
    adapter = factory.open(replace(rig.config(), credentials=Said(token)))
    with pytest.raises(Denied) as caught:
        adapter.read(EVERYTHING)
    seen: BaseException | None = caught.value
    while seen is not None:
        assert "of it" not in f"{seen!r} {seen}"
        seen = seen.__context__


def test_an_address_of_others_under_the_name_of_our_group_is_named(rig: Rig) -> None:
    rig.reset()
    adapter = factory.open(rig.config())
    adapter.raise_fence(FENCE)
    theirs = {"name": "fb_prod_service_shop_web", "subnet": "192.0.2.9/32"}
    rig.device.put_object("firewall/address", theirs, user="site")
    with pytest.raises(NotOwned) as caught:
        reconcile(adapter, objects(Group(WEB, frozenset({SOURCES[0]}))))
    assert caught.value.names == ("firewall/address fb_prod_service_shop_web",)
    assert set(caught.value.objects) == {str(WEB)}
    adapter.close()


def test_nothing_is_sent_into_a_transaction_whose_time_may_be_over(rig: Rig) -> None:
    rig.reset()
    client = Client(Transport(rig.config()), "")
    keeper, clock = Keeper(client, Names("fb")), count(step=40)
    keeper.raise_to(FENCE)
    body = {"name": "fb_10.0.0.9", "comment": "fb:fb:10.0.0.9", "subnet": "10.0.0.9 255.255.255.255"}
    writes = [
        Write(WEB, "POST", "cmdb/firewall/address", body),
        Write(WEB, "PUT", "cmdb/firewall/address/fb_10.0.0.9", body),
        Write(WEB, "PUT", "cmdb/firewall/address/fb_10.0.0.9", body),
    ]
    with pytest.raises(Busy, match="transactionSeconds"):
        Transactions(client, keeper, 60, elapsed=lambda: next(clock)).run(writes, FENCE, lambda: keeper.check(FENCE))
    assert len(rig.device.transactions) == 0
    assert "fb_10.0.0.9" not in rig.device.objects("firewall/address")
    client.close()


def test_a_name_that_no_comment_can_hold_is_unsupported(rig: Rig) -> None:
    adapter = factory.open(rig.config())
    name = ".".join(["n" * 48] * 5)
    with pytest.raises(Unsupported, match="too long"):
        adapter.normalize(Intent("edge", objects(Group(WEB, fqdns=frozenset({f"{name}.org"})))))
    assert adapter.normalize(Intent("edge", objects(Group(WEB, fqdns=frozenset({name[:240]})))))
