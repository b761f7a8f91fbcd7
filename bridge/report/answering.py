"""Who held an address, asked of what is recorded of one cluster."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bridge.model.addresses import canonical_address
from bridge.report.attribution import Answer, answer, placed
from bridge.state.history_store import HistoryStore
from bridge.state.past import Watched


def answered(store: HistoryStore, watched: Watched, address: str, at: datetime, ranges: Sequence[str] = ()) -> Answer:
    """What one cluster's history says of the address, with the groups that it was in; `ranges` are the pods'."""
    found = answer(watched, store.around(watched.cluster, address, at), at)
    if not found.holders:
        return placed(found, address, ranges, store.node(watched.cluster, address)) if ranges else found
    namespaces = {holding.lease.namespace for holding, _ in found.holders}
    return replace(found, groups=store.groups_at(watched.cluster, address, namespaces, at))


def one_address(text: str) -> str:
    """The address in its one spelling; ValueError for anything else."""
    if "/" in text:
        raise ValueError(f"{text} is a prefix: ask for one address")
    return canonical_address(text.strip().strip("[]"))
