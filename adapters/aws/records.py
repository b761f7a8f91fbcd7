"""Rules, ports, policies and the fence as lines of text that a description can hold. Pure.

EC2 has no place for what leads to its entries, so it stands in a prefix list of ours, the register, that nothing refers to (see
`register`): readable in the console, and found again by who has lost his database. Letters that a description cannot have are written `*`
and two hexadecimal digits.
"""

import re

from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import Attachment, DeviceObject, FenceState, Group, Policy, Ports, RuleEntry, RuleList, Shard
from bridge.model.policy import Action, IcmpType, PortRange, Protocol

_PLAIN = re.compile(r"[^A-Za-z0-9._/:@+=\-]")
_ESCAPED = re.compile(r"(?:\*[0-9a-f]{2})+")

_NOTHING = "-"

Recorded = DeviceObject | FenceState


def kept(value: DeviceObject) -> bool:
    """Whether an object stands in the register; the others are prefix lists themselves."""
    return value.shards > 0 if isinstance(value, Group) else not isinstance(value, Shard)


def written(key: ObjectKey, value: Recorded) -> str:
    """One record."""
    return f"{_word(str(key))} {_content(value) or _NOTHING}"


def read(text: str) -> tuple[ObjectKey, Recorded]:
    """The record of a text; ValueError where it is none of ours."""
    name, _, content = text.partition(" ")
    key = ObjectKey.parse(_said(name))
    return key, _value(key, "" if content == _NOTHING else content)


def _content(value: Recorded) -> str:
    match value:
        case FenceState(epoch, installation):
            return f"{epoch} {_word(installation) or _NOTHING}"
        case Group():
            return str(value.shards)
        case Ports():
            return ",".join(map(str, value.ports))
        case RuleList():
            return ";".join(map(_line, value.entries))
        case Policy():
            return _keys(value.lists)
        case Attachment():
            return _word(str(value.policy))
    raise TypeError(f"{value} is no record")


def _value(key: ObjectKey, content: str) -> Recorded:
    match key.kind:
        case Kind.FENCE:
            epoch, installation = content.split(" ")
            return FenceState(int(epoch), _said(installation))
        case Kind.GROUP:
            return Group(key, shards=int(content))
        case Kind.PORTS:
            return Ports(key, tuple(map(_span, content.split(","))))
        case Kind.RULE_LIST:
            return RuleList(key, tuple(map(_entry, filter(None, content.split(";")))))
        case Kind.POLICY:
            return Policy(key, _parsed(content))
        case Kind.ATTACHMENT:
            return Attachment(key, ObjectKey.parse(_said(content)))
    raise ValueError(f"{key} is no record")


def _line(entry: RuleEntry) -> str:
    more = str(entry.number) if entry.protocol is Protocol.OTHER else ",".join(map(str, entry.icmp))
    ports = _word(str(entry.ports)) if entry.ports else _NOTHING
    return " ".join(
        (_word(entry.name), f"{entry.protocol}({more})", ports, _keys(entry.sources), _keys(entry.destinations))
    )


def _entry(text: str) -> RuleEntry:
    name, traffic, ports, sources, destinations = text.split(" ")
    said, _, more = traffic.removesuffix(")").partition("(")
    protocol = Protocol(said)
    other = protocol is Protocol.OTHER
    return RuleEntry(
        _said(name),
        Action.ALLOW,
        _parsed(sources),
        _parsed(destinations),
        protocol,
        None if ports == _NOTHING else ObjectKey.parse(_said(ports)),
        icmp=() if other else tuple(map(_message, filter(None, more.split(",")))),
        number=int(more) if other else 0,
    )


def _message(text: str) -> IcmpType:
    kind, _, code = text.partition("/")
    return IcmpType(int(kind), int(code) if code else None)


def _span(text: str) -> PortRange:
    first, _, last = text.partition("-")
    return PortRange(int(first), int(last or first))


def _keys(keys: tuple[ObjectKey, ...]) -> str:
    return ",".join(_word(str(key)) for key in keys)


def _parsed(text: str) -> tuple[ObjectKey, ...]:
    return tuple(ObjectKey.parse(_said(word)) for word in text.split(",") if word)


def _word(text: str) -> str:
    return _PLAIN.sub(lambda odd: "".join(f"*{byte:02x}" for byte in odd[0].encode()), text)


def _said(word: str) -> str:
    return _ESCAPED.sub(lambda odd: bytes.fromhex(odd[0].replace("*", "")).decode(), word)
