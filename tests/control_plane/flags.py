"""How each program of the control plane is started."""

from pathlib import Path

from tests.control_plane.certificates import Credentials

# Those that a workload's life needs, and no others: each further one costs start time and memory.
CONTROLLERS = (
    "namespace-controller",
    "serviceaccount-controller",
    "garbage-collector-controller",
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "daemonset-controller",
    "job-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
)
SERVICE_RANGES = ("10.96.0.0/16", "fd00:10:96::/112")


def etcd(port: int, data: Path) -> list[str]:
    """One member, nothing kept safe from a power cut."""
    client = f"http://127.0.0.1:{port}"
    return [
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--socket-reuse-port",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(port: int, etcd_port: int, credentials: Credentials, folder: Path) -> list[str]:
    """RBAC on, no anonymous callers, default admission but for the taints that only a real kubelet and its controller would lift."""
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--secure-port={port}",
        "--permit-port-sharing",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # The address of the `kubernetes` Service's endpoint may not be a loopback one.
        "--endpoint-reconciler-type=none",
        f"--cert-dir={folder}",
        f"--tls-cert-file={credentials.serving_certificate}",
        f"--tls-private-key-file={credentials.serving_key}",
        f"--token-auth-file={credentials.tokens}",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        f"--service-account-key-file={credentials.service_account_key}",
        f"--service-account-signing-key-file={credentials.service_account_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={','.join(SERVICE_RANGES)}",
        "--disable-admission-plugins=TaintNodesByCondition",
        "--allow-privileged",
        # Tests share two cores with the server: its own queueing would only add latency of its own.
        "--enable-priority-and-fairness=false",
        "--profiling=false",
    ]


def kube_controller_manager(kubeconfig: Path) -> list[str]:
    """One instance that elects nobody and serves nothing."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(CONTROLLERS)}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    ]
