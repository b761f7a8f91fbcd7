"""Addresses as FortiOS keeps them, and back. Pure.

What an address stands for is a word: a member in canonical form, `fqdn.<name>` for a name, or `nothing`: the address of no host, which
an empty group holds, because FortiOS has no empty groups. It is the value of FortiOS's own address `none`.
"""

from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from adapters.fortigate import wire
from bridge.model.addresses import canonical_member

Json = dict[str, Any]

NOTHING = "nothing"
FENCE = "fence"
FQDN = "fqdn."
NOWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 (no address to listen on)

ADDRESS, ADDRESS6 = "firewall/address", "firewall/address6"
_HOST_MASK = " 255.255.255.255"
_NOTHING4: Json = {"type": "ipmask", "subnet": "0.0.0.0 255.255.255.255"}


def tables(what: str, *, ipv6: bool) -> tuple[str, ...]:
    """The tables in which a word stands: one family for a member, all for anything else."""
    if what == NOTHING or what.startswith(FQDN):
        return (ADDRESS, ADDRESS6) if ipv6 else (ADDRESS,)
    return (ADDRESS6,) if ":" in what else (ADDRESS,)


def body(table: str, what: str) -> Json:
    """What makes an address stand for the word."""
    if what.startswith(FQDN):
        return {"type": "fqdn", "fqdn": what.removeprefix(FQDN)}
    if what == NOTHING:
        return dict(_NOTHING4) if table == ADDRESS else _prefix6("::/128")
    if "-" in what:
        first, _, last = what.partition("-")
        return {"type": "iprange", "start-ip": first, "end-ip": last}
    if table == ADDRESS6:
        return _prefix6(what if "/" in what else f"{what}/128")
    net = ip_network(what)
    return {"type": "ipmask", "subnet": f"{net.network_address} {net.netmask}"}


def word(one: wire.Address) -> str:
    """What an address stands for; empty for what we would never write."""
    try:
        match one.type:
            case "ipmask":
                return _subnet(one.subnet)
            case "ipprefix":
                return _known(canonical_member(one.ip6))
            case "iprange":
                return canonical_member(f"{one.start_ip}-{one.end_ip}")
            case "fqdn" if one.fqdn:
                return f"{FQDN}{one.fqdn}"
    except ValueError:
        return ""
    return ""


@lru_cache(maxsize=65536)
def _subnet(text: str) -> str:
    if text.endswith(_HOST_MASK):
        return _known(canonical_member(text.removesuffix(_HOST_MASK)))
    return canonical_member(text.replace(" ", "/"))


def _known(member: str) -> str:
    return NOTHING if member in NOWHERE else member


def _prefix6(text: str) -> Json:
    return {"type": "ipprefix", "ip6": text}
