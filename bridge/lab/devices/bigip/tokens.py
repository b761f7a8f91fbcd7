"""Who is calling: tokens of /mgmt/shared/authn/login and /mgmt/shared/authz/tokens, and basic authentication.

A token lives 1200 s on the device's clock from its making; PATCH sets another lifetime, 36000 s at most. A user has at most
100. An unknown and an expired token are answered alike.
"""

import base64
import binascii
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from bridge.lab.devices.bigip.answers import NO_TOKEN, ApiError
from bridge.lab.devices.bigip.fields import Json
from bridge.lab.devices.clock import LabClock
from bridge.lab.devices.message import Request

LIFETIME = 1200
LONGEST = 36_000


@dataclass(slots=True)
class Token:
    """One login."""

    name: str
    user: str
    made: float
    lifetime: int

    def expires(self) -> float:
        """When it stops working, in seconds since the epoch."""
        return self.made + self.lifetime


class Tokens:
    """Users, their passwords and their tokens."""

    def __init__(self, clock: LabClock) -> None:
        self._clock = clock
        self._users: dict[str, tuple[str, str]] = {}
        self._tokens: dict[str, Token] = {}
        self._basic: dict[str, str] = {}
        self.limit = 100

    def add_user(self, name: str, password: str) -> None:
        """Another account, with all rights; an existing one gets the new password."""
        self._users[name] = (password, str(uuid.uuid5(uuid.NAMESPACE_OID, name)))
        self._basic.clear()

    def forget(self) -> None:
        """Every token ends at once, as on a restart of the framework."""
        self._tokens.clear()

    def live(self) -> list[Token]:
        """The tokens that still work."""
        now = self._clock.now()
        self._tokens = {name: token for name, token in self._tokens.items() if token.expires() > now}
        return list(self._tokens.values())

    def authenticate(self, request: Request) -> str:
        """The user of a call. ApiError 401 when there is none."""
        name = request.header("x-f5-auth-token")
        if name:
            token = self._tokens.get(name)
            if token is None or token.expires() <= self._clock.now():
                raise ApiError(401, NO_TOKEN, None)
            return token.user
        basic = request.header("authorization")
        if basic:
            return self._basic_user(basic)
        text = f"Authorization failed: no user authentication header or token detected. Uri:http://localhost:8100{request.path}"
        raise ApiError(401, f"{text} Referrer:Unknown Sender:Unknown", None)

    def _basic_user(self, header: str) -> str:
        user = self._basic.get(header)
        if user is None:
            try:
                user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise ApiError(401, "Authentication required!", None) from None
            self._verify(user, password)
            self._basic[header] = user
        return user

    def _verify(self, user: str, password: str) -> None:
        known = self._users.get(user)
        if known is None or not secrets.compare_digest(known[0].encode(), password.encode()):
            raise ApiError(401, "Authentication failed.", None)

    def login(self, body: Json) -> Json:
        """A new token for a name and a password."""
        user, password = body.get("username"), body.get("password")
        if not isinstance(user, str) or not isinstance(password, str):
            raise ApiError(400, "username and password must not be null or empty", None)
        self._verify(user, password)
        if sum(1 for token in self.live() if token.user == user) >= self.limit:
            raise ApiError(400, f"user {self._users[user][1]} has reached maximum active login tokens", None)
        token = Token(secrets.token_hex(13).upper(), user, self._clock.now(), LIFETIME)
        self._tokens[token.name] = token
        provider = body.get("loginProviderName", "tmos")
        link = {
            "link": "https://localhost/mgmt/cm/system/authn/providers/tmos/1f44a60e-11a7-3c51-a49f-82983026b41b/login"
        }
        return {
            "username": user,
            "loginReference": link,
            "loginProviderName": provider,
            "token": self._show(token),
            "generation": 0,
            "lastUpdateMicros": 0,
        }

    def _show(self, token: Token) -> Json:
        return {
            "token": token.name,
            "name": token.name,
            "userName": token.user,
            "authProviderName": "tmos",
            "user": {"link": f"https://localhost/mgmt/shared/authz/users/{token.user}"},
            "timeout": token.lifetime,
            "address": "127.0.0.1",
            "partition": "[All]",
            "generation": 1,
            "lastUpdateMicros": int(token.made * 1_000_000),
            "expirationMicros": int(token.expires() * 1_000_000),
            "kind": "shared:authz:tokens:authtokenitemstate",
            "selfLink": f"https://localhost/mgmt/shared/authz/tokens/{token.name}",
        }

    def on_tokens(self, method: str, names: list[str], body: Json) -> Any:  # noqa: ANN401
        """GET, PATCH, DELETE below /mgmt/shared/authz/tokens."""
        if not names and method == "GET":
            return {
                "items": [self._show(token) for token in self.live()],
                "kind": "shared:authz:tokens:authtokencollectionstate",
            }
        token = self._tokens.get(names[0]) if len(names) == 1 else None
        if token is None or token.expires() <= self._clock.now():
            raise ApiError(404, f"Token {names[0][:4] if names else ''}… does not exist.", None)
        if method == "PATCH":
            token.lifetime = _lifetime(body)
        elif method == "DELETE":
            del self._tokens[token.name]
        elif method != "GET":
            raise ApiError(405, f"Operation {method} is not supported.", None)
        return self._show(token)


def _lifetime(body: Json) -> int:
    wanted = body.get("timeout")
    if isinstance(wanted, str) and wanted.isdecimal():
        wanted = int(wanted)
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 0 < wanted <= LONGEST:
        raise ApiError(400, f"timeout must be a number of seconds up to {LONGEST}", None)
    return wanted
