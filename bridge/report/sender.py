"""Who sends a packet: a pod, the pods behind a Service, or whoever holds an address; now, or in the past as far as it is recorded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.errors import BridgeError
from bridge.model.addresses import canonical_address, covers
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.policy.select import service_selects
from bridge.report.attribution import Certainty, answer, holding
from bridge.report.attribution import Verdict as Held
from bridge.report.times import time_text
from bridge.report.trace_model import Sender
from bridge.state.past import Watched
from bridge.state.reported import LeaseRecord
from bridge.state.trace_store import Reading

FORMS = "[pod/]NAMESPACE/POD, [service/]NAMESPACE/SERVICE or an address"


class NotTraceable(BridgeError):
    """Nobody can be named who sends this, or nobody knows any more; the message says why."""


class Crowd(NotTraceable):
    """So many send this that not each of them is told about; the message says how many, and what to ask for."""


class Ambiguous(BridgeError):
    """The words can mean several senders; `choices` are words that mean one each."""

    def __init__(self, words: str, choices: Sequence[str]) -> None:
        super().__init__(f"{words} can mean several things; say which: {', '.join(choices)}")
        self.choices = tuple(choices)


@dataclass(frozen=True, slots=True)
class From:
    """What was asked: an address, or a name and which kinds of thing it may be."""

    text: str
    address: str = ""
    namespace: str = ""
    name: str = ""
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster in which is looked: what is recorded of it, and the ranges of its pods."""

    watched: Watched
    pod_ranges: tuple[str, ...]

    @property
    def cluster(self) -> str:
        """Its name."""
        return self.watched.cluster


def source(text: str) -> From:
    """What these words mean; ValueError for words that can mean nobody."""
    words = text.strip()
    try:
        return From(text, address=canonical_address(words.strip("[]")))
    except ValueError:
        pass
    parts = words.split("/")
    if len(parts) == 3 and parts[0] in ("pod", "service"):
        kinds: tuple[str, ...] = (parts.pop(0),)
    else:
        kinds = ("pod", "service")
    if len(parts) != 2 or not all(parts) or not (words.isascii() and words.isprintable()):
        raise ValueError(f"{text!r} names no sender: write {FORMS}")
    return From(text, "", parts[0], parts[1], kinds)


class Senders:
    """Looks for senders in these clusters. `at` None is now."""

    def __init__(self, reading: Reading, places: Sequence[Place], at: datetime | None, now: datetime) -> None:
        self._reading = reading
        self._places = places
        self._at = at
        self._now = now

    def find(self, asked: From, family: int | None) -> tuple[Sender, ...]:
        """Whoever is meant, at addresses of that IP version where one is asked for. Raises NotTraceable, Ambiguous."""
        self._refuse_the_forgotten()
        if asked.address:
            return self._of_address(asked)
        found = {
            (kind, place.cluster): senders
            for place in self._places
            for kind in asked.kinds
            if (senders := tuple(self._named(place, kind, asked))) or self._exists(place, kind, asked)
        }
        if len(found) > 1:
            raise Ambiguous(asked.text, [_choice(kind, cluster, asked, found) for kind, cluster in found])
        if not found:
            raise NotTraceable(self._nobody(asked))
        ((kind, cluster), senders), *_ = found.items()
        if not senders:
            raise NotTraceable(f"no pod is known to stand behind {kind} {asked.namespace}/{asked.name} in {cluster}")
        chosen = tuple(one for one in senders if family is None or (":" in one.address) == (family == 6))
        if not chosen:
            held = ", ".join(one.address for one in senders)
            raise NotTraceable(f"{asked.text} has no address of IPv{family}, only {held}")
        return chosen

    def _refuse_the_forgotten(self) -> None:
        if self._at is None:
            return
        for place in self._places:
            kept = place.watched.kept_from
            if len(self._places) == 1 and (kept is None or self._at < kept):
                begins = f"the record of {place.cluster} begins at {time_text(kept)}" if kept else "nothing is recorded"
                raise NotTraceable(f"what was at {time_text(self._at)} is not known: {begins}")

    # ---- by name

    def _named(self, place: Place, kind: str, asked: From) -> Iterator[Sender]:
        if kind == "pod":
            return self._pods(place, asked)
        return self._behind_now(place, asked) if self._at is None else self._behind_then(place, asked, self._at)

    def _exists(self, place: Place, kind: str, asked: From) -> bool:
        if kind != "service":
            return False
        if self._at is not None:
            key = _group(place.cluster, asked)
            return key in self._reading.groups(place.cluster, [key], self._at)
        return bool(self._reading.services(place.cluster, asked.namespace, [asked.name]))

    def _pods(self, place: Place, asked: From) -> Iterator[Sender]:
        leases = self._reading.leases_of_pod(place.cluster, asked.namespace, asked.name, self._at or self._now)
        if self._at is None:
            found = [(lease, Certainty.EXACT) for lease in leases if lease.t2 is None]
        else:
            at = self._at
            found = [(lease, how) for lease in leases if (how := holding(lease).certainty(at)) is not None]
        for lease, how in found:
            yield _sender(lease, _UNSURE.get(how, ""))

    def _behind_now(self, place: Place, asked: From) -> Iterator[Sender]:
        found = self._reading.services(place.cluster, asked.namespace, [asked.name]).get(asked.name)
        if found is None:
            return
        if found.selector:
            pods = self._reading.pods_with(place.cluster, asked.namespace, found.selector)
            chosen = [pod.uid for pod in pods if service_selects(found.selector, pod)]
            leases = self._reading.leases_of(place.cluster, chosen)
        else:
            # EndpointSlices are not recorded, but the members that they made of a group are.
            members = self._reading.members_of(_group(place.cluster, asked), None)
            leases = self._reading.leases_at(place.cluster, members, None)
        yield from (_sender(lease) for lease in leases)

    def _behind_then(self, place: Place, asked: From, at: datetime) -> Iterator[Sender]:
        members = self._reading.members_of(_group(place.cluster, asked), at)
        yield from (_sender(lease) for lease in self._reading.leases_at(place.cluster, members, at))

    def _nobody(self, asked: From) -> str:
        """Why the name leads nowhere, with the last that is recorded of it."""
        when = "now" if self._at is None else f"at {time_text(self._at)}"
        known = [
            lease
            for place in self._places
            for lease in self._reading.leases_of_pod(place.cluster, asked.namespace, asked.name, None)
        ]
        if known:
            last = known[0]
            ended = f" until {time_text(last.t2)}" if last.t2 else ""
            return f"pod {asked.namespace}/{asked.name} held no address {when}; it held {last.address} from {time_text(last.t1)}{ended}"
        more = "; of a Service it is recorded only while a rule or group uses it" if self._at is not None else ""
        return (
            f"nothing is recorded {when} of a pod or Service {asked.namespace}/{asked.name} with an address of its own{more}; "
            "a pod on its node's network has none"
        )

    # ---- by address

    def _of_address(self, asked: From) -> tuple[Sender, ...]:
        at = self._at or self._now
        places = [place for place in self._places if covers(place.pod_ranges, [asked.address])]
        answers = [
            (place, answer(place.watched, self._reading.around(place.cluster, asked.address, at), at))
            for place in places or self._places
        ]
        holding_it = [(place, one) for place, one in answers if one.holders]
        chosen = holding_it or (answers if places else answers[:1])
        if len(chosen) > 1:
            raise Ambiguous(asked.text, [f"--cluster {place.cluster}" for place, _ in chosen])
        for place, found in chosen:
            if found.holders:
                return tuple(_sender(one.lease, _UNSURE.get(how, "")) for one, how in found.holders)
            if found.verdict is Held.UNKNOWN and self._at is not None:
                raise NotTraceable(f"who held {asked.address} is not known: {found.reason}")
            return (Sender(place.cluster, asked.address, note=self._of_nobody(place, asked.address, found.reason)),)
        raise NotTraceable("no cluster is recorded yet")

    def _of_nobody(self, place: Place, address: str, reason: str) -> str:
        if covers(place.pod_ranges, [address]):
            return reason or "nobody holds it"
        node = self._reading.node_of(place.cluster, address)
        return f"the address of node {node}" if node else "outside the pod ranges"


_UNSURE: Mapping[Certainty, str] = {
    Certainty.MAY_HAVE_BEGUN: "it may not have held the address yet",
    Certainty.MAY_HAVE_ENDED: "it may not have held the address any more",
    Certainty.LAST_SEEN: "as last seen: the cluster is not watched",
}


def _group(cluster: str, asked: From) -> ObjectKey:
    return ObjectKey(Kind.GROUP, cluster, Scope.SERVICE, asked.namespace, asked.name)


def _sender(lease: LeaseRecord, note: str = "") -> Sender:
    return Sender(
        lease.cluster,
        lease.address,
        lease.namespace,
        lease.pod,
        lease.uid,
        lease.service_account,
        lease.owner,
        lease.node,
        note,
    )


def _choice(kind: str, cluster: str, asked: From, found: Iterable[tuple[str, str]]) -> str:
    several = len({where for _, where in found}) > 1
    return f"{kind}/{asked.namespace}/{asked.name}" + (f" --cluster {cluster}" if several else "")
