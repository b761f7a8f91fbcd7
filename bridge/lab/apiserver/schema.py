"""Structural schemas of custom resources: defaults and the plain rules (type, required, enum, pattern, lengths, bounds).

CEL rules, formats and pruning of unknown fields are the real API server's alone: what is refused here is refused there, not the reverse.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bridge.lab.apiserver.kinds import Json

Schema = Mapping[str, Any]
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
# The value's measure that a bound speaks of, and whether the bound holds.
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "minLength": lambda value, bound: len(value) >= bound,
    "maxLength": lambda value, bound: len(value) <= bound,
    "minItems": lambda value, bound: len(value) >= bound,
    "maxItems": lambda value, bound: len(value) <= bound,
    "minProperties": lambda value, bound: len(value) >= bound,
    "maxProperties": lambda value, bound: len(value) <= bound,
}


def with_defaults(value: Json, schema: Schema) -> Json:
    """The value with the schema's defaults filled in, as the real server stores it."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        result = {name: with_defaults(child, properties.get(name, {})) for name, child in value.items()}
        for name, child in properties.items():
            if "default" in child and name not in result:
                result[name] = with_defaults(child["default"], child)
        return result
    if isinstance(value, list):
        items = schema.get("items", {})
        return [with_defaults(element, items) for element in value]
    return value


def with_keys(value: Json, schema: Schema) -> Json:
    """The value with the defaults of keys filled in where lists merge by key: they name an element, written or not."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {name: with_keys(child, properties.get(name, {})) for name, child in value.items()}
    if isinstance(value, list):
        items = schema.get("items", {})
        properties, keys = items.get("properties", {}), schema.get("x-kubernetes-list-map-keys", ())
        filled = {key: properties[key]["default"] for key in keys if "default" in properties.get(key, {})}
        return [with_keys({**filled, **one} if isinstance(one, dict) else one, items) for one in value]
    return value


def problems(value: Json, schema: Schema, path: str = "") -> Iterator[tuple[str, str]]:
    """Each (path, what is wrong) of a value."""
    if value is None and schema.get("nullable"):
        return
    if not _typed(value, schema):
        yield path, f"must be of type {schema.get('type', 'integer or string')}: {value!r:.80}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield path, f"Unsupported value: {value!r:.80}: supported values: {', '.join(map(repr, schema['enum']))}"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield path, f"{value!r:.80} should match '{schema['pattern']}'"
    for word, holds in _BOUNDS.items():
        if word in schema and _bounded(value, word) and not holds(value, schema[word]):
            yield path, f"breaks {word} {schema[word]}: {value!r:.80}"
    yield from _inside(value, schema, path)


def _typed(value: Json, schema: Schema) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    if (name := schema.get("type")) not in _TYPES:
        return True
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _bounded(value: Json, word: str) -> bool:
    kinds: tuple[type, ...] = {"mum": (int, float), "gth": (str,), "ems": (list,), "ies": (dict,)}[word[-3:]]
    return isinstance(value, kinds)


def _inside(value: Json, schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{path}.{name}".lstrip("."), "Required value"
        for name, child in value.items():
            below = properties.get(name, others if isinstance(others, dict) else {})
            yield from problems(child, below, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from problems(element, schema.get("items", {}), f"{path}[{index}]")
