"""Patches as pure functions on JSON trees: none changes its arguments.

Strategic merge knows the lists that merge by key from the resource's table, `$patch: delete|replace`, `$retainKeys` and
`$deleteFromPrimitiveList`; `$setElementOrder` is ignored (elements keep their order, new ones go last).
"""

from collections.abc import Mapping

from bridge.lab.apiserver.kinds import Json
from bridge.lab.apiserver.refusal import Refusal, bad_request

Lists = Mapping[str, tuple[str, ...]]


def merge(target: Json, patch: Json) -> Json:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def json_patch(target: Json, operations: Json) -> Json:
    """RFC 6902. Raises Refusal 400 for a malformed patch and 422 where a path or a test fails."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    for operation in operations:
        try:
            target = _step(target, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise Refusal(422, "Invalid", f"the JSON patch cannot be applied: {operation!r}: {error!r}") from error
    return target


def _step(target: Json, operation: Mapping[str, Json]) -> Json:
    path = _pointer(operation["path"])
    match operation["op"]:
        case "add":
            return _edit(target, path, operation["value"], insert=True)
        case "replace":
            _at(target, path)
            return _edit(target, path, operation["value"], insert=False)
        case "remove":
            return _without(target, path)
        case "move":
            source = _pointer(operation["from"])
            return _edit(_without(target, source), path, _at(target, source), insert=True)
        case "copy":
            return _edit(target, path, _at(target, _pointer(operation["from"])), insert=True)
        case "test":
            if _at(target, path) != operation["value"]:
                raise ValueError("test failed")
            return target
        case unknown:
            raise ValueError(f"unknown operation {unknown!r}")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _at(target: Json, path: list[str]) -> Json:
    for part in path:
        target = target[int(part)] if isinstance(target, list) else target[part]
    return target


def _edit(target: Json, path: list[str], value: Json, *, insert: bool) -> Json:
    if not path:
        return value
    head, *rest = path
    if isinstance(target, list):
        return _edit_list(target, head, rest, value, insert=insert)
    return target | {head: _edit(target[head] if rest else None, rest, value, insert=insert)}


def _edit_list(target: list[Json], head: str, rest: list[str], value: Json, *, insert: bool) -> list[Json]:
    at = len(target) if head == "-" else int(head)
    if at > len(target):
        raise IndexError(head)
    if rest:
        return [*target[:at], _edit(target[at], rest, value, insert=insert), *target[at + 1 :]]
    return [*target[:at], value, *target[at if insert else at + 1 :]]


def _without(target: Json, path: list[str]) -> Json:
    head, *rest = path
    if isinstance(target, list):
        at = int(head)
        return [*target[:at], *([_without(target[at], rest)] if rest else []), *target[at + 1 :]]
    if rest:
        return target | {head: _without(target[head], rest)}
    if head not in target:
        raise KeyError(head)
    return {name: value for name, value in target.items() if name != head}


def strategic(target: Json, patch: Json, lists: Lists, path: str = "") -> Json:
    """Strategic merge of a built-in object; `lists` as in Kind."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {name: value for name, value in result.items() if name in patch["$retainKeys"]}
    for name, value in patch.items():
        where = f"{path}.{name}" if path else name
        if name.startswith("$deleteFromPrimitiveList/"):
            plain = name.partition("/")[2]
            result[plain] = [element for element in result.get(plain, ()) if element not in value]
        elif name.startswith("$"):
            continue
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, list) and where in lists:
            result[name] = _strategic_list(result.get(name) or [], value, lists, where)
        else:
            result[name] = strategic(result.get(name), value, lists, where)
    return result


def _strategic_list(target: list[Json], patch: list[Json], lists: Lists, path: str) -> list[Json]:
    if any(element.get("$patch") == "replace" for element in patch):
        return [element for element in patch if "$patch" not in element]
    name = lists[path][0]
    result = {element.get(name): element for element in target}
    for element in patch:
        if element.get("$patch") == "delete":
            result.pop(element.get(name), None)
        else:
            result[element.get(name)] = strategic(result.get(element.get(name)), element, lists, path)
    return list(result.values())
