"""What becomes of a packet, drawn along its path: who sends, the rules on the way, the decision, the devices, where to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from bridge.api.access import Viewer
from bridge.api.asked import Asked
from bridge.api.console.errors import unanswered
from bridge.api.console.page import page
from bridge.api.console.query import PageQuery
from bridge.api.parameters import At, Name
from bridge.api.problems import Missing, Wrong
from bridge.api.routes import trace as routes
from bridge.report.trace_model import Answer, Decided, Looked, OnDevice, Sender, Trace
from bridge.report.trace_words import decision_text

router = APIRouter(include_in_schema=False)

_SENDERS = 5  # that are named
_RULES = 100  # of a tier that do not match
_DEVICES = 40
_TONES = {"Allow": "good", "Deny": "bad", "Reject": "bad"}


@dataclass(frozen=True, slots=True)
class OnTheWay:
    """The rules of one tier: those that match, or may; some of those that do not, and how many more of those there are."""

    tier: str
    met: tuple[Looked, ...]
    others: tuple[Looked, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision in words."""

    words: str
    tone: str
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Path:
    """One answer as it is drawn. Devices that do otherwise come first; `more…` says how many are not told."""

    senders: tuple[Sender, ...]
    more_senders: int
    tiers: tuple[OnTheWay, ...]
    decisions: tuple[Decision, ...]
    devices: tuple[OnDevice, ...]
    more_devices: int
    arrives: str


@router.get("/trace")
def trace(
    request: Request,
    site: Asked,
    _: Viewer,
    sending: routes.Sending = "",
    to: routes.To = "",
    at: At = None,
    cluster: Name = "",
) -> HTMLResponse:
    """The form, and the answer."""
    found, failed = None, None
    if sending.strip() and to.strip():
        try:
            found = routes.traced(site, sending, to, at, cluster or None)
        except (Wrong, Missing) as error:
            failed = unanswered(error)
    values = {
        "asked": {"from": sending, "to": to, "at": at or "", "cluster": cluster},
        "clusters": sorted(site.serving),
        "found": found,
        "paths": tuple(_paths(found)) if found else (),
        "failed": failed,
        "others": PageQuery({"to": to, "at": at or "", "cluster": cluster}),
        "tones": _TONES,
    }
    return page(
        request,
        "trace.html.j2",
        values,
        title="What becomes of a packet",
        status=failed.of_search if failed else 200,
    )


def _paths(found: Trace) -> Iterator[Path]:
    several = any(len(one.decisions) > 1 for one in found.answers)
    for one in found.answers:
        devices = sorted(one.devices, key=lambda device: bool(device.agrees))
        yield Path(
            senders=one.senders[:_SENDERS],
            more_senders=max(len(one.senders) - _SENDERS, 0),
            tiers=tuple(_tiers(one)),
            decisions=tuple(
                Decision(decision_text(each, several=several), _TONES.get(each.verdict, "warn"), each.devices)
                for each in one.decisions
            ),
            devices=tuple(devices[:_DEVICES]),
            more_devices=max(len(devices) - _DEVICES, 0),
            arrives=_arrives(one.decisions),
        )


def _tiers(answer: Answer) -> Iterator[OnTheWay]:
    for tier, rules in groupby(answer.rules, key=lambda rule: rule.tier):
        found = tuple(rules)
        others = tuple(rule for rule in found if rule.outcome == "no")
        met = tuple(rule for rule in found if rule.outcome != "no")
        yield OnTheWay(tier, met, others[:_RULES], max(len(others) - _RULES, 0))


def _arrives(decisions: Sequence[Decided]) -> str:
    """Whether policy lets it through."""
    verdicts = {one.verdict for one in decisions}
    if verdicts == {"Allow"}:
        return "let through"
    if verdicts and verdicts <= {"Deny", "Reject"}:
        return "not let through"
    return "left to what the device has behind these rules" if verdicts == {"unmatched"} else "it depends"
