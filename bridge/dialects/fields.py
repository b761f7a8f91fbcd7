"""Single fields as people type them: names, labels, addresses and FQDNs. Each check returns the canonical text or raises ValueError."""

import re
from ipaddress import IPv6Address, ip_address

from bridge.model.addresses import canonical_member

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_HOST_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII)
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX_LENGTH = re.compile(r"[0-9]{1,3}")


def shown(value: object) -> str:
    """A value as a message quotes it, short and safe to print whatever somebody typed."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:76]}...{text[-1]}"


def dns_label(text: str) -> str:
    """A name of up to 63 lower-case letters, digits and inner hyphens."""
    if not _LABEL.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is no name: up to 63 lower-case letters, digits and hyphens, no hyphen at an end"
        )
    return text


def object_name(text: str) -> str:
    """A name that the API server takes for an object: DNS labels joined by dots, 253 characters at most."""
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError(f"{shown(text)} is no object name: lower-case letters, digits, hyphens and dots")
    return text


def label_key(text: str) -> str:
    """The key of a label: a name, or a DNS prefix and a name."""
    prefix, slash, name = text.rpartition("/")
    try:
        if slash:
            object_name(prefix)
    except ValueError:
        name = ""
    if not _LABEL_NAME.fullmatch(name):
        raise ValueError(f"{shown(text)} is no label key: write name or prefix.example/name")
    return text


def label_value(text: str) -> str:
    """The value of a label; it may be empty."""
    if text and not _LABEL_NAME.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is no label value: up to 63 letters, digits, and inner hyphens, underscores and dots"
        )
    return text


def member(text: str) -> str:
    """An address, prefix or range in canonical form. Nothing is ever taken for a name."""
    first, dash, last = text.partition("-")
    ends = (first, last) if dash else (text.partition("/")[0],)
    for end in ends:
        _plain_address(text, end)
    length = text.partition("/")[2]
    if "/" in text and not _PREFIX_LENGTH.fullmatch(length):
        raise ValueError(f"{shown(text)} is not a prefix: write address/length, with the length in bits")
    return canonical_member(text)


def fqdn(text: str) -> str:
    """A fully qualified name in lower case, perhaps with a leading label `*`."""
    if text.endswith("."):
        raise ValueError(f"{shown(text)} ends in a dot; write it without")
    if not text.isascii():
        raise ValueError(f"{shown(text)} is not ASCII; write the xn-- form")
    labels = text.removeprefix("*.").split(".")
    if "*" in "".join(labels):
        raise ValueError(f'{shown(text)}: a wildcard is the whole first label, as in "*.example.com"')
    if len(text) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{shown(text)} is no DNS name")
    if labels[-1][0].isdigit():
        raise ValueError(f"{shown(text)} is no DNS name; an address goes under addresses")
    if len(labels) < 2:
        raise ValueError(f"{shown(text)} is not fully qualified: it needs a domain of at least two labels")
    return text.lower()


def _plain_address(text: str, end: str) -> None:
    """ValueError unless `end`, a part of `text`, is an address in plain notation: no zone, no IPv4 in IPv6 clothes."""
    try:
        address = ip_address(end)
    except ValueError:
        hint = "; a name goes under fqdns" if end == text else ""
        raise ValueError(f"{shown(text)} is not an address, prefix or range{hint}") from None
    if isinstance(address, IPv6Address) and (address.scope_id or address.ipv4_mapped):
        raise ValueError(f"{shown(text)}: write the address without a zone, and IPv4 as IPv4")
