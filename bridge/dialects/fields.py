"""Single fields as people type them: names, addresses, times. Each check returns the canonical text or raises ValueError."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from zoneinfo import ZoneInfo

from bridge.model.addresses import canonical_member

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_HOST_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII)
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_MOMENT = re.compile(
    r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
# No zone that only some machines know under its name, such as localtime and posix/…, and none that counts leap seconds, as right/… do.
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]*(/[A-Za-z0-9_+-]+)+")
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
    if "/" in text and not (_PREFIX_LENGTH.fullmatch(length) and int(length) <= (128 if ":" in text else 32)):
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


def service_account(text: str) -> str:
    """A service account with its namespace: namespace/name."""
    namespace, slash, name = text.partition("/")
    if not slash:
        raise ValueError(f"{shown(text)} is no service account: write namespace/name")
    return f"{dns_label(namespace)}/{object_name(name)}"


def time_of_day(text: str) -> str:
    """A time on a clock, from 00:00 to 23:59."""
    if not _TIME_OF_DAY.fullmatch(text):
        raise ValueError(f'{shown(text)} is no time of the day: write hours and minutes, as in "08:00"')
    return text


def end_of_day(text: str) -> str:
    """A time on a clock, or 24:00 for the end of the day."""
    return text if text == "24:00" else time_of_day(text)


def time_zone(text: str) -> str:
    """The name of a time zone of the tz database that this machine knows."""
    if len(text) > 64 or not _ZONE.fullmatch(text):
        raise ValueError(f"{shown(text)} is no time zone: write UTC, or a name such as Europe/Berlin")
    if not _known_zone(text):
        raise ValueError(f"{shown(text)} is no time zone that is known here")
    return text


@lru_cache(maxsize=1000)
def _known_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


def moment_text(text: str) -> str:
    """A moment as RFC 3339 has it, with its distance from UTC."""
    if not _MOMENT.fullmatch(text):
        raise ValueError(f'{shown(text)} is no moment: write it as in "2026-07-01T08:00:00+02:00"')
    try:
        moment(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is no moment: there is no such day or time") from None
    return text


def moment(text: str) -> datetime:
    """The moment of such a text, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _plain_address(text: str, end: str) -> None:
    """ValueError unless `end`, a part of `text`, is an address in plain notation: no zone, no IPv4 in IPv6 clothes."""
    try:
        address = ip_address(end)
    except ValueError:
        if end != text and _is_address(text.partition("-")[0]):
            raise ValueError(f"{shown(text)} is not a range: write first-last, two addresses") from None
        hint = "; a name goes under fqdns" if end == text else ""
        raise ValueError(f"{shown(text)} is not an address, prefix or range{hint}") from None
    if isinstance(address, IPv6Address) and (address.scope_id or address.ipv4_mapped):
        raise ValueError(f"{shown(text)}: write the address without a zone, and IPv4 as IPv4")
