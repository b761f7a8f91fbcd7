"""JSON nested beyond all sense: no kind that is watched goes a dozen levels deep, and what does must stop neither decoder nor reader."""

import re
from collections.abc import Iterable
from typing import Any, Final

_MOST: Final = 32
"""Levels inside one object that are taken for sense."""

_CUT: Final = 2 * _MOST  # with room for the page or the event around it
_token = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def shallow(text: bytes) -> bytes:
    """The JSON with null in place of whatever lies deeper than a decoder need go. What is no JSON stays none."""
    kept: list[bytes] = []
    depth, begin = 0, 0
    for found in _token.finditer(text):
        mark = found[0]
        if mark in b"[{":
            depth += 1
            if depth == _CUT + 1:
                kept += text[begin : found.start()], b"null"
        elif mark in b"]}":
            if depth == _CUT + 1:
                begin = found.end()
            depth -= 1
    return text if not kept else b"".join((*kept, text[begin:]))


def senseless(value: Any) -> bool:  # noqa: ANN401 (any JSON)
    """Whether a value that was decoded is nested too deeply to mean anything."""
    level: Iterable[Any] = (value,)
    for _ in range(_MOST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
