"""`fusion-bridge lab`: a simulated cluster or device, for other programs to talk to."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bridge.errors import BridgeError

app = typer.Typer(
    help="Simulated clusters and devices: one JSON line on standard output, then service until SIGTERM.",
    no_args_is_help=True,
)

Port = Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")]
Tls = Annotated[
    bool, typer.Option("--tls/--no-tls", help="Whether to serve TLS, from a certificate authority of its own.")
]


@app.command()
def cluster(
    port: Port = 0,
    pods: Annotated[int, typer.Option(min=0, max=1_000_000, help="How many pods it begins with.")] = 0,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal clusters.")] = 1,
    churn: Annotated[float, typer.Option(min=0, help="Changes each second.")] = 0.0,
    token: Annotated[str, typer.Option(help="The bearer token; a random one when it is not given.")] = "",
    manifest: Annotated[
        list[Path] | None, typer.Option(exists=True, help="A file or folder of objects to begin with; may be repeated.")
    ] = None,
    tls: Tls = True,
) -> None:
    """A simulated Kubernetes API server."""
    with _lab():
        from bridge.lab.serve import serve_cluster

        serve_cluster(port=port, pods=pods, seed=seed, churn=churn, token=token, manifests=manifest or (), tls=tls)


@app.command()
def device(
    kind: Annotated[str, typer.Argument(help="Which kind of device, such as bigip.")],
    port: Port = 0,
    username: Annotated[str | None, typer.Option(help="Whom it lets in.")] = None,
    password: Annotated[str | None, typer.Option(help="A random one when it is not given.")] = None,
    tls: Tls = True,
) -> None:
    """A simulated device."""
    with _lab():
        from bridge.cli.adapters import lab_device
        from bridge.lab.device import serve

        serve(lab_device(kind)(tls=tls, port=port, username=username, password=password))


@contextmanager
def _lab() -> Iterator[None]:
    """Failures that have a plain reason, said plainly."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise BridgeError(f"the lab is not installed ({error.name}): pip install 'fusion-bridge[lab]'") from error
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES, errno.ENOENT):
            raise
        words = f"{error.filename}: " if error.filename else ""
        raise BridgeError(f"{words}{os.strerror(error.errno)}") from error
