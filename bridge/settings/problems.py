"""What pydantic found, as paths and words for a person; no value that somebody typed is ever quoted by it."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]

_WORDS = {
    "missing": "is required",
    "string_type": "must be text (a number or a word such as on needs quotes)",
    "path_type": "must be a path, as text",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "too_short": "must name at least one",
    "string_too_short": "must not be empty",
}


class Problems:
    """Collected by path, in the order in which they were found; several at one path are joined."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def add(self, path: str, words: str) -> None:
        """One more."""
        before = self.found.get(path)
        if before is None:
            self.found[path] = words
        elif words not in before.split("; "):
            self.found[path] = f"{before}; {words}"

    def take(self, error: ValidationError, model: type[BaseModel], at: Location = ()) -> None:
        """All that a validation found."""
        for detail in error.errors(include_url=False, include_input=False):
            self.add(path_of((*at, *detail["loc"])), _words(detail, model))


def path_of(location: Iterable[int | str]) -> str:
    """clusters[0].podRanges; a step that is no plain word stands in quotes."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("-", "").replace("_", "").isalnum():
            text += f".{step}" if text else step
        else:
            text += f"[{ascii(step)[:60]}]"
    return text


def like(word: str, known: Iterable[str]) -> str:
    """A hint at what may have been meant."""
    listed = list(known)
    close = get_close_matches(word, listed, 1) or [one for one in listed if one.lower() == word.lower()]
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(listed))}"


def _words(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, location = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return f"is no setting here; {like(str(location[-1]), _keys(model, location[:-1]))}"
    if kind == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    if kind in ("enum", "literal_error"):
        return f"must be {detail['ctx']['expected']}"
    if location and location[-1] == "[key]":
        return "a key must be text"
    return _WORDS.get(kind) or detail["msg"].replace("Input should", "must").replace("Value should", "must")


def _keys(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that are known at this place."""
    kinds: list[Any] = [model]
    for step in location:
        kinds = [inner for kind in kinds for inner in _inside(kind, step)]
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [field.alias or name for one in models for name, field in one.model_fields.items()]


def _inside(kind: Any, step: int | str) -> Iterator[Any]:  # noqa: ANN401 (annotations have no type)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if step in (name, field.alias):
                yield from _plain(field.annotation)
        return
    arguments = get_args(kind)
    if get_origin(kind) in (dict, tuple, list) and arguments:
        yield from _plain(arguments[1] if get_origin(kind) is dict else arguments[0])


def _plain(annotation: Any) -> Iterator[Any]:  # noqa: ANN401
    """The members of a union, without what is only about them."""
    if get_origin(annotation) in (Union, UnionType):
        for one in get_args(annotation):
            yield from _plain(one)
    elif hasattr(annotation, "__metadata__"):
        yield from _plain(get_args(annotation)[0])
    else:
        yield annotation
