"""One object for equal things. A large cluster repeats the same few thousand names and label sets in each of its pods."""

from sys import intern
from typing import Final

import msgspec

from bridge.model.observed import NO_LABELS, Labels

_MOST: Final = 100_000  # entries kept; then a pool starts anew, which costs sharing and nothing else

_maps = msgspec.json.Decoder(dict[str, str])


class LabelMaps:
    """Equal label sets become one mapping. For one thread.

    Found by their JSON (the API writes keys in order), so that a known one is not decoded again.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Labels] = {b"null": NO_LABELS, b"{}": NO_LABELS}

    def __call__(self, raw: msgspec.Raw) -> Labels:
        """ValueError when it is no object of strings."""
        text = bytes(raw)
        known = self._known.get(text)
        return self._new(text) if known is None else known

    def _new(self, text: bytes) -> Labels:
        decoded = _maps.decode(text)
        if len(self._known) > _MOST:
            self._known.clear()
        self._known[text] = labels = {intern(key): intern(value) for key, value in decoded.items()}
        return labels
