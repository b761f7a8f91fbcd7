"""A real control plane on loopback: etcd, kube-apiserver and kube-controller-manager, with certificates and tokens of their own."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from tests.control_plane import flags
from tests.control_plane.api import Api, Json, eventually
from tests.control_plane.binaries import Binaries
from tests.control_plane.certificates import issue
from tests.control_plane.process import Leash, Port, Program

START_SECONDS = 60.0


class ControlPlaneFailed(Exception):
    """A program ended or did not get ready; the message holds the end of its log."""


class ControlPlane:
    """A cluster without nodes; `NodeStandIn` lends it some.

    `with ControlPlane(binaries, folder) as plane:` blocks until the API server is ready and the controllers work. At the end,
    or when this process dies in any way, the programs are killed and etcd's data is removed; the logs stay in `folder/logs`.
    RBAC is on, anonymous callers are refused, the one token is an administrator's. Both address families have Service ranges.
    """

    def __init__(self, binaries: Binaries, folder: Path) -> None:
        self.folder = folder
        self._binaries = binaries
        self._ports = {name: Port() for name in ("api", "etcd")}
        self.url = f"https://127.0.0.1:{self._ports['api'].number}"
        credentials = issue(folder / "credentials")
        self.token = credentials.token
        self.ca = credentials.ca
        self.kubeconfig = self._write_kubeconfig()
        self.api = Api(self.url, self.token, credentials.tls())
        api_port, etcd_port = (port.number for port in self._ports.values())
        (folder / "logs").mkdir()
        self._etcd = self._program("etcd", flags.etcd(etcd_port, folder / "etcd"))
        self._server = self._program("kube-apiserver", flags.kube_apiserver(api_port, etcd_port, credentials, folder))
        self._manager = self._program("kube-controller-manager", flags.kube_controller_manager(self.kubeconfig))
        self._programs = (self._etcd, self._server, self._manager)
        self._leash = Leash(folder / "etcd")

    def __enter__(self) -> Self:
        try:
            self._start(self._etcd)
            self.start_api()
            self._await("the controllers", lambda: self.api.find("/api/v1/namespaces/default/serviceaccounts/default"))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything; safe to call twice."""
        for program in self._programs:
            program.kill()
        self._leash.let_go()
        for port in self._ports.values():
            port.close()
        self.api.close()

    def start_api(self) -> None:
        """Start the API server on its port, wait until it is ready, and let the controllers go on."""
        self._start(self._server)
        self._await("kube-apiserver", self.api.ready)
        self._start(self._manager)

    def stop_api(self) -> None:
        """Take the API server away as a crash would: connections break, then are refused. etcd keeps every object.

        The controllers end too, as they do when they cannot renew their lease; else they would wake only after a backoff of up to 30 s.
        """
        self._server.kill()
        self._manager.kill()
        self._leash.hold(list(self.pids.values()))

    @contextmanager
    def api_away(self) -> Iterator[None]:
        """The API server is away within the block and back after it, whatever happens there."""
        self.stop_api()
        try:
            yield
        finally:
            self.start_api()

    @property
    def pids(self) -> dict[str, int]:
        """The running programs: name to process id."""
        return {program.name: program.pid for program in self._programs if program.pid is not None}

    def kubectl(self, *arguments: str, input: str | None = None, seconds: float = 120) -> str:  # noqa: A002
        """What kubectl printed; AssertionError with its own words where it failed."""
        command = [str(self._binaries["kubectl"]), "--kubeconfig", str(self.kubeconfig)]
        command += ["--cache-dir", str(self.folder / "kubectl"), *arguments]
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder)}
        done = subprocess.run(
            command, check=False, input=input, capture_output=True, text=True, timeout=seconds, env=environment
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}"
        return done.stdout

    def apply(self, *manifests: Json, namespace: str | None = None) -> None:
        """`kubectl apply` of these objects."""
        scope = ["--namespace", namespace] if namespace else []
        self.kubectl("apply", *scope, "--filename", "-", input=yaml.safe_dump_all(manifests))

    def install_crds(self, folder: Path) -> list[str]:
        """Apply the manifests of a folder, wait until its CRDs are served, and return their names."""
        self.kubectl("apply", "--server-side", "--filename", str(folder))
        loaded = [
            document for path in sorted(folder.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())
        ]
        crds = [document for document in loaded if document and document["kind"] == "CustomResourceDefinition"]
        names: list[str] = [crd["metadata"]["name"] for crd in crds]
        self.kubectl("wait", "--for=condition=Established", *(f"crd/{name}" for name in names))
        # Established comes a moment before the first answer.
        for path in (path for crd in crds for path in _served(crd["spec"])):
            eventually(f"{path} is served", partial(self.api.find, path))
        return names

    def tails(self) -> dict[str, str]:
        """The end of each program's log."""
        return {program.name: program.tail() for program in self._programs}

    def _start(self, program: Program) -> None:
        program.start()
        self._leash.hold(list(self.pids.values()))

    def _await(self, what: str, probe: Callable[[], object]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not probe():
            for program in self._programs:
                if program.ended:
                    raise ControlPlaneFailed(f"{program.name} ended before {what} was there:\n{program.tail()}")
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {name}\n{tail}" for name, tail in self.tails().items())
                raise ControlPlaneFailed(f"{what} not there after {START_SECONDS:g} s:\n{tails}")
            time.sleep(0.05)

    def _program(self, name: str, words: list[str]) -> Program:
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder)}
        return Program([self._binaries[name], *words], self.folder / "logs" / f"{name}.log", environment)

    def _write_kubeconfig(self) -> Path:
        path = self.folder / "kubeconfig"
        named = {"name": "test"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [named | {"cluster": {"server": self.url, "certificate-authority": str(self.ca)}}],
            "users": [named | {"user": {"token": self.token}}],
            "contexts": [named | {"context": {"cluster": "test", "user": "test"}}],
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path


def _served(spec: Json) -> list[str]:
    group, plural = spec["group"], spec["names"]["plural"]
    return [f"/apis/{group}/{version['name']}/{plural}" for version in spec["versions"] if version["served"]]
