"""What the client makes of answers: errors of problems, changes of events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx
import msgspec

from bridge.api.changes import Moved
from bridge.api.documents import Problem, ProblemJson
from bridge.errors import BridgeError


class ApiProblem(BridgeError):
    """What the API answers instead: `problem` says what is wrong, `retry_after` in how many seconds to ask again, where it says so."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        self.problem = problem
        self.retry_after = retry_after
        wrong = (f"{name}: {why}" for name, why in problem.problems.items())
        super().__init__(
            f"{problem.status} {': '.join(filter(None, (problem.title, problem.detail, '; '.join(wrong))))}"
        )


class ApiUnavailable(BridgeError):
    """Nobody answers, or not as the API does."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something moved. With the `id` a later stream tells what has moved since; the first of a stream may have nothing but that."""

    id: str
    moved: Moved | None


def require(answer: httpx.Response) -> None:
    """Raises ApiProblem, and ApiUnavailable for what is no answer of the API."""
    if answer.is_success:
        return
    try:
        if not answer.headers.get("content-type", "").startswith(ProblemJson.media_type):
            raise ApiUnavailable(f"{answer.url.path}: {answer.status_code}, and not from the API")
        problem = msgspec.json.decode(answer.content, type=Problem)
    except msgspec.DecodeError as error:
        raise ApiUnavailable(f"{answer.url.path}: {answer.status_code}, and it makes no sense: {error}") from error
    after = answer.headers.get("retry-after", "")
    raise ApiProblem(problem, float(after) if after.isdecimal() else None)


def events(lines: Iterable[str]) -> Iterator[Change]:
    """The events of a stream; what has no id is none."""
    name, told = "", None
    for line in lines:
        word, _, rest = line.partition(": ")
        if word == "id":
            name = rest
        elif word == "data":
            told = msgspec.json.decode(rest, type=Moved)
        elif not line and name:
            yield Change(name, told)
            name, told = "", None
