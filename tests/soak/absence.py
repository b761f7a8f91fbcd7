"""Many pods vanish while nobody can watch: the guard holds exactly their removals, all else flows on, and a person releases them."""

import time
from collections.abc import Sequence

from bridge.lab.apiserver import ApiServer
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.state.database import Database
from bridge.state.delivery_store import DeliveryStore
from bridge.state.desired import ListState
from tests.soak.inspection import Inspection
from tests.soak.meaning import CLUSTER
from tests.soak.proof import Findings
from tests.soak.town import CROWD

GROUP = ObjectKey(Kind.GROUP, CLUSTER, Scope.SERVICE, CROWD, CROWD)
_COME, _VANISH, _HEIRS = 60, 40, 15
_PATIENCE = 60.0


def episode(inspection: Inspection, api: ApiServer, database: Database, findings: Findings) -> None:
    """Called at rest; ends at rest."""
    town, store = inspection.town, DeliveryStore(database)
    names = [post.name for post in inspection.posts]
    town.gather(_COME)
    findings.wrong += [f"the crowd: {one}" for one in inspection.settle(town.sources(8))[:5]]

    api.down()
    gone = town.vanish(_VANISH)
    town.cluster.store.compact()
    api.up()
    _expect_held(store, names, frozenset(gone), findings)
    findings.wrong += [f"vanished unseen: {one}" for one in inspection.settle(town.sources(8), held=gone)[:5]]

    heirs = town.inherit(sorted(gone)[:_HEIRS])
    # The list stays as it was written; what of it is another's by now is not held any more.
    findings.wrong += [f"inherited: {one}" for one in inspection.settle(town.sources(8), held=gone - heirs)[:5]]

    # A person releases what still waits.
    findings.wrong += [f"released: {one}" for one in inspection.settle(town.sources(8) | gone)[:5]]
    findings.figures["held by the guard"] = len(gone)


def _expect_held(store: DeliveryStore, devices: Sequence[str], gone: frozenset[str], findings: Findings) -> None:
    """On every device exactly these addresses of the crowd wait, and nobody else of any group."""
    until = time.monotonic() + _PATIENCE
    while any(_held(store, device).get(str(GROUP)) != gone for device in devices) and time.monotonic() < until:
        time.sleep(0.2)
    for device in devices:
        found = _held(store, device)
        findings.expect_equal(found.get(str(GROUP)), gone, f"vanished unseen: held on {device}")
        others = {key: members - gone for key, members in found.items() if members - gone}
        findings.expect(not others, f"vanished unseen: held on {device} beside them: {others}")


def _held(store: DeliveryStore, device: str) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for listed in store.held_lists(device):
        for one in listed.held if listed.state is ListState.HELD else ():
            found[str(one.key)] = found.get(str(one.key), frozenset()) | one.members
    return found
