"""What becomes of a packet, why, and whether each device in scope does just that."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.documents import Json, answers
from bridge.api.parameters import At, OfCluster, Several, moment, words
from bridge.api.problems import Missing, Wrong
from bridge.api.site import Site
from bridge.report.destination import Destination, destination
from bridge.report.sender import Ambiguous, Crowd, From, NotTraceable, source
from bridge.report.trace import Tracer
from bridge.report.trace_model import Trace
from bridge.state.trace_store import TraceStore

router = APIRouter(tags=["trace"])

SENDERS = 1_000  # pods behind one Service: an answer names each of them, on each device

Sending = Annotated[
    str, words("Who sends: [pod/]NAMESPACE/POD, [service/]NAMESPACE/NAME, an address.", most=600, alias="from")
]
To = Annotated[
    str,
    words(
        "Where to: 203.0.113.7:443, [2001:db8::7]:53/udp, api.example.com:443, 203.0.113.7/icmp:8, 203.0.113.7/47. TCP unless told; "
        "without a port and a protocol, all traffic.",
        most=300,
    ),
]


@router.get("/trace", responses=answers(Trace, 404))
def trace(site: Asked, _: Viewer, sending: Sending, to: To, at: At = None, cluster: OfCluster = None) -> Json:
    """What becomes of this packet: the decisions, the rules on the way, and each device."""
    return Json(traced(site, sending, to, at, cluster))


def traced(site: Site, sending: str, to: str, at: str | None = None, cluster: str | None = None) -> Trace:
    """The whole answer. Raises Wrong for a parameter (Several where the sender can be several), Missing for a sender that is not known."""
    now = datetime.now(UTC)
    asked, where, when = _sender(sending), _destination(to), moment(at, "at", now)
    if cluster is not None and cluster not in site.traced:
        raise Missing(f"there is no cluster {cluster}; there are {', '.join(site.traced) or 'none'}")
    chosen = site.traced if cluster is None else {cluster: site.traced[cluster]}
    with TraceStore(site.database).reading() as reading:
        try:
            return Tracer(reading, chosen, when, now, most=SENDERS).trace(asked, where, cluster)
        except Ambiguous as error:
            raise Several("from", str(error), error.choices) from None
        except Crowd as error:
            raise Wrong("from", str(error)) from None
        except NotTraceable as error:
            raise Missing(str(error)) from None


def _sender(text: str) -> From:
    try:
        return source(text)
    except ValueError as error:
        raise Wrong("from", str(error)) from None


def _destination(text: str) -> Destination:
    try:
        return destination(text)
    except ValueError as error:
        raise Wrong("to", str(error)) from None
