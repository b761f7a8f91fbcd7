"""What came out when chains of the audit were gone through, and where they end, for programs."""

from typing import Any

from bridge.state.audit_store import ChainEnd
from bridge.state.verification import Answer, Answered, Claim, Verified

_DIGITS = 64  # of a hash


def claim(text: str) -> Claim:
    """A head that somebody wrote down, `[NUMBER:]HASH`; ValueError for words that are none."""
    number, colon, digest = text.rpartition(":")
    digest = digest.lower()
    decimal = number.isascii() and number.isdecimal() and len(number) < 19
    if (colon and not decimal) or len(digest) != _DIGITS or set(digest) - set("0123456789abcdef"):
        raise ValueError(f"{text!r} is no head: {_DIGITS} hexadecimal digits, best after a number and a colon")
    return Claim("--head", digest, int(number) if number else None, asked=True)


def best(found: list[Verified], claim: Claim) -> tuple[str, Answered]:
    """The device that has this head, and what its chain says; else the most that any of them can say."""
    said = [(each.device, one) for each in found for one in each.answers if one.claim is claim]
    order = [*Answer]
    device, told = min(said, key=lambda pair: order.index(pair[1].answer), default=("", Answered(claim, Answer.DENIED)))
    return (device if told.answer is Answer.PART else "", told)


def verified_document(one: Verified) -> dict[str, Any]:
    """One chain."""
    checkpoint = one.checkpoint
    return {
        "device": one.device,
        "sound": one.sound,
        "rows": one.rows,
        "unchained": one.unchained,
        "head": {"number": one.head.number, "hash": one.head.hash},
        "checkpoint": checkpoint
        and {"number": checkpoint.number, "hash": checkpoint.hash, "until": checkpoint.until.isoformat()},
        "problems": [{"number": each.number, "what": each.what} for each in one.problems],
        "moreProblems": one.more,
        "heads": [answer_document(each) for each in one.answers if not each.claim.asked],
    }


def answer_document(one: Answered) -> dict[str, Any]:
    """What a chain says to a head."""
    return {
        "source": one.claim.source,
        "number": one.claim.number,
        "hash": one.claim.hash,
        "at": one.claim.at.isoformat() if one.claim.at else None,
        "answer": one.answer.value,
        "row": one.number,
    }


def end_document(one: ChainEnd) -> dict[str, Any]:
    """Where one ends."""
    return {
        "device": one.device,
        "number": one.head.number,
        "hash": one.head.hash,
        "at": one.at.isoformat() if one.at else None,
        "checkpoint": one.checkpoint.number if one.checkpoint else None,
    }
