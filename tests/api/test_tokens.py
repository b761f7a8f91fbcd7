"""Tokens of the settings, and tokens that a cluster knows."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.api.access import Forbidden, Person, Role, Unavailable, Unknown
from bridge.api.authentication.reviewed import Reviewed
from bridge.api.authentication.roles import Granted, Roles
from bridge.api.authentication.tokens import SHORTEST, StaticToken, Tokens
from bridge.cluster.client import Connection
from bridge.cluster.settings import ClusterConfig
from tests.api.answering import Answering, answering
from tests.cluster.scripted import write_kubeconfig

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
SAM, KIM = Person("sam", Role.SECURITY), Person("kim", Role.VIEWER)


def told(value: str) -> Callable[[], str]:
    return lambda: value


def absent() -> str:
    raise KeyError("token: /run/secrets/kim: No such file or directory")


def test_each_token_is_its_persons() -> None:
    tokens = Tokens([StaticToken(SAM, told("s" * 20)), StaticToken(KIM, told("k" * 40))])
    assert [tokens.verified("s" * 20), tokens.verified("k" * 40)] == [SAM, KIM]
    for wrong in ("", "s" * 19, "s" * 21, "S" * 20, "s" * 19 + "\u0455"):
        with pytest.raises(Unknown):
            tokens.verified(wrong)
    assert tokens.problems() == {}
    assert "ssss" not in repr(tokens) + repr(StaticToken(SAM, told("s" * 20)))


def test_a_changed_secret_counts_from_its_next_use_on(tmp_path: Path) -> None:
    place = tmp_path / "token"
    place.write_text("a" * 20)
    tokens = Tokens([StaticToken(SAM, place.read_text)])
    assert tokens.verified("a" * 20) == SAM
    place.write_text("b" * 20)
    assert tokens.verified("b" * 20) == SAM
    with pytest.raises(Unknown):
        tokens.verified("a" * 20)


@pytest.mark.parametrize("value", ["", "s" * (SHORTEST - 1), "s" * 20 + " ", "s" * 20 + "\n", "\u0455" * 20])
def test_what_is_to_be_guessed_or_fits_no_header_is_not_taken(value: str) -> None:
    tokens = Tokens([StaticToken(SAM, told(value)), StaticToken(KIM, told("k" * 20))])
    assert list(tokens.problems()) == ["sam"]
    with pytest.raises(Unknown):
        tokens.verified(value)
    assert tokens.verified("k" * 20) == KIM


def test_a_token_that_is_not_there_keeps_nobody_else_out() -> None:
    tokens = Tokens([StaticToken(KIM, absent), StaticToken(SAM, told("s" * 20))])
    assert tokens.problems() == {"kim": "token: /run/secrets/kim: No such file or directory"}
    assert tokens.verified("s" * 20) == SAM
    with pytest.raises(Unknown):
        tokens.verified("")


def test_a_token_of_two_is_nobodys() -> None:
    tokens = Tokens([StaticToken(SAM, told("s" * 20)), StaticToken(KIM, told("s" * 20))])
    assert tokens.problems().keys() == {"sam", "kim"}
    with pytest.raises(Unknown):
        tokens.verified("s" * 20)


@pytest.fixture
def cluster() -> Iterator[Answering]:
    with answering() as found:
        yield found


@pytest.fixture
def reviewed(cluster: Answering, tmp_path: Path) -> Iterator[Reviewed]:
    kubeconfig = tmp_path / "kubeconfig"
    write_kubeconfig(kubeconfig, cluster.url, {"token": "the bridge's own"})
    connection = Connection(ClusterConfig("east", kubeconfig))
    roles = Roles({Role.OPERATOR: Granted(groups=frozenset({"platform"}))})
    yield Reviewed(connection, ["fusion-bridge"], roles)
    connection.close()


def status(*groups: str, audiences: list[str] | None = None, authenticated: bool = True) -> dict[str, Any]:
    user = {"username": "kim@example.com", "groups": list(groups)}
    found: dict[str, Any] = {"authenticated": authenticated, "user": user}
    return {"status": found | ({"audiences": audiences} if audiences is not None else {})}


def test_a_cluster_says_whose_token_it_is(cluster: Answering, reviewed: Reviewed) -> None:
    asked = []

    def review(body: bytes) -> tuple[int, Any]:
        asked.append(json.loads(body)["spec"])
        return 201, status("platform", audiences=["fusion-bridge"])

    cluster.answers[REVIEWS] = review
    assert reviewed.verified("a token") == Person("kim@example.com", Role.OPERATOR)
    assert asked == [{"token": "a token", "audiences": ["fusion-bridge"]}]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status("platform", audiences=["fusion-bridge"], authenticated=False), Unknown),
        (status("platform", audiences=["https://kubernetes.default.svc"]), Unknown),
        (status("platform"), Unknown),  # a server that knows nothing of audiences
        ({"status": {"authenticated": True, "audiences": ["fusion-bridge"]}}, Unknown),
        ({"status": {"error": "expired"}}, Unknown),
        (status("developers", audiences=["fusion-bridge"]), Forbidden),
        ({"status": 7}, Unavailable),
        ([], Unavailable),
    ],
)
def test_nobody_else_is_let_in(cluster: Answering, reviewed: Reviewed, answer: Any, error: type[Exception]) -> None:  # noqa: ANN401
    cluster.put(REVIEWS, answer, 201)
    with pytest.raises(error) as refused:
        reviewed.verified("hunter2hunter2hunter2")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("code", [401, 403, 404, 500, 503])
def test_a_cluster_that_does_not_tell_is_not_the_persons_fault(
    cluster: Answering, reviewed: Reviewed, code: int
) -> None:
    cluster.put(REVIEWS, {"kind": "Status", "message": "no"}, code)
    with pytest.raises(Unavailable, match="tokenreviews"):
        reviewed.verified("hunter2")
