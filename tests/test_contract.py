"""What adapters that speak over TLS share: what a broken exchange means, and a connection that lasts as long as its certificates."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.contract import DeviceConfig, Kept, unanswered
from bridge.errors import Busy, Denied


class _Nothing:
    def value(self, name: str) -> str:
        raise KeyError(name)


@dataclass
class _Line:
    ends: list[str] = field(default_factory=list)

    def close(self) -> None:
        self.ends.append("closed")


@pytest.mark.parametrize(
    ("reason", "harmless", "error", "words"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", True, Denied, "caFile"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] alert", True, Denied, "certFile and keyFile"),
        ("[SSL: SSLV3_ALERT_BAD_CERTIFICATE] alert", False, Denied, "certFile and keyFile"),
        ("[SSL: SSLV3_ALERT_UNSUPPORTED_CERTIFICATE] alert", True, Denied, "certFile and keyFile"),
        ("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] alert", True, Busy, "ALERT_PROTOCOL_VERSION"),
        ("[SSL: UNEXPECTED_EOF_WHILE_READING]", True, Busy, "see certFile and keyFile"),
        ("refused", True, Busy, "no answer (OSError: refused)"),
        ("", False, Busy, "no answer to a write, which may have taken effect: read again (OSError)"),
    ],
)
def test_what_a_broken_exchange_means(reason: str, harmless: bool, error: type[Exception], words: str) -> None:
    told = unanswered("edge", OSError(reason) if reason else OSError(), harmless=harmless)
    assert type(told) is error
    assert words in str(told)


def test_a_connection_ends_with_the_certificate_that_it_was_made_with(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("one")
    made: list[_Line] = []

    def make(_config: DeviceConfig) -> _Line:
        made.append(_Line())
        return made[-1]

    kept = Kept(DeviceConfig("edge", "any", "", "fb", _Nothing(), ca_file=str(authority)), make)
    assert made == []
    assert kept.get() is kept.get() is made[0]
    authority.write_text("another")
    assert kept.get() is made[1]
    assert (made[0].ends, made[1].ends) == (["closed"], [])
    kept.close()
    kept.close()
    assert made[1].ends == ["closed"]
    assert kept.get() is made[2]
