"""What the REST API of FortiOS answers, as far as we look at it (Fortinet's Swagger 6.4.14, and answers of 7.0 to 7.4)."""

from typing import Any

import msgspec


class Answer(msgspec.Struct, rename="kebab"):
    """The envelope around everything. `error` is the number by which a refusal is told; answers of the monitor have no `http_status`."""

    status: str = ""
    error: int | None = None
    cli_error: str = msgspec.field(default="", name="cli_error")
    results: msgspec.Raw = msgspec.Raw(b"null")
    serial: str = ""
    version: str = ""
    build: int = 0
    mkey: str | int = ""
    vdom: str = ""
    revision: str = ""
    matched_count: int = msgspec.field(default=0, name="matched_count")


class Name(msgspec.Struct):
    """A row of a list of names."""

    name: str


class Address(msgspec.Struct, rename="kebab"):
    """`firewall/address` or `firewall/address6`."""

    name: str
    type: str = ""
    comment: str = ""
    subnet: str = ""
    ip6: str = ""
    start_ip: str = ""
    end_ip: str = ""
    fqdn: str = ""


class Group(msgspec.Struct, rename="kebab"):
    """`firewall/addrgrp` or `firewall/addrgrp6`."""

    name: str
    comment: str = ""
    type: str = "default"
    exclude: str = "disable"
    member: list[Name] = []


class Service(msgspec.Struct, rename="kebab"):
    """`firewall.service/custom`."""

    name: str
    comment: str = ""
    protocol: str = ""
    tcp_portrange: str = ""
    udp_portrange: str = ""
    sctp_portrange: str = ""
    icmptype: int | str = ""
    icmpcode: int | str = ""
    protocol_number: int | str = 0


class Onetime(msgspec.Struct, rename="kebab"):
    """`firewall.schedule/onetime`, in the time of the unit."""

    name: str
    start: str = ""
    end: str = ""


class Policy(msgspec.Struct, rename="kebab"):
    """`firewall/policy`, as far as the order of policies and whose they are go; all else is compared as it stands."""

    policyid: int
    name: str = ""
    comments: str = ""
    status: str = "enable"


class Started(msgspec.Struct, rename="kebab"):
    """The results of `transaction-start`, and one of `transaction-list`."""

    transaction_id: int


class Command(msgspec.Struct):
    """One call that waits in a transaction."""

    path: str = ""
    body: Any = None


class Waiting(msgspec.Struct):
    """The results of `transaction-show`."""

    commands: list[Command] = []
