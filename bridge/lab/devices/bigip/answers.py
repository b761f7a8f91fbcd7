"""How a BIG-IP says no: two JSON shapes and Apache's HTML.

Framework errors (login, tokens, busy) are `{code, message, referer, restOperationId, kind}`; errors of the configuration
are `{code, message, errorStack, apiError}`. Message texts marked seen come from public code and issue threads; the number of
a text that is not marked is of our making, so clients must decide by HTTP status and never by these.
"""

import itertools
from collections.abc import Mapping

import msgspec

from bridge.lab.devices.message import Answer

encode = msgspec.json.Encoder().encode
_operation = itertools.count(6_100_000)

SYNTAX = 26214401
MCP = 3


class ApiError(Exception):
    """A refusal. `api` is the apiError number; None makes the framework's shape."""

    def __init__(self, status: int, message: str, api: int | None = MCP) -> None:
        self.status = status
        self.message = message
        self.api = api
        super().__init__(message)

    def answer(self) -> Answer:
        """The refusal as it goes over the wire."""
        return (
            tm_error(self.status, self.message, self.api)
            if self.api is not None
            else framework_error(self.status, self.message)
        )


def tm_error(status: int, message: str, api: int = MCP) -> Answer:
    """An error of the configuration layer."""
    return Answer(status, encode({"code": status, "message": message, "errorStack": [], "apiError": api}))


def framework_error(status: int, message: str) -> Answer:
    """An error of the REST framework."""
    body = {
        "code": status,
        "message": message,
        "referer": "127.0.0.1",
        "restOperationId": next(_operation),
        "kind": ":resterrorresponse",
    }
    return Answer(status, encode(body))


def html(status: int, title: str, text: str) -> Answer:
    """What Apache says when the REST daemons behind it do not answer."""
    page = (
        '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n'
        f"<html><head>\n<title>{status} {title}</title>\n</head><body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body></html>\n"
    )
    return Answer(status, page.encode(), "text/html; charset=iso-8859-1")


def unknown_property(name: str) -> ApiError:
    """An attribute that this kind of object does not have."""
    return ApiError(400, f'"{name}" unknown property', SYNTAX)


def bad_value(name: str, value: object, why: str = "") -> ApiError:
    """A value that the attribute cannot take."""
    shown = str(value)[:80]
    return ApiError(400, f'invalid property value "{name}":"{shown}"' + (f" ({why})" if why else ""), SYNTAX)


def not_found(title: str, path: str) -> ApiError:
    """Seen."""
    return ApiError(404, f"01020036:3: The requested {title} ({path}) was not found.")


def exists(title: str, path: str, partition: str) -> ApiError:
    """Seen."""
    return ApiError(409, f"01020066:3: The requested {title} ({path}) already exists in partition {partition}.")


def dangling(value: str, title: str, path: str, index: str) -> ApiError:
    """A reference to what does not exist. Seen for virtual servers."""
    text = f"01070712:3: Values ({value}) specified for {title} ({path}): foreign key index ({index}) do not point at an item "
    return ApiError(400, text + "that exists in the database.")


def across(title: str, path: str, partition: str, target: str, other: str) -> ApiError:
    """A reference out of the own partition into one that is not Common."""
    return ApiError(
        400, f"01070726:3: {title} {path} in partition {partition} cannot reference {target} in partition {other}."
    )


def in_use(title: str, path: str, by_title: str, by_path: str) -> ApiError:
    """Deleting what another object refers to. The form is seen for iRules in firewall rules."""
    text = f"01070265:3: The {title} ({path}) cannot be deleted because it is in use by a {by_title} ({by_path})"
    return ApiError(400, f"{text}; it is referenced by one or more objects.")


def no_path(segment: str, uri: str) -> ApiError:
    """Seen."""
    return ApiError(404, f"Unrecognized path element in '{uri}': '{segment}'", 1)


NO_TOKEN = "X-F5-Auth-Token does not exist."  # noqa: S105 - a message
_BUSY = "There is an active asynchronous task executing."

CANNED: Mapping[str, Answer] = {
    "busy": framework_error(503, "There is an active configuration operation. Try again later."),
    "busy-tm": tm_error(503, "01070820:3: The configuration is being loaded; try again later.", 2),
    "async-task": framework_error(503, _BUSY.replace("There", "there").rstrip(".")),
    "restart": framework_error(503, "The REST framework is starting; please retry."),
    "not-ready": tm_error(
        404, "Public URI path not registered. Please see /var/log/restjavad.0.log and /var/log/icrd.", 1
    ),
    "timeout": framework_error(504, "Remote sender did not respond in 60000 milliseconds."),
    "unauthorized": framework_error(401, NO_TOKEN),
    "forbidden": framework_error(403, "Authorization failed: user has no access to this resource."),
    "html-401": html(
        401, "Unauthorized", "This server could not verify that you are authorized to access the document requested."
    ),
    "html-502": html(502, "Proxy Error", "The proxy server received an invalid response from an upstream server."),
    "html-503": html(503, "Service Unavailable", "The server is temporarily unable to service your request."),
}
"""Answers that a test can have the device give, by the name of the fault."""
