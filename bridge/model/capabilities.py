"""What a kind of device can do, and how much of it."""

from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """How a device thinks of policy."""

    TIERED = "tiered"
    FLAT = "flat"
    ALLOW_ONLY = "allow-only"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an adapter can express for egress on its device, and what its device guarantees of a change."""

    form: Form
    deny: bool = True
    reject: bool = True
    log: bool = True
    fqdn: bool = False
    wildcards: bool = False  # names with a "*"
    ipv6: bool = True
    icmp_types: bool = False
    protocols: bool = False  # any IP protocol by its number
    sctp_ports: bool = True
    blocks: tuple[
        tuple[str, ...], ...
    ] = ()  # stands in front of these destinations, and lets through to all of one or to none of it
    bandwidth: tuple[str, ...] = ()  # the names of limits of the rate that its settings let rules use
    atomic: bool = False  # many writes become visible at once, or none
    compare_and_swap: bool = False
    dry_run: bool = False
    member_deltas: bool = False
    close_flows: bool = False
    schedules: bool = False  # ends a line by itself at a stated moment
    compiles_later: bool = False  # stored and active are apart


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one device takes. None means: no limit known."""

    group_members: int | None = None
    shard_members: int | None = None  # a larger group is split into shards of about this size
    groups: int | None = None
    rules: int | None = None
    name_length: int | None = None
    feeds: int = 0  # groups whose members may be pushed, beside the configuration
    feed_entries: int | None = None  # members of all of those together
    batch: int = 100  # writes in one transaction or burst
    calls_in_flight: int = 1
    call_seconds: float = 60.0  # the longest that one call may take
