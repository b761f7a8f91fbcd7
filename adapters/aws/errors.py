"""What EC2's refusals mean.

throttled                        the call was not done, and may be made again in a while
5xx, no answer, a page           Busy: it may have been done
401, 403, unknown credentials    Denied
anything else                    Refusal, with its kind: the caller knows what it was about
"""

from enum import Enum

from bridge.errors import Busy, Denied, DeviceError


class Meaning(Enum):
    """What a refusal says of the call."""

    THROTTLED = "throttled"
    BUSY = "busy"
    DENIED = "denied"
    CONFLICT = "conflict"  # something is not as the call supposes, or not there
    IN_USE = "in use"
    REFUSED = "refused"  # for what it is: malformed, or over a limit


_CODES = {
    Meaning.THROTTLED: ("RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled"),
    Meaning.BUSY: ("InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable"),
    Meaning.DENIED: (
        "AccessDenied",
        "AuthFailure",
        "Blocked",
        "ExpiredToken",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "OptInRequired",
        "PendingVerification",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    ),
    Meaning.CONFLICT: (
        "IdempotentParameterMismatch",
        "IncorrectState",
        "InvalidGroup.NotFound",
        "InvalidPermission.Duplicate",
        "InvalidPermission.NotFound",
        "InvalidPrefixListId.NotFound",
        "InvalidPrefixListID.NotFound",
        "InvalidPrefixListModification",
        "InvalidSecurityGroupRuleId.NotFound",
        "PrefixListVersionMismatch",
    ),
    Meaning.IN_USE: ("DependencyViolation", "ResourceInUse"),
}
_BY_CODE = {code: meaning for meaning, codes in _CODES.items() for code in codes}
_BY_STATUS = {
    401: Meaning.DENIED,
    403: Meaning.DENIED,
    404: Meaning.CONFLICT,
    409: Meaning.CONFLICT,
    412: Meaning.CONFLICT,
    429: Meaning.THROTTLED,
}


class Refusal(Exception):
    """EC2 refuses a call for what it asks; nothing of it was done."""

    def __init__(self, code: str, words: str, meaning: Meaning = Meaning.REFUSED) -> None:
        self.code, self.words, self.meaning = code, words, meaning
        super().__init__(f"{code}: {words}")


def judged(status: int, code: str) -> Meaning:
    """What an error of this code is; by its status where the code says nothing to us."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    return _BY_STATUS.get(status, Meaning.BUSY if status >= 500 else Meaning.REFUSED)


def raised(device: str, status: int, code: str, words: str) -> DeviceError | Refusal:
    """The error to raise for an answer that is one."""
    meaning = judged(status, code)
    text = f"{status} {code}: {words}"[:500]
    if meaning in (Meaning.BUSY, Meaning.THROTTLED):
        return Busy(device, text)
    if meaning is Meaning.DENIED:
        return Denied(device, text)
    return Refusal(code, words[:500], meaning)
