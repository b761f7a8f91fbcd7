"""What a device in memory does not take: it is strict, so that nothing is sent that a stricter device would refuse."""

from collections.abc import Iterable, Iterator, Mapping

from bridge.lab.devices.memory.contents import AddressSet, Body, Bundle, Contents, Entry, EntrySet, PortSet, Until
from bridge.model.addresses import canonical_member
from bridge.model.capabilities import Form

NAME_LENGTH = 128
TAG_LENGTH = 1024
_ACTIONS = {Form.ALLOW_ONLY: ("allow",), Form.FLAT: ("allow", "deny", "reject")}
_WITH_PORTS, _WITH_TYPES = (6, 17, 132), (1, 58)
_KINDS = {"sources": AddressSet, "destinations": AddressSet, "ports": PortSet, "until": Until}


class Refusal(Exception):
    """The device says no: 400 malformed, 401 and 403 who asks, 404 not there, 409 in the way, 412 not as supposed, 422 too much."""

    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words
        super().__init__(f"{status} {words}")


def check(form: Form, limits: Mapping[str, int], held: Contents, name: str, tag: str, body: Body) -> None:
    """Raises Refusal where the object cannot stand on a device of this form that holds these contents."""
    if not name or len(name) > NAME_LENGTH or not name.isprintable() or len(tag) > TAG_LENGTH:
        raise Refusal(400, f"a name has 1 to {NAME_LENGTH} characters and a tag at most {TAG_LENGTH}")
    problems: Iterator[str]
    match body:
        case AddressSet(addresses):
            problems = _addresses(addresses)
        case PortSet(spans):
            problems = _spans(spans)
        case Until(second):
            problems = iter(() if second > 0 else ("an end has a second since 1970",))
        case EntrySet(entries):
            problems = _entries(form, held, entries)
        case Bundle(members):
            problems = _members(held, members)
    problem = next(problems, None)
    if problem:
        raise Refusal(400, problem)
    _check_limits(limits, held, name, body)


def _check_limits(limits: Mapping[str, int], held: Contents, name: str, body: Body) -> None:
    counts = {}
    match body:
        case AddressSet(addresses):
            sets = sum(isinstance(one.body, AddressSet) for one in held.objects.values())
            counts = {"group_members": len(addresses), "groups": sets + (name not in held.objects)}
        case EntrySet(entries):
            counts = {"rules": len(entries)}
        case _:
            pass
    for limit, count in counts.items():
        grows = limit != "groups" or name not in held.objects
        if grows and count > limits.get(limit, count):
            raise Refusal(422, f"{count} {limit.replace('_', ' ')}, and there is room for {limits[limit]}")


def _addresses(addresses: tuple[str, ...]) -> Iterator[str]:
    for address in addresses:
        try:
            plain = canonical_member(address)
        except ValueError as error:
            yield str(error)
        else:
            if plain != address:
                yield f"{address} is written {plain} here"
    yield from _twice("address", addresses)


def _spans(spans: tuple[tuple[int, int], ...]) -> Iterator[str]:
    if not spans:
        yield "a set of ports has one at least"
    last = -1
    for span in spans:
        if not last < span[0] <= span[1] <= 65535:
            yield f"{span[0]}-{span[1]} is no span of ports above the one before"
        last = span[1]


def _entries(form: Form, held: Contents, entries: tuple[Entry, ...]) -> Iterator[str]:
    yield from _twice("entry", [entry.name for entry in entries])
    for entry in entries:
        yield from (f"entry {entry.name}: {problem}" for problem in _entry(form, held, entry))


def _entry(form: Form, held: Contents, entry: Entry) -> Iterator[str]:
    if entry.action not in _ACTIONS[form]:
        yield f"there is no {entry.action} here"
    if entry.log and form is Form.ALLOW_ONLY:
        yield "nothing is logged here"
    if not entry.sources or not entry.destinations:
        yield "needs a source and a destination"
    if entry.ports and entry.protocol not in _WITH_PORTS:
        yield "the protocol has no ports"
    if entry.icmp and entry.protocol not in _WITH_TYPES:
        yield "the protocol has no types"
    if entry.protocol is not None and not 0 <= entry.protocol <= 255:
        yield f"{entry.protocol} is no protocol"
    yield from _twice("type", entry.icmp)
    named = {
        "sources": entry.sources,
        "destinations": entry.destinations,
        "ports": (entry.ports,),
        "until": (entry.until,),
    }
    for side, names in named.items():
        yield from _twice(side, names)
        for name in filter(None, names):
            stored = held.objects.get(name)
            if stored is None or not isinstance(stored.body, _KINDS[side]):
                yield f"no such set in {side}: {name}"


def _members(held: Contents, members: tuple[str, ...]) -> Iterator[str]:
    yield from _twice("member", members)
    for name in members:
        stored = held.objects.get(name)
        if stored is None or not isinstance(stored.body, EntrySet):
            yield f"no such set of entries: {name}"


def _twice(what: str, values: Iterable[object]) -> Iterator[str]:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            yield f"{what} {value} stands there twice"
        seen.add(value)
