"""What the address of a page asks for, and the addresses of the pages beside it."""

from collections.abc import Mapping
from urllib.parse import urlencode


class PageQuery:
    """The parameters of a list's page, in order; those that are "" stand in no address."""

    def __init__(self, parameters: Mapping[str, str], page: str = "") -> None:
        self._parameters = {name: value for name, value in parameters.items() if value}
        self.page = page

    def get(self, name: str) -> str:
        """What was asked for; "" for nothing."""
        return self._parameters.get(name, "")

    @property
    def first(self) -> str:
        """The first page of the same."""
        return _query(self._parameters)

    def following(self, place: str) -> str:
        """The page that begins there."""
        return _query({**self._parameters, "page": place})


def _query(parameters: Mapping[str, str]) -> str:
    return f"?{urlencode(parameters)}" if parameters else "?"
