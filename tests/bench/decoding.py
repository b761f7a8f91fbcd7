"""List decode and index, against a bare typed decode and the official client's model classes."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from kubernetes.client import ApiClient

from bridge.cluster.decode import Codec
from bridge.cluster.wire import Decoders, PodWire
from bridge.intake import collector
from bridge.intake.cluster_index import ClusterIndex
from bridge.lab.apiserver import LabCluster
from bridge.model.observed import Change, Event, Resource
from bridge.state.batch import Recorded
from tests.bench.cluster_process import Load, build
from tests.bench.row import Row
from tests.bench.stand import GOVERNANCE

_PAGE = 2_000
_MODEL_SAMPLE = 1_000


def rows(pods: int) -> Iterator[Row]:
    """Two ratios over the same bytes in one run."""
    collector.relax()  # as the controller does
    bodies = _pages(build(Load(pods)).cluster)
    bare = _timed(lambda: _bare(bodies))
    ours = _timed(lambda: _indexed(bodies))
    model = _timed(lambda: _modelled(bodies)) * pods / _MODEL_SAMPLE
    notes = {
        "pods": pods,
        "bare_s": round(bare, 3),
        "ours_s": round(ours, 3),
        "model_classes_s_extrapolated": round(model, 1),
    }
    yield Row(
        f"list decode and index of {pods:,} pods, against bare typed decode",
        "≤ 3 ×",
        f"{ours / bare:.2f} ×",
        ours <= 3 * bare,
        notes,
    )
    yield Row(
        "the same, against the client's model classes",
        "≥ 50 × faster",
        f"{model / ours:.0f} ×",
        model >= 50 * ours,
        notes,
    )


def _pages(cluster: LabCluster) -> list[bytes]:
    shelf = cluster.shelves.named("pods")
    bodies = list(shelf.items.values())
    head, tail = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[', b"]}"
    return [head + b",".join(bodies[at : at + _PAGE]) + tail for at in range(0, len(bodies), _PAGE)]


def _bare(bodies: list[bytes]) -> None:
    decoders = Decoders(PodWire)
    for body in bodies:
        decoders.page(body)


def _indexed(bodies: list[bytes]) -> None:
    codec = Codec(Resource.PODS)
    index = ClusterIndex(GOVERNANCE, Recorded(0, "", {}, {}, {}, {}, {}, {}))
    at = datetime.now(UTC)
    for body in bodies:
        index.take([Event(Change.UPSERT, Resource.PODS, value) for value in codec.page(body).values], at)


class _Response:
    def __init__(self, text: str) -> None:
        self.data = text


def _modelled(bodies: list[bytes]) -> None:
    client = ApiClient()
    items = json.loads(bodies[0])["items"][:_MODEL_SAMPLE]
    for status in (status for item in items for status in item["status"].get("containerStatuses", ())):
        status.setdefault("imageID", "sha256:0")  # the model classes insist on it
    text = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
    client.deserialize(_Response(text), "V1PodList")


def _timed(run: Callable[[], None]) -> float:
    """The shorter of two runs, in CPU seconds of this process."""
    found = []
    for _ in range(2):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return min(found)
