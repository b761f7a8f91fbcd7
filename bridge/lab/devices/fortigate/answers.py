"""How a FortiGate answers: the envelope around everything, refusals by number, and Apache's HTML for what never reaches the API.

The envelope's members and their order are seen in answers of 7.0 to 7.4 that public projects keep as test data. A refusal
carries a number; clients decide by the number and never by the HTTP status alone. Numbers marked seen come from such answers
or from Fortinet's texts; those that are not are of the public tables of clients, and where none fits of our choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.lab.devices.message import Answer

Json = dict[str, Any]

encode = msgspec.json.Encoder().encode

NOT_FOUND = -3  # seen, HTTP 404
FULL = -4
EXISTS = -5  # seen, HTTP 500
CONFLICT = -7
BAD_ADDRESS = -8
BAD_MASK = -9
TWICE = -15
IN_USE = -23  # seen, HTTP 500
EMPTY = -56
UNEXPECTED = -61
TOO_LONG = -72
ADDRESS_OR_GROUP = -163
ADDRESS_OR_VIP = -164
NAME_TOO_LONG = -166
MARKUP = -173
INVALID = -651  # seen, HTTP 500


class FortiError(Exception):
    """A refusal by the API: HTTP status, number (None where the API gives none), and the words of the command line."""

    def __init__(self, status: int, error: int | None = None, words: str = "") -> None:
        self.status = status
        self.error = error
        self.words = words
        super().__init__(f"{status} {error}: {words}")


class HtmlRefusal(Exception):
    """A refusal by the web server in front of the API."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


@dataclass(frozen=True, slots=True)
class Badge:
    """What every answer says of the unit that gives it."""

    serial: str
    version: str
    build: int

    def members(self) -> Json:
        """The end of each envelope."""
        return {"serial": self.serial, "version": self.version, "build": self.build}


def envelope(method: str, place: Json, badge: Badge, more: Json, *, status: int | None = 200) -> Json:
    """One successful answer. `place` is vdom, path and name; `status` None leaves `http_status` out, as monitor answers do."""
    told: Json = {"http_method": method, **more, **place, "status": "success"}
    if status is not None:
        told["http_status"] = status
    return told | badge.members()


def refusal(method: str, place: Json, badge: Badge, error: FortiError, revision: str = "") -> Json:
    """One refusal; the form is that of an answer of 7.4.1."""
    told: Json = {"http_method": method}
    if revision:
        told |= {"revision": revision, "revision_changed": False}
    if error.words:
        told["cli_error"] = f"{error.words}\nCommand fail. Return code {error.error}\n"
    if error.error is not None:
        told["error"] = error.error
    return told | {"status": "error", "http_status": error.status} | place | badge.members()


def unknown_reference(name: str, attribute: str) -> FortiError:
    """A name that stands for nothing, or for nothing of the right kind. Words seen."""
    return FortiError(
        500, INVALID, f"node_check_object fail! for {attribute} {name}\n\nvalue parse error before '{name}'"
    )


def in_use(users: int) -> FortiError:
    """Words seen."""
    return FortiError(500, IN_USE, f"The entry is used by other {users} entries")


def not_found() -> FortiError:
    """Seen."""
    return FortiError(404, NOT_FOUND)


def exists() -> FortiError:
    """Seen."""
    return FortiError(500, EXISTS)


def bad_value(attribute: str, value: object) -> FortiError:
    """A value that the attribute cannot take."""
    return FortiError(500, INVALID, f"value parse error before '{str(value)[:80]}' of {attribute}")


def empty(attribute: str) -> FortiError:
    """A value that must be given."""
    return FortiError(500, EMPTY, f"{attribute} must be set")


_TITLES = {
    401: ("Unauthorized", "This server could not verify that you are authorized to access the document requested."),
    403: ("Forbidden", "You don't have permission to access this resource."),
    429: ("Too Many Requests", "Access temporarily blocked: Maximum failed authentications reached."),
    502: ("Proxy Error", "The proxy server received an invalid response from an upstream server."),
    503: ("Service Unavailable", "The server is temporarily unable to service your request."),
}


def html(status: int) -> Answer:
    """What Apache says; for 401 seen, for 403 and 429 sometimes."""
    title, text = _TITLES[status]
    page = (
        '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n'
        f"<html><head>\n<title>{status} {title}</title>\n</head><body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body></html>\n"
    )
    return Answer(status, page.encode(), "text/html; charset=iso-8859-1")


def json_answer(status: int, body: object) -> Answer:
    """An answer of the API."""
    return Answer(status, encode(body), "application/json")


_PLACE: Json = {"vdom": "root"}
_BADGE = Badge("FGVMEV0000000000", "v7.4.8", 2795)


def _canned(status: int, error: int | None = None) -> Answer:
    return json_answer(status, refusal("GET", _PLACE, _BADGE, FortiError(status, error)))


CANNED: Mapping[str, Answer] = {
    "unauthorized": html(401),
    "forbidden": html(403),
    "too-many": html(429),
    "json-403": _canned(403),
    "json-429": _canned(429),
    "json-500": _canned(500),
    "busy": _canned(500, -360),
    "dependency": _canned(424),
    "too-large": _canned(413),
    "missing": _canned(404, NOT_FOUND),
    "exists": _canned(500, EXISTS),
    "full": _canned(500, FULL),
    "html-502": html(502),
    "html-503": html(503),
}
"""Answers that a test can have the device give, by the name of the fault."""
