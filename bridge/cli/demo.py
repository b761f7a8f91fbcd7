"""`fusion-bridge demo`: the main job on a simulated cluster and a simulated BIG-IP, and the proof that they agree."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.errors import FINDINGS
from bridge.cli.invocation import Invocation, invocation
from bridge.cli.output import Output
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from bridge.cli.controller import Controller
    from bridge.lab.churn import Churn
    from bridge.report.model import Report
    from bridge.settings import Settings
    from bridge.state.database import Database

_OWNER, _CLUSTER, _DEVICE = "demo", "lab", "edge"
_EGRESS = "/Common/egress"
_LISTEN = "127.0.0.1:9810"
_SETTLE_SECONDS = 60.0
_REPORT_EVERY = 5.0


def demo(
    context: typer.Context,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long pods come and go.")] = 40.0,
    pods: Annotated[int, typer.Option(min=20, max=20_000, help="How many pods the cluster begins with.")] = 300,
    rate: Annotated[float, typer.Option(min=0.1, max=200, help="Changes each second.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal clusters.")] = 1,
    console: Annotated[
        bool, typer.Option("--console", help="Leave the console open on the living cluster, until Ctrl-C.")
    ] = False,
    listen: Annotated[str, typer.Option(help="Where the console answers.", metavar="ADDRESS:PORT")] = _LISTEN,
) -> None:
    """Run the real controller for about a minute between a simulated cluster and a simulated BIG-IP, and prove the result.

    With --console pods come and go until Ctrl-C, something is held for a decision, and all of it is there to be clicked through.
    """
    asked = invocation(context)
    folder = asked.data_dir or Path("build/demo")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (
            _lab(folder, pods, seed) as (settings, fleet_churn),
            _controller(settings, folder) as (controller, database),
        ):
            if console:
                _open(asked.output, settings, controller, database, fleet_churn, rate, _loopback(listen))
            else:
                _show(asked.output, controller, fleet_churn, seconds, rate)
            report = _proof(settings, database)
    except ModuleNotFoundError as error:
        raise BridgeError(f"the demo is not installed ({error.name}): pip install 'fusion-bridge[demo]'") from error
    _tell(asked, folder, report)


@contextmanager
def _lab(folder: Path, pods: int, seed: int) -> "Iterator[tuple[Settings, Churn]]":
    """The simulated world, and the settings that a person would write for it."""
    from bridge.cli.adapters import lab_device
    from bridge.lab.apiserver import ApiServer, LabCluster
    from bridge.lab.population import Churn, believable
    from bridge.lab.serve import load_manifests
    from bridge.resources import shipped

    cluster = LabCluster()
    fleet = believable(cluster, pods, seed=seed)
    load_manifests(cluster, [shipped("config/demo")])
    cluster.patch(
        "services", "notify", "push", {"metadata": {"annotations": {"fusionbridge.io/address-group": "push"}}}
    )
    device = lab_device("bigip")()
    with ApiServer(cluster, tls=True) as server, ExitStack() as stack:
        device.start()
        stack.callback(device.stop)
        _make_egress(device.document())
        file = _write_settings(folder, server.document(), device.document())
        yield _settings(file), Churn(fleet, seed=seed)


def _make_egress(device: Any) -> None:  # noqa: ANN401 (the lab's JSON document)
    """The virtual server through which pods leave, as the device's owner has it before any bridge comes."""
    import ssl

    import httpx

    partition, name = _EGRESS.strip("/").split("/")
    virtual = {"name": name, "partition": partition, "destination": f"/{partition}/0.0.0.0:0"}
    verify, account = ssl.create_default_context(cafile=device["ca"]), (device["username"], device["password"])
    with httpx.Client(base_url=device["url"], auth=account, verify=verify) as owner:
        owner.post("/mgmt/tm/ltm/virtual", json=virtual).raise_for_status()


def _write_settings(folder: Path, cluster: Any, device: Any) -> Path:  # noqa: ANN401 (the lab's JSON documents)
    import yaml

    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text(str(device["password"]), encoding="utf-8")
    (folder / "username").write_text(str(device["username"]), encoding="utf-8")
    settings = {
        "owner": _OWNER,
        "log": {"level": "warning"},
        "clusters": [
            {
                "name": _CLUSTER,
                "kubeconfig": str(cluster["kubeconfig"]),
                "podRanges": ["10.244.0.0/16"],
                "serviceRanges": ["10.96.0.0/12"],
                "nodeRanges": ["10.0.4.0/22"],
            }
        ],
        "devices": [
            {
                "name": _DEVICE,
                "kind": "bigip",
                "url": str(device["url"]),
                "credentials": {"username": {"file": "username"}, "password": {"file": "password"}},
                "tls": {"caFile": str(device["ca"])},
                "scope": {"clusters": {_CLUSTER: {"default": {"action": "Deny", "unknownAddresses": "Deny"}}}},
                "attach": {
                    "mode": "ifEmpty",
                    "cluster": {"context": "global"},
                    "namespace": {"routeDomain": "/Common/0"},
                    "service": {"virtualServer": _EGRESS},
                },
            }
        ],
    }
    file = folder / "bridge.yaml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return file


def _settings(file: Path) -> "Settings":
    return Invocation(config=file, log_level="warning").settings


@contextmanager
def _controller(settings: "Settings", folder: Path) -> "Iterator[tuple[Controller, Database]]":
    """The real controller on an embedded database that begins empty."""
    import shutil

    from bridge.cli.run import composed
    from bridge.cli.state import opened

    shutil.rmtree(folder / "postgres", ignore_errors=True)
    with opened(settings, folder, make=True) as database:
        controller = composed(settings, database)
        controller.start()
        try:
            yield controller, database
        finally:
            controller.stop()


def _show(output: Output, controller: "Controller", churn: "Churn", seconds: float, rate: float) -> None:
    """Let pods come and go, and say how far it is; then let the controller come to rest."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    _await(controller, "the first picture on the device")
    churn.start(rate, seconds=seconds)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal or output.json) as progress:
        bar = progress.add_task("", total=seconds)
        began = said = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            progress.update(bar, completed=passed, description=_line(controller, churn))
            if not console.is_terminal and time.monotonic() - said >= _REPORT_EVERY:
                console.print(f"{passed:3.0f} s  {_line(controller, churn)}", markup=False, highlight=False)
                said = time.monotonic()
            time.sleep(0.2)
    churn.join()
    _await(controller, "the last change on the device")


def _loopback(listen: str) -> str:
    """Nobody is asked who he is there, so it is for this machine alone."""
    from ipaddress import ip_address

    address, _, port = listen.rpartition(":")
    try:
        fits = ip_address(address.strip("[]")).is_loopback and 0 <= int(port) <= 65_535
    except ValueError:
        fits = False
    if not fits:
        raise typer.BadParameter(
            "an address of this machine alone and a port, as 127.0.0.1:9810", param_hint="--listen"
        )
    return listen


def _open(
    output: Output,
    settings: "Settings",
    controller: "Controller",
    database: "Database",
    churn: "Churn",
    rate: float,
    listen: str,
) -> None:
    """The console on the living cluster, until somebody has seen enough; then let the controller come to rest."""
    from bridge.api.access import Everybody
    from bridge.api.application import application
    from bridge.cli.run import stopped_by_signal
    from bridge.cli.serving import served, site

    with stopped_by_signal() as stop, served(application(site(settings, database), Everybody()), listen) as where:
        _await(controller, "the first picture on the device")
        _await_a_decision(churn)
        churn.start(rate)
        said = f"console: http://{where}/ (Ctrl-C ends it)"
        if output.json:
            output.document({"console": f"http://{where}/"})
        else:
            output.line(said)
        sys.stdout.flush()
        stop.wait()
        churn.stop()
    _await(controller, "the last change on the device")


def _await_a_decision(churn: "Churn") -> None:
    """Somebody widened a destination to nearly everything, which the guard holds; and a rule names what is not there."""
    cluster = churn.fleet.cluster
    cluster.patch("externalservices", "shipping", "carrier", {"spec": {"addresses": ["128.0.0.0/1", "64.0.0.0/2"]}})
    cluster.put(
        {
            "apiVersion": "fusionbridge.io/v1alpha1",
            "kind": "NamespaceEgressRule",
            "metadata": {"name": "reach-mainframe", "namespace": "payments"},
            "spec": {"action": "Allow", "to": [{"name": "mainframe"}]},
        }
    )


def _line(controller: "Controller", churn: "Churn") -> str:
    worker = controller.workers.get(_DEVICE)
    step = "in step" if worker and worker.in_step.is_set() else "writing"
    return f"{churn.changes} pod changes, {controller.intakes[_CLUSTER].revision} batches recorded, device {step}"


def _await(controller: "Controller", what: str) -> None:
    """Until everything recorded is on the device."""
    until = time.monotonic() + _SETTLE_SECONDS
    quiet = 0
    while quiet < 3:
        if time.monotonic() > until:
            worker = controller.workers.get(_DEVICE)
            raise BridgeError(
                f"{what} took over {_SETTLE_SECONDS:g} s: {worker.pacing.message if worker else 'no worker'}"
            )
        quiet = quiet + 1 if _at_rest(controller) else 0
        time.sleep(0.3)


def _at_rest(controller: "Controller") -> bool:
    intake, worker = controller.intakes.get(_CLUSTER), controller.workers.get(_DEVICE)
    return bool(intake and worker and intake.settled.is_set() and not intake.waiting and worker.in_step.is_set())


def _proof(settings: "Settings", database: "Database") -> "Report":
    """The same report that `fusion-bridge report` makes: the device read whole, against the state."""
    from bridge.cli.reporting import made

    return made(settings, (), database)


def _tell(asked: Invocation, folder: Path, report: "Report") -> None:
    import json

    from bridge.report.document import report_document
    from bridge.report.page import page
    from bridge.report.text import report_sheets

    document = report_document(report, members=True)
    (folder / "report.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
    (folder / "report.html").write_text(page(report), encoding="utf-8")
    if asked.output.json:
        asked.output.document(document)
    else:
        for sheet in report_sheets(report, objects=True):
            asked.output.table(sheet.title, sheet.columns, sheet.rows)
        asked.output.line(f"report: {folder / 'report.html'}, and as JSON in {folder / 'report.json'}")
        asked.output.line(closing_line(report))
    if not report.in_step:
        raise typer.Exit(FINDINGS)


def closing_line(report: "Report") -> str:
    """What was proved, in one line."""
    from bridge.report.words import report_line

    return f"demo: {report_line(report)}"
