"""What the FortiGate adapter sends, before parties that nobody here wrote: Fortinet's Swagger, fortigate-api and pyfgt."""

import pytest

from tests.adapters.fortigate import test_payloads as payloads
from tests.adapters.fortigate.rig import Rig
from tests.adapters.fortigate.test_payloads import Sent

sent = payloads.sent
twin = payloads.twin


@pytest.mark.acceptance(
    "devices: FortiGate: every body that the adapter sends is as Fortinet's Swagger of 6.4.14 describes it"
)
def test_bodies(sent: tuple[list[Sent], Rig]) -> None:
    payloads.test_bodies_are_as_fortinet_describes_them(sent)
    payloads.test_paths_are_fortinet_s(sent)


@pytest.mark.acceptance("devices: FortiGate: fortigate-api sends the same calls once more and gets the same box")
def test_fortigate_api(sent: tuple[list[Sent], Rig], twin: Rig) -> None:
    payloads.test_fortigate_api_sends_the_same_and_gets_the_same_box(sent, twin)


@pytest.mark.acceptance("devices: FortiGate: pyfgt reads what the adapter wrote, feeds included")
def test_pyfgt(sent: tuple[list[Sent], Rig], monkeypatch: pytest.MonkeyPatch) -> None:
    payloads.test_pyfgt_reads_what_stands_there(sent, monkeypatch)
