"""One token per adapter: taken at the first call, extended, renewed before it ends and after a 401, given back at the end.

Sources: AS3's authentication guide and public clients. A token lives 1200 s, 36000 s at most after PATCH; a user has at most 100, and
then no login works until some end. So one is reused, and never asked for inside a transaction.
"""

import time
from collections.abc import Callable

import httpx
import msgspec

from adapters.bigip.transport import Transport
from adapters.bigip.wire import Error, Login
from bridge.contract import Credentials
from bridge.errors import Busy, Denied, DeviceError

_LOGIN = "/mgmt/shared/authn/login"
_TOKENS = "/mgmt/shared/authz/tokens"


class Tokens:
    """The login of one adapter. Credentials are read at each login, so that a rotated password is taken without a restart."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        *,
        provider: str,
        seconds: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._provider = provider
        self._seconds = seconds
        self._now = now
        self._token = ""
        self._password = ""
        self._renew_at = 0.0

    def headers(self) -> dict[str, str]:
        """What a call carries; logs in where there is no token that will live through the call."""
        if self._token and self._now() >= self._renew_at:
            self.give_back()
        if not self._token:
            self._log_in()
        return {"X-F5-Auth-Token": self._token}

    def hide(self, text: str) -> str:
        """The device's words without the secrets that it may repeat in them."""
        for secret in (self._token, self._password):
            text = text.replace(secret, "…") if secret else text
        return text

    def forget(self) -> None:
        """The device does not know the token any more."""
        self._token = ""

    def give_back(self) -> None:
        """Delete the token; what fails is left to the device, which ends tokens by itself."""
        token, self._token = self._token, ""
        if token:
            try:
                headers = {"X-F5-Auth-Token": token}
                self._transport.send("DELETE", f"{_TOKENS}/{token}", None, headers, repeatable=False)
            except DeviceError:
                return

    def _log_in(self) -> None:
        self._password = self._secret("password")
        body = {"username": self._secret("username"), "password": self._password}
        encoded = msgspec.json.encode(body | {"loginProviderName": self._provider})
        answer = self._transport.send("POST", _LOGIN, encoded, {"Content-Type": "application/json"}, repeatable=True)
        if answer.status_code != 200:
            raise self._refused(answer)
        try:
            found = msgspec.json.decode(answer.content, type=Login).token
        except msgspec.MsgspecError:
            found = None
        if found is None:
            raise Busy(self._transport.device, "the answer to the login is not what iControl REST says")
        self._token = found.token
        lifetime = self._extend(found.timeout)
        # Early enough for the longest call, at most five minutes early.
        self._renew_at = self._now() + lifetime - min(300.0, lifetime / 4)

    def _extend(self, lifetime: int) -> int:
        """Ask for a longer life; the device's own length where it does not agree."""
        if lifetime >= self._seconds:
            return lifetime
        headers = {"X-F5-Auth-Token": self._token, "Content-Type": "application/json"}
        body = msgspec.json.encode({"timeout": self._seconds})
        answer = self._transport.send("PATCH", f"{_TOKENS}/{self._token}", body, headers, repeatable=True)
        return self._seconds if answer.status_code == 200 else lifetime

    def _secret(self, name: str) -> str:
        try:
            return self._credentials.value(name)
        except KeyError:
            missing = name
        raise Denied(self._transport.device, f"its credentials have no {missing}")

    def _refused(self, answer: httpx.Response) -> DeviceError:
        device, status = self._transport.device, answer.status_code
        try:
            text = self.hide(msgspec.json.decode(answer.content, type=Error).message)[:300]
        except msgspec.MsgspecError:
            text = ""
        if "maximum active login tokens" in text:
            advice = "give the bridge an account of its own, or delete tokens at /mgmt/shared/authz/tokens; each ends by itself in time"
            return Denied(device, f"login refused: {text}; {advice}")
        if status in (400, 401, 403) and text:
            return Denied(device, f"login refused with {status}: {text}; check user name, password and login provider")
        if status in (401, 403):
            return Denied(device, f"login refused with {status}; check user name, password and login provider")
        return Busy(device, f"login answered {status}{': ' + text if text else ''}", retry_after(answer))


def retry_after(answer: httpx.Response) -> float | None:
    """The seconds that the device asks to wait, where it does."""
    text = str(answer.headers.get("Retry-After", ""))
    return float(text) if text.isdecimal() else None
