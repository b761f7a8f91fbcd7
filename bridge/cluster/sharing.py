"""One object for equal things. A large cluster repeats the same few thousand names and label sets in each of its pods."""

from typing import Final

import msgspec

from bridge.model.observed import NO_LABELS, Labels

_MOST: Final = 100_000  # entries kept; then a pool starts anew, which costs sharing and nothing else

_maps = msgspec.json.Decoder(dict[str, str])


class Strings:
    """Equal strings become one string. For one thread."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        if len(self._known) > _MOST:
            self._known.clear()
        return self._known.setdefault(text, text)


class LabelMaps:
    """Equal label sets become one mapping. For one thread.

    Found by their JSON (the API writes keys in order), so that a known one is not decoded again.
    """

    def __init__(self, strings: Strings) -> None:
        self._known: dict[bytes, Labels] = {b"null": NO_LABELS, b"{}": NO_LABELS}
        self._strings = strings

    def __call__(self, raw: msgspec.Raw) -> Labels:
        """ValueError when it is no object of strings."""
        text = bytes(raw)
        known = self._known.get(text)
        return self._new(text) if known is None else known

    def _new(self, text: bytes) -> Labels:
        share = self._strings
        decoded = _maps.decode(text)
        if len(self._known) > _MOST:
            self._known.clear()
        self._known[text] = labels = {share(key): share(value) for key, value in decoded.items()}
        return labels
