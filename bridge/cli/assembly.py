"""From settings to the values that each room is handed."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from bridge.cli.adapters import InstalledAdapters
from bridge.cli.secrets import SecretStore
from bridge.cli.tenure import LeaseTimes
from bridge.cluster.client import Connection
from bridge.cluster.settings import ClusterConfig, ReflectorSettings
from bridge.delivery.pacing import PacingSettings
from bridge.delivery.worker import WorkerSettings
from bridge.dialects.dialect import Dialects, load
from bridge.feedback.gatekeeper import GateSettings
from bridge.model.policy import Governance
from bridge.names.servers import server
from bridge.names.settings import NamesSettings
from bridge.policy.compile import Target
from bridge.settings import ClusterSettings, DeviceSettings, Settings
from bridge.settings.devices import Mode
from bridge.settings.freezes import freezes
from bridge.settings.root import DeliverySettings

_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def cluster_config(cluster: ClusterSettings) -> ClusterConfig:
    """How to reach the cluster."""
    return ClusterConfig(
        name=cluster.name,
        kubeconfig=cluster.kubeconfig,
        context=cluster.context,
        in_cluster=cluster.in_cluster,
        connect_timeout=cluster.connect_timeout,
        read_timeout=cluster.read_timeout,
    )


def governance(cluster: ClusterSettings, database_url: str | None = None) -> Governance:
    """What of the cluster is governed; the namespace that we run in is not, unless it is named. Nor does a pod wait there, or where our
    database is."""
    if not cluster.in_cluster:
        return cluster.governance()
    return cluster.governance(own_namespace(), service_namespace(database_url))


def gate_settings(cluster: ClusterSettings) -> GateSettings:
    """How long pods wait for the firewalls."""
    return GateSettings(timeout=cluster.gate.timeout)


def service_namespace(url: str | None) -> str:
    """The namespace of the Service that a URL names as cluster DNS does (name.namespace, .svc and the rest or not); "" for others."""
    host = urlsplit(url).hostname if url else None
    labels = (host or "").split(".")
    inside = len(labels) == 2 or (len(labels) > 2 and labels[2] == "svc")
    return labels[1] if inside and not labels[1].isdigit() else ""


def dialects(cluster: ClusterSettings) -> Dialects:
    """How policy may be written in the cluster. SettingsError for a dialect that is not installed."""
    return load(cluster.dialects, dialect_options(cluster))


def dialect_options(cluster: ClusterSettings) -> Mapping[str, Mapping[str, str]]:
    """What the settings say to each dialect, by its name."""
    return {"ces": {"controllerNamespace": cluster.ces.controller_namespace}}


def own_namespace() -> str:
    """The namespace of the pod that we are; "" outside a cluster."""
    try:
        return _OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def lease_times(settings: Settings) -> LeaseTimes:
    """How long leases last; what is free is looked for at least thrice in a renewal."""
    one = settings.replicas
    return LeaseTimes(one.term, one.renewal, one.deadline, min(0.5, one.renewal / 3))


def reflector_settings(settings: Settings) -> ReflectorSettings:
    """How clusters are watched."""
    watch = settings.watch
    return ReflectorSettings(page=watch.page, pod_page=watch.pod_page, inactivity=watch.inactivity)


def targets(settings: Settings, cluster: str, adapters: InstalledAdapters) -> tuple[Target, ...]:
    """The devices that serve the cluster, as its compiler sees them. SettingsError for an adapter that cannot be loaded."""
    found = []
    for device in settings.serving(cluster):
        can = adapters.factory(device.kind).capabilities(device.config(settings.owner))
        default = device.scope.clusters[cluster].default
        found.append(
            Target(
                device.name,
                can,
                default.defaults(),
                device.namespaces(),
                device.views(cluster),
                default.accept_shared,
                freezes((*settings.delivery.freeze, *device.freeze)),
            )
        )
    return tuple(found)


def names_settings(settings: Settings) -> NamesSettings:
    """How names are resolved."""
    names = settings.names
    return NamesSettings(
        tuple(server(one) for one in names.servers),
        names.timeout,
        names.attempts,
        names.shortest,
        names.longest,
        names.grace,
        names.most,
        names.most_names,
        names.threads,
    )


def worker_settings(delivery: DeliverySettings, device: DeviceSettings) -> WorkerSettings:
    """How the device is kept in step, and whether it is written to."""
    pacing = delivery.pacing
    return WorkerSettings(
        write=device.mode is Mode.APPLY,
        close_flows=device.close_flows,
        poll_interval=delivery.poll_interval,
        activation_interval=delivery.activation_interval,
        save_after=delivery.save_after,
        guard=delivery.guard.limits(),
        pacing=PacingSettings(pacing.first, pacing.longest, pacing.denied, pacing.failures),
    )


def secret_store(settings: Settings) -> SecretStore:
    """Kubernetes Secrets through connections of their own, made here and opened when first used."""
    connections: Mapping[str, Connection] = {one.name: Connection(cluster_config(one)) for one in settings.clusters}
    return SecretStore(connections)
