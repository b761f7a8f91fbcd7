"""Secrets taken out of text that is about to be shown."""

import re

HIDDEN = "***"

_PATTERNS = (
    (re.compile(r"(://[^\s:/@]*:)[^\s/@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b(Bearer|Basic) [A-Za-z0-9+/._~=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\b(password|token|secret)(['\"]?\s*[=:]\s*['\"]?)[^\s'\",;&]+", re.IGNORECASE), rf"\1\2{HIDDEN}"),
)


def redacted(text: str) -> str:
    """A text without passwords in URLs, authorization headers and assignments."""
    for pattern, substitute in _PATTERNS:
        text = pattern.sub(substitute, text)
    return text
