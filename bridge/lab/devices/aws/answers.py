"""How EC2 refuses: a code, a message and an HTTP status, in XML."""

from collections.abc import Mapping
from uuid import uuid4
from xml.sax.saxutils import escape

from bridge.lab.devices.message import Answer

XML = "text/xml;charset=UTF-8"


class Refusal(Exception):
    """A call that is refused; clients decide by the code."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


def refused(no: Refusal) -> Answer:
    """The answer that says so."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error><Code>{escape(no.code)}</Code><Message>{escape(no.message)}</Message></Error></Errors>"
        f"<RequestID>{uuid4()}</RequestID></Response>"
    )
    return Answer(no.status, text.encode(), XML)


def identity(account: str, user: str) -> Answer:
    """What STS says of who calls."""
    text = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>arn:aws:iam::{account}:user/{escape(user)}</Arn><UserId>{escape(user)}</UserId>"
        f"<Account>{account}</Account></GetCallerIdentityResult><ResponseMetadata>"
        f"<RequestId>{uuid4()}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )
    return Answer(200, text.encode(), XML)


def unauthorized() -> Refusal:
    """A key that nobody has, or that was taken away."""
    return Refusal("AuthFailure", "AWS was not able to validate the provided access credentials", 401)


def forbidden(action: str) -> Refusal:
    """A right that the caller does not have."""
    return Refusal("UnauthorizedOperation", f"You are not authorized to perform this operation: ec2:{action}.", 403)


def invalid(message: str) -> Refusal:
    """A value that cannot be."""
    return Refusal("InvalidParameterValue", message)


def no_list(name: str) -> Refusal:
    """An unknown prefix list."""
    return Refusal("InvalidPrefixListID.NotFound", f"The prefix list ID '{name}' does not exist.")


def no_group(name: str) -> Refusal:
    """An unknown security group."""
    return Refusal("InvalidGroup.NotFound", f"The security group '{name}' does not exist")


CANNED: Mapping[str, Answer] = {
    "unauthorized": refused(unauthorized()),
    "forbidden": refused(forbidden("*")),
    "throttled": refused(Refusal("RequestLimitExceeded", "Request limit exceeded.", 503)),
    "unavailable": refused(Refusal("Unavailable", "The server is overloaded and cannot handle the request.", 503)),
    "internal": refused(Refusal("InternalError", "An internal error has occurred", 500)),
    "missing": refused(no_list("pl-0123456789abcdef0")),
    "stale": refused(Refusal("PrefixListVersionMismatch", "The prefix list has the incorrect version number.")),
    "busy-list": refused(Refusal("IncorrectState", "The prefix list is in the state modify-in-progress.")),
    "expired": refused(Refusal("RequestExpired", "Request has expired.")),
}
"""Answers that a test can have the account give, by the name of the fault."""
