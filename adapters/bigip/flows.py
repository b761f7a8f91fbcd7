"""Connections of a BIG-IP: those that one client opened, listed and closed one by one (`sys/connection`).

Which connections a call is about is said in its query, `options=cs-client-addr 10.0.0.1 …`, as tmsh takes it; a `delete` without any would
close every connection of the box. Public clients use one such option over REST, in GET and in DELETE; that several are taken is not
confirmed. So nothing is closed unless the device, asked with the very same words, has just shown that connection and no other.
"""

from collections.abc import Callable, Collection, Iterator
from urllib.parse import urlencode

import msgspec

from adapters.bigip.client import Client, Refusal
from adapters.bigip.domains import Domain
from bridge.errors import Denied
from bridge.model.addresses import canonical_address
from bridge.model.flows import Flow
from bridge.model.policy import NUMBERS, Protocol

_PATH = "sys/connection"
_WORDS = {Protocol.TCP: "tcp", Protocol.UDP: "udp", Protocol.SCTP: "sctp"}
_PROTOCOLS: dict[str, Protocol] = {word: protocol for protocol, word in _WORDS.items()}
_PROTOCOLS |= {str(NUMBERS[protocol]): protocol for protocol in _WORDS}


class _Value(msgspec.Struct):
    description: str = ""
    value: float = 0

    @property
    def text(self) -> str:
        return self.description or str(int(self.value))


class _Values(msgspec.Struct):
    entries: dict[str, _Value] = {}


class _Entry(msgspec.Struct):
    nested: _Values = msgspec.field(name="nestedStats", default_factory=_Values)


class _Listing(msgspec.Struct):
    """What `sys/connection` answers: statistics, one entry for each connection."""

    entries: dict[str, _Entry] = {}


class Connections:
    """The connections that clients of one route domain opened."""

    def __init__(self, client: Client, domain: Callable[[], Domain]) -> None:
        self._client = client
        self._domain = domain

    def of(self, sources: Collection[str]) -> Iterator[Flow]:
        """One call for each address. Raises Busy, Denied; Denied too where the device shows the connections of others."""
        for source in sources:
            for one in self._listed(source, {"cs-client-addr": self._address(source)}):
                flow = self._flow(one)
                if flow is not None:
                    yield flow

    def close(self, flow: Flow) -> int:
        """Two calls: is it that one, and close it; how many were there. Raises Busy, Denied."""
        words = {
            "cs-client-addr": self._address(flow.source),
            "cs-client-port": str(flow.source_port),
            "cs-server-addr": self._address(flow.destination),
            "cs-server-port": str(flow.port),
            "protocol": _WORDS[flow.protocol],
        }
        found = [self._flow(one) for one in self._listed(flow.source, words)]
        if not found:
            return 0
        if set(found) != {flow}:
            raise self._unfiltered()
        try:
            self._client.call("DELETE", _place(words))
        except Refusal as refusal:
            if refusal.status == 404:
                return 0
            raise self._client.denied(_PATH, refusal) from None
        return 1

    def _listed(self, source: str, words: dict[str, str]) -> list[_Values]:
        """The connections that the device says are meant; Denied where one is of another client."""
        found = self._client.find(_place(words), _Listing)
        shown = [entry.nested for entry in found.entries.values()] if found is not None else []
        if any(self._bare(_text(one, "csClientAddr")) != source for one in shown):
            raise self._unfiltered()
        return shown

    def _flow(self, shown: _Values) -> Flow | None:
        """A connection that can be told exactly; None for one without ports."""
        source, destination = (self._bare(_text(shown, name)) for name in ("csClientAddr", "csServerAddr"))
        protocol = _PROTOCOLS.get(_text(shown, "protocol").lower())
        try:
            ports = int(_text(shown, "csClientPort")), int(_text(shown, "csServerPort"))
            return Flow(source, destination, protocol, *ports) if protocol is not None else None
        except ValueError:
            return None

    def _address(self, address: str) -> str:
        """As the device writes it: the default route domain of /Common goes without saying."""
        domain = self._domain()
        return address if domain.number == domain.bare else f"{address}%{domain.number}"

    def _bare(self, text: str) -> str:
        """The address in canonical form; "" for one of another route domain, and for what is none."""
        address, _, number = text.partition("%")
        domain = self._domain()
        try:
            return canonical_address(address) if int(number or domain.bare) == domain.number else ""
        except ValueError:
            return ""

    def _unfiltered(self) -> Denied:
        words = "it shows other connections than it was asked for, so none can be closed safely"
        return Denied(self._client.device, f"{_PATH}: {words}; set closeFlows to false")


def _place(words: dict[str, str]) -> str:
    if "cs-client-addr" not in words:
        raise ValueError("a call about connections names a client, or it would be about all")
    return f"{_PATH}?{urlencode({'options': ' '.join(f'{name} {value}' for name, value in words.items())})}"


def _text(shown: _Values, name: str) -> str:
    found = shown.entries.get(name)
    return found.text if found is not None else ""
