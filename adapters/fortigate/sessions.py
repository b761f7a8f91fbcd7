"""Sessions of one VDOM as flows, and the closing of single ones.

Only `session/close` is ever called, and only with all that tells one session from every other: of its neighbours, `close-multiple` closes
what matches the parameters that it knows, and knows none that are misspelt; `clear_all` closes everything (Fortinet's Swagger 6.4.14).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress

import msgspec

from adapters.fortigate.client import Client, Refusal
from bridge.model.flows import Flow
from bridge.model.policy import NUMBERS, WITH_PORTS, Protocol

_PAGE = 1000  # the most that one call shows
_MOST = 50  # pages; who has more flows than that is asked again at the next turn
_NAMES: dict[str, Protocol] = {one.value.lower(): one for one in WITH_PORTS}
_NAMES |= {str(NUMBERS[one]): one for one in WITH_PORTS}


class _Session(msgspec.Struct):
    proto: str | int = ""
    saddr: str = ""
    daddr: str = ""
    sport: int = 0
    dport: int = 0


class _Page(msgspec.Struct):
    details: list[_Session] = []


def flows(client: Client, sources: Collection[str]) -> list[Flow]:
    """What these addresses opened and can be told exactly: a call for each source and thousand sessions. Raises Busy, Denied."""
    found = (flow for source in sorted(set(sources)) for flow in _of(client, source))
    return list(dict.fromkeys(found))


def close(client: Client, wanted: Collection[Flow], check: Callable[[], None]) -> int:
    """Close exactly these, as far as they are there; how many were. `check` is asked before each call that closes."""
    there = set(flows(client, {flow.source for flow in wanted})) if wanted else set()
    closed = 0
    for flow in sorted(there & set(wanted), key=str):
        check()
        try:
            client.write("POST", f"monitor/firewall/{_table(flow.source)}/close", body(flow))
        except Refusal as refusal:
            if not refusal.missing:
                raise client.denied("monitor/firewall/session/close", refusal) from None
        else:
            closed += 1
    return closed


def body(flow: Flow) -> dict[str, str | int]:
    """What tells one session from all others: there is no flow without any of it."""
    return {
        "pro": flow.protocol.value.lower(),
        "saddr": flow.source,
        "daddr": flow.destination,
        "sport": flow.source_port,
        "dport": flow.port,
    }


def _of(client: Client, source: str) -> Iterator[Flow]:
    asked = {"source": source, "count": str(_PAGE), "ip_version": "ipv6" if ":" in source else "ipv4"}
    for page in range(_MOST):
        try:
            told = client.get("monitor/firewall/session", asked | ({"start": str(page * _PAGE)} if page else {}))
        except Refusal as refusal:
            raise client.denied("monitor/firewall/session", refusal) from None
        details = client.decoded(told.results, _Page).details
        yield from _told(details, source)
        if len(details) < _PAGE:
            return


def _told(details: Iterable[_Session], source: str) -> Iterator[Flow]:
    """Those with ports and of just this source, whatever the unit makes of the question."""
    for one in details:
        protocol = _NAMES.get(str(one.proto).lower())
        if protocol is None:
            continue
        with suppress(ValueError):
            flow = Flow(one.saddr, one.daddr, protocol, one.sport, one.dport)
            if flow.source == source:
                yield flow


def _table(source: str) -> str:
    return "session6" if ":" in source else "session"
