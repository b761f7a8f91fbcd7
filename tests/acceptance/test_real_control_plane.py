"""The main job on a real kube-apiserver, with the real program and a simulated BIG-IP; judged packet by packet by the device's referee."""

import random
from collections.abc import Callable, Iterator

import pytest

from bridge.lab.devices.bigip import Bigip
from bridge.resources import shipped
from tests.acceptance.shop import MANIFESTS, Shop, external_service, rule
from tests.acceptance.site import CLUSTER, DEVICE, Bridge, ClusterEntry, bigip, eventually, ours, stays
from tests.control_plane.node import NodeStandIn
from tests.control_plane.plane import ControlPlane

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not MANIFESTS.exists(), reason=f"needs {MANIFESTS.parent.parent.name}/real-input/online-boutique.yaml"
    ),
]


@pytest.fixture(scope="module")
def bridge(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """One bridge and one device for all: each test leaves behind what the next one must not mind."""
    control_plane.install_crds(shipped("config/crd"))
    folder, entry = tmp_path_factory.mktemp("bridge"), ClusterEntry(CLUSTER, control_plane.kubeconfig)
    with bigip() as device, Bridge(folder, {DEVICE: device}, [entry]) as made:
        made.start()
        yield made


@pytest.fixture
def shop(
    control_plane: ControlPlane, node: NodeStandIn, new_namespace: Callable[..., str], bridge: Bridge
) -> Iterator[Shop]:
    """The boutique running in a governed namespace, its one rule applied, and the bridge in step."""
    namespace = new_namespace(**{"fusionbridge.io/egress": "governed"})
    found = Shop(control_plane, namespace, bridge.devices[DEVICE], bridge)
    found.load()
    found.apply(external_service(), rule())
    eventually("12 workloads running", lambda: len(found.pods()) == 12, 60)
    found.await_step("paymentservice alone reaches the provider", seconds=60)
    yield found
    assert bridge.running, bridge.log()[-5:]


@pytest.mark.acceptance("online-boutique: paymentservice alone reaches an ExternalService; scaling, to zero too")
def test_scaling(shop: Shop) -> None:
    for replicas in (4, 1, 0, 2):
        shop.kubectl("scale", "deployment/paymentservice", f"--replicas={replicas}")
        shop.await_scaled("paymentservice", replicas)
        shop.await_step(f"{replicas} replicas")
        eventually("the group follows", lambda: shop.group("paymentservice") == shop.pods(app="paymentservice"))
    assert len(shop.group("paymentservice")) == 2


@pytest.mark.acceptance("online-boutique: rolling, deleting and recreating pods")
def test_rolling(shop: Shop) -> None:
    before = shop.pods(app="paymentservice")
    shop.kubectl("rollout", "restart", "deployment/paymentservice")
    shop.kubectl("rollout", "status", "deployment/paymentservice", "--timeout=60s")
    shop.await_scaled("paymentservice", 1)
    shop.await_step("after the roll")
    assert shop.pods(app="paymentservice") != before
    shop.kubectl("delete", "pod", "--all", "--wait=false")
    eventually("all pods anew", lambda: len(shop.pods()) == 12 and len(shop.pods(app="paymentservice")) == 1, 60)
    shop.await_step("after all pods were deleted and came again")


@pytest.mark.acceptance("online-boutique: changing labels and selectors")
def test_labels_and_selectors(shop: Shop) -> None:
    pod = shop.kubectl("get", "pods", "-l", "app=paymentservice", "-o", "name").strip()
    shop.kubectl("label", pod, "app=somethingelse", "--overwrite")
    eventually("the Deployment replaces it", lambda: len(shop.pods(app="paymentservice")) == 1, 60)
    shop.await_step("the relabelled pod is out")
    shop.kubectl("patch", "service", "paymentservice", "-p", '{"spec":{"selector":{"app":"emailservice"}}}')
    shop.await_step("the selector names another workload", app="emailservice")
    shop.kubectl("patch", "service", "paymentservice", "-p", '{"spec":{"selector":{"app":"paymentservice"}}}')
    shop.await_step("and back")


@pytest.mark.acceptance("online-boutique: deleting the Service")
def test_deleting_the_service(shop: Shop) -> None:
    service = shop.kubectl("get", "service", "paymentservice", "-o", "yaml")
    shop.kubectl("delete", "service", "paymentservice")
    eventually("an empty group matches nothing", lambda: not any(shop.allowed(one) for one in shop.pods()))
    assert shop.group("paymentservice") == frozenset()
    shop.plane.kubectl("apply", "-f", "-", input=service.replace("resourceVersion:", "# resourceVersion:"))
    shop.await_step("with the Service the permission returns")


@pytest.mark.acceptance("online-boutique: editing and deleting the ExternalService and the rule")
def test_editing_policy(shop: Shop) -> None:
    shop.apply(external_service(addresses=("203.0.113.7",), port=8443))
    shop.provider, shop.port = "203.0.113.7", 8443
    shop.await_step("the edited destination")
    assert not any(shop.allowed(one, "192.0.2.10") for one in shop.pods())
    shop.apply(rule(action="Deny"))
    eventually("the rule denies", lambda: not any(shop.allowed(one) for one in shop.pods()))
    shop.apply(rule())
    shop.await_step("the rule allows again")
    shop.kubectl("delete", "externalservice", "provider")
    stays("what was accepted stays while the rule names it", shop.in_step)
    shop.kubectl("delete", "serviceegressrule", "paymentservice-provider")
    eventually("nothing is left over", shop.nothing_left)
    assert not any(shop.allowed(one) for one in shop.pods())


@pytest.mark.acceptance("online-boutique: deleting the namespace leaves nothing over")
def test_deleting_the_namespace(shop: Shop) -> None:
    shop.plane.kubectl("delete", "namespace", shop.namespace, "--wait=false")
    eventually("nothing of the namespace on the device", shop.nothing_left, 90)
    report = shop.bridge.cli("report")
    assert report["missing"] == report["extra"] == 0


@pytest.mark.acceptance(
    "online-boutique: in any order, into step without a restart, and afterwards nothing is left over"
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order(shop: Shop, seed: int) -> None:
    moves: list[Callable[[], object]] = [
        lambda: shop.kubectl("scale", "deployment/paymentservice", "--replicas=3"),
        lambda: shop.kubectl("delete", "pod", "-l", "app=paymentservice", "--wait=false"),
        lambda: shop.kubectl("rollout", "restart", "deployment/paymentservice"),
        lambda: shop.apply(external_service(addresses=("192.0.2.8/30",))),
        lambda: shop.kubectl("delete", "service", "checkoutservice", "--ignore-not-found"),
        lambda: shop.apply(rule(service="emailservice")),
    ]
    random.Random(seed).shuffle(moves)
    for move in moves:
        move()
    for name in ("paymentservice", "emailservice"):
        shop.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
    shop.await_scaled("paymentservice", 3)

    def right() -> bool:
        may = shop.pods(app="paymentservice") | shop.pods(app="emailservice")
        return all(shop.allowed(one) == (one in may) for one in shop.pods())

    eventually("in step after all of it", right)
    ends: list[Callable[[], object]] = [
        lambda: shop.kubectl("delete", "serviceegressrule", "--all"),
        lambda: shop.kubectl("delete", "externalservice", "--all"),
        lambda: shop.kubectl("delete", "service", "--all"),
        lambda: shop.kubectl("delete", "deployment", "--all"),
    ]
    random.Random(seed + 10).shuffle(ends)
    for end in ends:
        end()
    eventually("nothing is left over", shop.nothing_left)


@pytest.mark.acceptance("online-boutique: the same with the controller stopped meanwhile")
def test_stopped_meanwhile(shop: Shop) -> None:
    shop.bridge.stop()
    shop.kubectl("scale", "deployment/paymentservice", "--replicas=3")
    shop.kubectl("delete", "pod", "-l", "app=emailservice", "--wait=false")
    shop.await_scaled("paymentservice", 3)
    shop.apply(external_service(addresses=("203.0.113.7",)))
    shop.provider = "203.0.113.7"
    shop.bridge.start()
    shop.await_step("what changed while it was stopped")
    shop.bridge.stop()
    shop.kubectl("scale", "deployment/paymentservice", "--replicas=0")
    shop.await_scaled("paymentservice", 0)
    shop.bridge.start()
    shop.await_step("pods that vanished while it was stopped")
    eventually("the group is empty", lambda: shop.group("paymentservice") == frozenset())
    shop.bridge.stop()
    shop.kubectl("delete", "serviceegressrule,externalservice,service,deployment", "--all")
    shop.bridge.start()
    eventually("nothing is left over", shop.nothing_left)


@pytest.mark.acceptance("with nothing changed, a restart writes nothing to the device")
def test_quiet_restart(shop: Shop) -> None:

    def earlier() -> list[str]:
        return [name for name in ours(shop.device) if "_test-" in name and shop.namespace not in name]

    eventually("what earlier tests left is gone", lambda: not earlier(), 60)
    shop.bridge.await_in_step()
    shop.bridge.stop()
    known, started = len(shop.device.writes()), len(shop.bridge.log())
    shop.bridge.start()
    eventually("the new owner's epoch stands on the device", lambda: len(shop.device.writes()) > known)
    stays("and nothing else is written", lambda: not configuration(shop.device, known), 5)
    assert not [one for one in shop.bridge.log()[started:] if one["event"] == "applying"]


def configuration(device: Bigip, since: int) -> list[str]:
    """What was changed but for the fence, which each owner writes once."""
    touched = [path for write in device.writes()[since:] for path in write.touched]
    return [path for path in touched if not path.endswith("/fence")]


@pytest.mark.acceptance("Kubernetes API away: nothing exits, nothing is deleted, all catches up")
def test_api_away(shop: Shop) -> None:
    before = shop.group("paymentservice")
    with shop.plane.api_away():
        stays("nothing is deleted", lambda: shop.group("paymentservice") == before and shop.bridge.running, 8)
    shop.kubectl("scale", "deployment/paymentservice", "--replicas=3")
    shop.await_scaled("paymentservice", 3)
    shop.await_step("all catches up", seconds=90)
