"""Small values for tests of the state, each with as much said as the test is about."""

from datetime import UTC, datetime, timedelta

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.observed import Pod
from bridge.state.batch import Batch, DesiredObject
from bridge.state.database import Database
from bridge.state.delivery_store import DeliveryStore
from bridge.state.intake_store import IntakeStore
from bridge.state.leases import ReplicaLeases

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """So long after the start of the test's time."""
    return START + timedelta(seconds=seconds)


def batch(seconds: float = 0) -> Batch:
    """An empty batch of that time."""
    return Batch(at(seconds))


def pod(name: str, *addresses: str, uid: str = "", namespace: str = "shop") -> Pod:
    """A running pod."""
    return Pod(
        uid=uid or f"uid-{name}",
        namespace=namespace,
        name=name,
        resource_version="7",
        labels={"app": name.partition("-")[0]},
        annotations={},
        service_account="default",
        owner=f"ReplicaSet/{name.partition('-')[0]}",
        node="node-1",
        phase="Running",
        host_network=False,
        addresses=addresses,
        started=START,
        deleting=False,
        gates=(),
    )


def group(name: str, cluster: str = "east") -> ObjectKey:
    """The group of a Service."""
    return ObjectKey(Kind.GROUP, cluster, Scope.SERVICE, "shop", name)


def selected(device: str, key: ObjectKey) -> DesiredObject:
    """A group whose members are in the member table, wanted on a device."""
    return DesiredObject(device, key, None, "selected", "a rule")


class Stores:
    """The state of one cluster, `east`, and the device `edge`, both owned at epoch 1."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.intake = IntakeStore(database)
        self.delivery = DeliveryStore(database)
        self.leases = ReplicaLeases(database)
        self.intake.register_cluster("east")
        self.delivery.register_device("edge", "bigip")
        assert self.leases.acquire("cluster", "east", "me", 3600) == 1
        assert self.leases.acquire("device", "edge", "me", 3600) == 1

    def commit(self, changes: Batch) -> int:
        """Record a batch as the owner."""
        return self.intake.commit_batch("east", changes, epoch=1)
