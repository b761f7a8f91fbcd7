"""Whether the API may be opened as somebody typed it: beyond this machine only with TLS, authentication and names."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bridge.model.addresses import is_loopback
from bridge.settings.problems import Problems, path_of

_LISTEN = "127.0.0.1:9810"


def opening(api: object, clusters: Collection[str], problems: Problems) -> None:
    """Everything about the section together, as far as it can be made out."""
    typed = _mapping(api)
    listen = typed.get("listen", _LISTEN)
    how = typed.get("authentication", "none")
    if isinstance(listen, str) and not is_loopback(listen.rpartition(":")[0]):
        _opened(typed, how, problems)
    elif how == "none" and typed.get("hosts"):
        problems.add("api.hosts", "needs authentication: who calls it by another name need not be on this machine")
    checks = {"tokens": _tokens, "tokenReview": _review, "oidc": _oidc}
    if isinstance(how, str) and how in checks:
        checks[how](typed, clusters, problems)
    elif how == "none":
        _unused(typed, problems)


def _opened(typed: Mapping[str, Any], how: object, problems: Problems) -> None:
    where = "because api.listen is not on loopback"
    if not typed.get("tls"):
        problems.add("api.tls", f"is required {where}")
    if not typed.get("hosts"):
        problems.add("api.hosts", f"is required {where}: the names by which browsers call it")
    if how == "none":
        problems.add("api.authentication", f"must be tokens, tokenReview or oidc {where}")


def _tokens(typed: Mapping[str, Any], clusters: Collection[str], problems: Problems) -> None:
    if not typed.get("tokens"):
        problems.add("api.tokens", "must name at least one: api.authentication is tokens")
    first: dict[str, int] = {}
    for index, one in _items(typed.get("tokens")):
        name = one.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            problems.add(path_of(("api", "tokens", index, "name")), f"is the name of api.tokens[{first[name]}] too")
        secret = _mapping(_mapping(one.get("token")).get("secret"))
        if secret:
            _cluster(
                secret.get("cluster"),
                path_of(("api", "tokens", index, "token", "secret", "cluster")),
                clusters,
                problems,
            )


def _review(typed: Mapping[str, Any], clusters: Collection[str], problems: Problems) -> None:
    _cluster(_mapping(typed.get("tokenReview")).get("cluster"), "api.tokenReview.cluster", clusters, problems)
    _roles(typed, problems)


def _oidc(typed: Mapping[str, Any], _clusters: Collection[str], problems: Problems) -> None:
    if not typed.get("oidc"):
        problems.add("api.oidc", "is required: api.authentication is oidc")
    _roles(typed, problems)


def _roles(typed: Mapping[str, Any], problems: Problems) -> None:
    given = [to for role in _mapping(typed.get("roles")).values() for to in _mapping(role).values() if to]
    if not given:
        problems.add("api.roles", "must give somebody a role, by names or groups: nobody could read anything")


def _unused(typed: Mapping[str, Any], problems: Problems) -> None:
    """Whoever states it believes that somebody is asked for it."""
    for section in ("tokens", "tokenReview", "oidc", "roles"):
        if typed.get(section) and "authentication" not in typed:
            problems.add("api.authentication", f"is required beside api.{section}")


def _cluster(named: object, path: str, clusters: Collection[str], problems: Problems) -> None:
    if named is None and len(clusters) > 1:
        problems.add(path, "is required where there are several clusters")
    elif isinstance(named, str) and named not in clusters:
        problems.add(path, "no cluster has this name")


def _items(value: object) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for index, one in enumerate(value if isinstance(value, list) else []):
        if isinstance(one, Mapping):
            yield index, one


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
