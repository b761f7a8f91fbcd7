"""Every list is bounded: so many rows at a time, and a word for where the next begin."""

from typing import Annotated

from fastapi import Query

MOST = 500  # rows of one page
_LONGEST = 2000  # characters of a place: it may name an object

Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows of one page at the most.")]
Place = Annotated[str, Query(alias="page", max_length=_LONGEST, description="`next` of the page before.")]
