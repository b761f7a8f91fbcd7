"""Answers in pages, and only those that a filter lets through."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from bridge.lab.devices.aws.answers import Refusal, invalid
from bridge.lab.devices.aws.item import Item, meets

One = TypeVar("One")
Found = TypeVar("Found", bound=Item)


def filtered(items: Iterable[Found], given: Mapping[str, Any]) -> list[Found]:
    """Those that pass the filters of a call; Refusal for a filter that there is not."""
    filters = [(one.get("Name", ""), one.get("Values") or []) for one in given.get("Filters") or []]
    held = list(items)
    for name, values in filters:
        if held and not (name.startswith("tag:") or name == "tag-key" or name in held[0].filters()):
            raise invalid(f"The filter '{name}' is invalid")
        if len(values) > 200:
            raise Refusal(
                "FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200"
            )
    return [one for one in held if meets(one, filters)]


def page(
    found: list[One], given: Mapping[str, Any], least: int, most: int, default: int | None = None
) -> tuple[list[One], str | None]:
    """The page that is asked for, and the token of the next. `default`: how many where the call does not say; None all."""
    size = given.get("MaxResults")
    if size is not None and not least <= int(size) <= most:
        raise invalid(
            f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value between {least} and {most}."
        )
    start = _start(given.get("NextToken"))
    end = start + int(size or default or max(1, len(found)))
    return found[start:end], base64.b64encode(f"from {end}".encode()).decode() if end < len(found) else None


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.b64decode(token, validate=True).decode().removeprefix("from "))
    except ValueError:
        raise Refusal("InvalidNextToken", "The token is not valid.") from None
