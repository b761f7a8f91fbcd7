"""`fusion-bridge release` and `reject`: what becomes of steps that are held on a device."""

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli import person
from bridge.cli.errors import HELD
from bridge.cli.invocation import Invocation, invocation

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bridge.cluster.orders import Orders

Digest = Annotated[str, typer.Argument(help="Of the held steps, as `fusion-bridge held` shows it.")]
Device = Annotated[str, typer.Option("--device", help="On which they are held.")]
_WAIT = 30.0


def release(
    context: typer.Context,
    digest: Digest,
    device: Device,
    reason: person.Reason,
    by: person.By = None,
    cluster: person.Cluster = None,
    kubeconfig: person.Kubeconfig = None,
    kube_context: person.Context = None,
    wait: person.Wait = _WAIT,
) -> None:
    """Let held steps be done, as far as they are still wanted; exit code 3 where nothing came of it.

    It writes a Decision into the cluster with your credentials there, and waits until the bridge says on it what became of it.
    """
    asked = invocation(context)
    spec = {"device": device, "digest": digest, "verdict": "Release", "by": by or "", "reason": reason}
    _decide(asked, person.orders(asked, cluster, kubeconfig, kube_context), spec, wait)


def reject(
    context: typer.Context,
    digest: Digest,
    device: Device,
    reason: person.Reason,
    by: person.By = None,
    cluster: person.Cluster = None,
    kubeconfig: person.Kubeconfig = None,
    kube_context: person.Context = None,
    wait: person.Wait = _WAIT,
) -> None:
    """Leave held steps undone for good, as long as the same is wanted; exit code 3 where nothing came of it.

    It writes a Decision into the cluster with your credentials there, and waits until the bridge says on it what became of it.
    """
    asked = invocation(context)
    spec = {"device": device, "digest": digest, "verdict": "Reject", "by": by or "", "reason": reason}
    _decide(asked, person.orders(asked, cluster, kubeconfig, kube_context), spec, wait)


def _decide(asked: Invocation, cluster: "AbstractContextManager[Orders]", spec: dict[str, str], wait: float) -> None:
    from bridge.model.decisions import Settled

    with cluster as orders:
        spec["reason"] = person.said("reason", spec["reason"])
        spec["by"] = person.said("by", spec["by"]) if spec["by"] else orders.whoami()
        found = orders.settled(orders.decide(spec), (str(one) for one in Settled if one is not Settled.WAITING), wait)
    done = found.state == Settled.DONE
    words = found.message or "the bridge has not said what became of it; it will once it has heard it"
    if asked.output.json:
        asked.output.document(
            {"name": found.name, **spec, "state": found.state or str(Settled.WAITING), "message": words}
        )
    else:
        asked.output.line(f"{found.name}: {found.state or Settled.WAITING}: {words}")
    if not done:
        raise typer.Exit(HELD)
