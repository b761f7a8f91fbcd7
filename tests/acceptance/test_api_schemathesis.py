"""Every route keeps what the OpenAPI document promises, whatever it is sent: schemathesis with all its checks."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from bridge.api.access import Everybody
from bridge.api.application import application
from bridge.api.changes import Changes
from bridge.api.site import Site
from bridge.state.database import Database
from tests.acceptance.site import CLUSTER, DEVICE, eventually
from tests.acceptance.world import world
from tests.api.conftest import Api, api_of

EXAMPLES = 8  # of each route, besides those that go through its parameters one by one


def _never(*_: object) -> Any:  # noqa: ANN401
    raise AssertionError("nobody asks the document")


_NOBODY = Site(Database("postgresql://nobody@127.0.0.1:1/none"), {}, {}, {}, _never, _never, _never, _never)
SCHEMA = schemathesis.openapi.from_dict(application(_NOBODY, Everybody()).openapi())
Case = schemathesis.Case[Any]
_REAL = {"name": DEVICE, "device": DEVICE, "cluster": CLUSTER}


# What means nothing by itself: a schema cannot say which addresses, times and places there are.
_MEANT: dict[str, Any] = {
    "page": None,
    "at": "5m",
    "since": "1h",
    "from": "shop/web-0",
    "to": "192.0.2.1:443",
    "address": "10.244.1.1",
    "subject": "10.244.1.1",
    "before": "last",
    "after": "last",
    "head": None,
    "by": "ann",
}


def _sensible(case: Case) -> None:
    """What keeps to the schema is made to make sense, and half of the names to be those of something: else nothing were ever found."""
    for name, value in (case.path_parameters or {}).items():
        if name in _REAL and len(str(value)) % 2:
            case.path_parameters[name] = CLUSTER if case.operation.path.startswith("/api/v1/clusters") else _REAL[name]
    if case.meta is None or case.meta.generation.mode is not schemathesis.GenerationMode.POSITIVE:
        return
    for name in [name for name in case.query or {} if name in _MEANT and "/changes" not in case.operation.path]:
        case.query[name] = _MEANT[name]
        if _MEANT[name] is None:
            del case.query[name]
    if isinstance(case.body, dict) and case.operation.path != "/api/v1/reports":
        case.body["by"] = _MEANT["by"]


def _hasten(case: Case) -> None:
    """Nobody waits for what never comes, where a wait is right."""
    asked = {parameter.name for parameter in case.operation.query}
    for name, value in (("wait", 0), ("seconds", 1)):
        if name in asked and str(case.query.get(name, "0")).isdecimal():
            case.query[name] = value


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A site in step, with a report that is kept. A second of a stream is over sooner: nothing moves in it."""
    since = Changes.since
    with world(tmp_path_factory.mktemp("site")) as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Changes, "since", lambda self, seen, seconds: since(self, seen, seconds / 20))
        made.team("shop", "10.244.1.1", "10.244.1.2")
        made.bridge.start()
        made.await_in_step(60)
        with api_of(made) as found:
            found.post("reports", {}, 201)
            yield found


@pytest.fixture(autouse=True)
def goes_on(api: Api) -> Iterator[None]:
    """Whatever was stopped starts again."""
    yield
    for one in api.world.store.list("stops"):
        if "lifted" not in one["spec"]:
            api.client.post(
                f"/api/v1/stops/{CLUSTER}/{one['metadata']['name']}/lift?wait=0",
                json={"by": "ann", "reason": "it is over"},
            )
    eventually("nothing is stopped", lambda: api.every("stops") == [])


@pytest.mark.acceptance("api: schemathesis, with all its checks, finds nothing")
@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_it_keeps_what_the_document_promises(case: Case, api: Api) -> None:
    _sensible(case)
    _hasten(case)
    case.call_and_validate(base_url=str(api.client.base_url))
