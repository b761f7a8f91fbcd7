"""The simulated API server as a process of its own, and manifests from files."""

import gc
import json
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

import yaml

from bridge.lab.apiserver import ApiServer, LabCluster, Manifest, Refusal
from bridge.lab.churn import Churn
from bridge.lab.population import believable

# Definitions and namespaces go before what needs them, whatever the order of the files.
_FIRST: Final = {"CustomResourceDefinition": 0, "Namespace": 1}


def serve_cluster(
    *,
    port: int = 0,
    pods: int = 0,
    seed: int = 1,
    churn: float = 0.0,
    tls: bool = True,
    token: str = "",
    manifests: Iterable[Path] = (),
    window: int = 65_536,
    pod_grace: bool = False,
    slices: bool = True,
    out: TextIO | None = None,
) -> None:
    """Serve a cluster with `pods` pods, print one JSON line {url, kubeconfig, username, password, token, ca}, run until SIGTERM.

    `churn` is in steps per second (see Churn). TLS is on unless told: kubectl and other Go clients send no token in the clear.
    For the main thread of a process. Raises OSError where the port is taken, Refusal for a manifest that cannot be.
    """
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    cluster = LabCluster(window=window, pod_grace=pod_grace)
    cluster.load_definitions()
    fleet = believable(cluster, pods, seed=seed, slices=slices) if pods else None
    load_manifests(cluster, manifests)
    # What was loaded stays: the collector need not walk it again at every full round.
    gc.collect()
    gc.freeze()
    try:
        with ApiServer(cluster, port=port, tls=tls, token=token) as server:
            print(
                json.dumps({"username": None, "password": None} | dict(server.document())),
                file=out or sys.stdout,
                flush=True,
            )
            moving = Churn(fleet, seed=seed).start(churn) if fleet and churn else None
            ended.wait()
            if moving is not None:
                moving.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def load_manifests(cluster: LabCluster, paths: Iterable[Path]) -> int:
    """Create or replace every object of YAML files (or of folders, `*.yaml` in order of name); returns how many.

    Lists are taken apart. Namespaces that are named but absent are created. Raises Refusal naming the file and the object.
    """
    found = [(path, obj) for path in _files(paths) for obj in _objects(yaml.safe_load_all(path.read_text()))]
    found.sort(key=lambda one: _FIRST.get(one[1].get("kind", ""), 2))
    for path, obj in found:
        home = obj.get("metadata", {}).get("namespace")
        try:
            if home and home not in cluster.shelves.named("namespaces").items:
                cluster.create("namespaces", {"metadata": {"name": home}})
            cluster.put(obj)
        except Refusal as refusal:
            name = obj.get("metadata", {}).get("name")
            raise Refusal(refusal.code, refusal.reason, f"{path}: {obj.get('kind')} {name}: {refusal}") from refusal
    return len(found)


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        yield from sorted(path.glob("*.yaml")) if path.is_dir() else (path,)


def _objects(documents: Iterable[object]) -> Iterable[Manifest]:
    for document in documents:
        if isinstance(document, dict):
            yield from document["items"] if document.get("kind") == "List" else (document,)
