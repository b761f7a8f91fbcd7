"""`fusion-bridge demo`: the main job on a simulated cluster and a simulated BIG-IP, and the proof that they agree."""

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
_SETTLE_SECONDS = 60.0
_REPORT_EVERY = 5.0


def demo(
    context: typer.Context,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long pods come and go.")] = 40.0,
    pods: Annotated[int, typer.Option(min=20, max=20_000, help="How many pods the cluster begins with.")] = 300,
    rate: Annotated[float, typer.Option(min=0.1, max=200, help="Changes each second.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Equal seeds make equal clusters.")] = 1,
) -> None:
    """Run the real controller for about a minute between a simulated cluster and a simulated BIG-IP, and prove the result."""
    asked = invocation(context)
    folder = asked.data_dir or Path("build/demo")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (
            _lab(folder, pods, seed) as (settings, fleet_churn),
            _controller(settings, folder) as (controller, database),
        ):
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
