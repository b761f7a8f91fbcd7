"""The settings as text: one YAML document, and environment variables laid over it. What is returned is plain and not yet checked."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

from bridge.errors import SettingsError

PREFIX = "FUSION_BRIDGE_"
CONFIG = f"{PREFIX}CONFIG"
DATABASE_URL = f"{PREFIX}DATABASE_URL"

_LARGEST = 1 << 20
_DEEPEST = 50
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")  # a parser quotes what it read, which may be a secret
_LINKED = re.compile(r"\w*(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)")  # Kubernetes tells pods of a Service so

# What constructors of PyYAML raise on values that are not what their tags say.
_CONSTRUCTION = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


class _Loader(yaml.SafeLoader):
    """A key may stand once in a mapping, dates stay text, and a node may not stand inside itself."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, form) for tag, form in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read(path: Path) -> dict[str, Any]:
    """The mapping in the file. SettingsError when it cannot be read or is no mapping."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise SettingsError({"--config": f"{path}: {error.strerror}"}) from None
    if len(content) > _LARGEST:
        raise SettingsError({"--config": f"{path}: is larger than settings can be"})
    return parse(content, str(path))


def parse(content: bytes | str, source: str) -> dict[str, Any]:
    """The mapping in a text; an empty one is an empty mapping."""
    try:
        value = _value(content)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}" if mark else "line unknown"
        words = " ".join(part for part in (error.context, error.problem) if part)
        raise SettingsError({place: f"not YAML: {_QUOTED.sub('…', words)}"}, source) from None
    except (yaml.YAMLError, RecursionError):
        raise SettingsError({"": "not YAML, or nested too deeply"}, source) from None
    except _CONSTRUCTION:
        raise SettingsError({"": "a value is not what its tag says"}, source) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingsError({"": "must be a mapping of settings"}, source)
    return value


def environment(environ: Mapping[str, str], fields: Iterable[str]) -> dict[str, Any]:
    """What the environment sets: FUSION_BRIDGE_LOG__LEVEL is log.level, FUSION_BRIDGE_DATA_DIR is dataDir.

    A value that begins with { or [ is read as YAML, everything else is text. Names that begin with no field are left out.
    Raises SettingsError for a value that cannot be read.
    """
    known = set(fields)
    found: dict[str, Any] = {}
    for name, text in sorted(environ.items()):
        if name in (CONFIG, DATABASE_URL) or not name.startswith(PREFIX):
            continue
        path = [to_camel(part.lower()) for part in name.removeprefix(PREFIX).split("__")]
        if path[0] in known and all(path):
            _put(found, path, _environment_value(name, text))
    if environ.get(DATABASE_URL):
        _put(found, ["database", "url"], environ[DATABASE_URL])
    return found


def strangers(environ: Mapping[str, str], fields: Iterable[str]) -> tuple[str, ...]:
    """Variables with our prefix that set nothing, but for those by which Kubernetes announces Services."""
    known = set(fields)
    return tuple(
        name
        for name in sorted(environ)
        if name.startswith(PREFIX)
        and name not in (CONFIG, DATABASE_URL)
        and not _LINKED.fullmatch(name.removeprefix(PREFIX))
        and to_camel(name.removeprefix(PREFIX).split("__")[0].lower()) not in known
    )


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` where it says something, `below` elsewhere; mappings are merged, everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        present = merged.get(key)
        merged[key] = laid_over(present, value) if isinstance(present, dict) and isinstance(value, dict) else value
    return merged


def _value(content: bytes | str) -> Any:  # noqa: ANN401 (whatever somebody typed)
    loader = _Loader(content)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _examine(node, ())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _examine(node: yaml.Node, above: tuple[yaml.Node, ...]) -> None:
    """Refuse keys that stand twice, nodes inside themselves and nesting beyond all measure."""
    if any(node is one for one in above):
        raise yaml.MarkedYAMLError(problem="an anchor refers to itself", problem_mark=node.start_mark)
    if len(above) > _DEEPEST:
        raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _examine(item, (*above, node))
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.MarkedYAMLError(problem="a key stands here twice", problem_mark=key.start_mark)
                keys.add(key.value)
            _examine(value, (*above, node))


def _environment_value(name: str, text: str) -> Any:  # noqa: ANN401
    if not text.startswith(("{", "[")):
        return text
    try:
        return _value(text)
    except (yaml.YAMLError, RecursionError, *_CONSTRUCTION):
        raise SettingsError({name: "is not YAML"}, "the environment") from None


def _put(found: dict[str, Any], path: list[str], value: Any) -> None:  # noqa: ANN401
    for step in path[:-1]:
        inner = found.get(step)
        if not isinstance(inner, dict):
            inner = found[step] = {}
        found = inner
    found[path[-1]] = value
