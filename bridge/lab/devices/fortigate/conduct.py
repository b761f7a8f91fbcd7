"""What a box takes, and how it behaves where no source says how boxes behave: both can be changed under a running simulator."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Limits:
    """Most of everything. Members are of the Swagger of 6.4.14, feeds of Fortinet's pages; tables as one 7.0 box reported its own."""

    members: int = 600  # of an address group
    service_members: int = 300
    body: int = 10 * 1024 * 1024
    feeds: int = 256  # of one VDOM, and of global
    feeds_box: int = 511
    feed_entries: int = 300_000  # of all feeds of the box, from 7.4.4 on
    feed_entries_each: int = 131_072  # of each feed, before 7.4.4
    sessions_page: int = 1000
    in_flight: int = 0  # calls at once, beyond which the web server answers 429 by itself; 0: any number
    lockout_after: int = 3
    lockout_seconds: float = 60.0
    tables: dict[str, int] = field(
        default_factory=lambda: {
            "firewall-policy": 201_024,
            "firewall-address": 113_192,
            "firewall-addrgrp": 33_192,
            "custom-service": 10_240,
            "service-group": 4_000,
            "onetime-schedule": 5_000,
            "recurring-schedule": 1_024,
        }
    )


@dataclass(slots=True)
class Conduct:
    """Nobody confirms these. The defaults are the ones that ask most of a client.

    `empty_snapshot`: a push of no entries is refused, taken, or answered with success and ignored.
    `push_atomic`: the commands of one push take effect together or not at all; else those before the refused one stay.
    `locked_error`: the number that a writer gets for a table that a transaction holds.
    `refuse_transactions`: tables that no transaction can write.
    `refused_commit_ends`: a transaction is over when its commit is refused; else it stays open, with its locks, until it is aborted.
    """

    feeds_survive_reboot: bool = False
    feeds_reach_peer: bool = False
    empty_snapshot: Literal["refuse", "take", "ignore"] = "refuse"
    push_atomic: bool = False
    locked_error: int = -7
    refuse_transactions: frozenset[str] = frozenset()
    refused_commit_ends: bool = False
