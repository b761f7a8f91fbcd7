"""Values as AWS takes them: prefixes, names, descriptions, tags, protocols and ports."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bridge.lab.devices.aws.answers import Refusal, invalid

_DESCRIPTION = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
_NAME = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")
_FAMILIES = {"IPv4": ipaddress.IPv4Network, "IPv6": ipaddress.IPv6Network}
_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
PORTED, TYPED = ("tcp", "udp"), ("icmp", "icmpv6")


def check_prefix(text: str, family: str) -> str:
    """A prefix of the family in its canonical spelling; Refusal for any other."""
    try:
        network = _FAMILIES[family](text)
    except ValueError:
        raise invalid(f"The CIDR '{text}' is not a valid {family} CIDR block") from None
    if str(network) != text:
        raise invalid(f"The CIDR '{text}' is not in its canonical form '{network}'")
    return text


def check_description(text: str | None, what: str = "description", *, ampersand: bool = True) -> str:
    """A description of 255 characters at most, of the allowed ones; `&` is not allowed everywhere."""
    if text is None:
        return ""
    if not _DESCRIPTION.fullmatch(text) or ("&" in text and not ampersand):
        raise invalid(
            f"Invalid value '{text[:300]}' for {what}. Character sets beyond ASCII, or more than 255 characters, are not supported."
        )
    return text


def check_name(text: str, what: str, reserved: str) -> str:
    """A name of a group or list, which must not begin with what Amazon keeps for itself."""
    if not _NAME.fullmatch(text) or text.lower().startswith(reserved):
        raise invalid(f"Invalid value '{text[:300]}' for {what}.")
    return text


def check_tags(tags: Iterable[Mapping[str, str]], most: int, held: Iterable[str] = ()) -> None:
    """Tags to be put on something that has `held` already."""
    keys = [tag.get("Key", "") for tag in tags]
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value") or ""
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise invalid(f"Tag '{key[:140]}' exceeds the maximum length")
        if key.lower().startswith("aws:"):
            raise invalid("Tag keys starting with 'aws:' are reserved for internal use")
    if len(keys) != len(set(keys)):
        raise invalid("Duplicate tag keys found")
    if len({*keys, *held}) > most:
        raise Refusal("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")


def check_way(permission: Mapping[str, Any]) -> tuple[str, int, int]:
    """Protocol and ports of a permission, as they are kept: -1 where they say nothing."""
    said = str(permission.get("IpProtocol") or "").lower()
    protocol = _NUMBERS.get(said, said)
    if not said:
        raise Refusal("MissingParameter", "The request must contain the parameter ipProtocol")
    if protocol not in (*PORTED, *TYPED, "-1") and not (protocol.isdecimal() and int(protocol) <= 255):
        raise invalid(f"Invalid value '{said}' for IP protocol. Unknown protocol.")
    low, high = permission.get("FromPort"), permission.get("ToPort")
    if protocol not in (*PORTED, *TYPED):
        return protocol, -1, -1
    if low is None or high is None:
        raise invalid("Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
    low, high = int(low), int(high)
    if protocol in PORTED and not 0 <= low <= high <= 65535:
        raise invalid(f"Invalid value '{low}-{high}' for portRange. The port range is not valid.")
    if protocol in TYPED and not (-1 <= low <= 255 and -1 <= high <= 255 and (low >= 0 or high == -1)):
        raise invalid(f"Invalid value for ICMP type {low}, code {high}.")
    return protocol, low, high
