"""Who may call: API users by bearer token, what their profiles let them do, and from where.

A token in the query is refused unless `rest-api-key-url-query` is on. Refusals before the API are Apache's HTML. Too many
failures from one address block that address for a while: every caller of the lab comes from 127.0.0.1.
"""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.fortigate.answers import FortiError, HtmlRefusal
from bridge.lab.devices.fortigate.conduct import Limits
from bridge.lab.devices.message import Request

CALLER = "127.0.0.1"
AREAS = (
    "fwgrp.policy",
    "fwgrp.address",
    "fwgrp.service",
    "fwgrp.schedule",
    "fwgrp.others",
    "sysgrp.cfg",
    "sysgrp.mnt",
    "netgrp.cfg",
    "utmgrp",
)
FULL: Mapping[str, str] = dict.fromkeys(AREAS, "read-write")
_ALPHABET = string.ascii_letters + string.digits


@dataclass(slots=True)
class ApiUser:
    """One API user. `areas` maps parts of the profile to `none`, `read` or `read-write`; no VDOM named means all of them."""

    name: str
    token: str = field(repr=False)
    areas: Mapping[str, str] = field(default_factory=lambda: FULL)
    vdoms: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ("127.0.0.0/8",)

    def check(self, area: str, *, write: bool) -> None:
        """403 where the profile does not allow it. The form of that answer is of our choice."""
        right = self.areas.get(area, "none")
        if right == "none" or (write and right != "read-write"):
            raise FortiError(403)

    def sees(self, vdom: str) -> bool:
        """Whether the VDOM is his to call."""
        return not self.vdoms or vdom in self.vdoms


def new_token() -> str:
    """As long as those that boxes make, of letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(31))


class Tokens:
    """The API users, and the failures of late."""

    def __init__(self, clock: LabClock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._users: dict[str, ApiUser] = {}
        self._failures = 0
        self._blocked_until = 0.0

    def add(self, user: ApiUser) -> None:
        """Make an API user, or replace the one of that name."""
        self._users[user.name] = user

    def remove(self, name: str) -> None:
        """His token is worth nothing from now on."""
        self._users.pop(name, None)

    def users(self) -> list[ApiUser]:
        """All of them."""
        return list(self._users.values())

    def authenticate(self, request: Request, query_token: str) -> ApiUser:
        """Who calls. HtmlRefusal for those who may not. `query_token` is one from the query, where the box takes those."""
        if self._clock.now() < self._blocked_until:
            raise HtmlRefusal(429)
        scheme, _, sent = request.header("authorization").partition(" ")
        sent = sent.strip() if scheme.lower() == "bearer" else query_token
        user = next((one for one in self._users.values() if sent and secrets.compare_digest(one.token, sent)), None)
        if user is None or not _within(user.trusted):
            self._fail()
            raise HtmlRefusal(401)
        self._failures = 0
        return user

    def _fail(self) -> None:
        self._failures += 1
        if self._failures >= self._limits.lockout_after:
            self._failures = 0
            self._blocked_until = self._clock.now() + self._limits.lockout_seconds


def _within(trusted: tuple[str, ...]) -> bool:
    """No trusted host named means everywhere."""
    return not trusted or any(ip_address(CALLER) in ip_network(one) for one in trusted)
