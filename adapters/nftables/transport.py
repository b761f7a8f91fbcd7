"""How a command gets to the gateway: as a child of ours, or through the system's ssh client.

A command is a list of words that the settings alone decide, checked to need no quoting; everything that names an object goes in on
standard input. So no name can ever be read as an option or by a shell.
"""

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.nftables.scope import Scope
from bridge.contract import DeviceConfig
from bridge.errors import Busy, Denied

_SPEECH = {"LC_ALL": "C", "TZ": "UTC0"}
"""In what words commands answer, and in what zone nft prints dates. sudo lets both through."""
_STORE = 'umask 077 && cat > "$1.new" && sync "$1.new" && mv -f "$1.new" "$1"'


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said; a negative code is the signal that ended it."""

    code: int
    output: bytes
    words: str


class Transport(Protocol):
    """One gateway's command line. Used by one thread at a time; `calls` may be read from any."""

    @property
    def calls(self) -> int:
        """Commands sent so far."""
        ...

    def run(self, words: Sequence[str], document: bytes = b"") -> Answer:
        """Run a command and wait for its end. Busy when it does not end in time, Denied when it cannot even be started."""
        ...


class Local:
    """Commands on this machine."""

    def __init__(self, device: str, timeout: float, prefix: Sequence[str] = ()) -> None:
        self.calls = 0
        self._device = device
        self._timeout = timeout
        self._prefix = tuple(prefix)

    def run(self, words: Sequence[str], document: bytes = b"") -> Answer:
        """Run a command as a child; it is killed when the time is over."""
        command = [*self._prefix, *words]
        self.calls += 1
        try:
            done = subprocess.run(
                command,
                input=document,
                capture_output=True,
                timeout=self._timeout,
                check=False,
                env={**os.environ, **_SPEECH},
            )
        except subprocess.TimeoutExpired:
            reason = (
                f"{command[0]} did not end in {self._timeout:g} s; what it was to change may have changed: read again"
            )
        except OSError as error:
            raise Denied(self._device, f"{command[0]} cannot be run: {error.strerror}") from None
        else:
            return Answer(done.returncode, done.stdout, done.stderr.decode(errors="replace").strip())
        raise Busy(self._device, reason)


class Ssh:
    """Commands on another machine, one connection each; `ControlMaster` in the ssh client's own settings makes them share one."""

    def __init__(self, device: str, timeout: float, scope: Scope, user: str) -> None:
        self._device = device
        self._local = Local(device, timeout)
        self._prefix = scope.prefix
        self._ssh = (*_options(scope, timeout), *(("-l", user) if user else ()), "--", scope.host)

    @property
    def calls(self) -> int:
        """Commands sent so far."""
        return self._local.calls

    def run(self, words: Sequence[str], document: bytes = b"") -> Answer:
        """Run a command there. What ssh itself says is told apart from what the command says by its code, 255."""
        there = shlex.join((*self._prefix, "env", *map("=".join, _SPEECH.items()), *words))
        answer = self._local.run((*self._ssh, there), document)
        if answer.code != 255:
            return answer
        refused = (
            "Permission denied",
            "Host key verification failed",
            "Too many authentication failures",
            "no matching",
        )
        said = answer.words.splitlines()[-1] if answer.words else "no reason given"
        if any(hint in answer.words for hint in refused):
            raise Denied(self._device, f"ssh: {said}")
        raise Busy(self._device, f"ssh: {said}; a change that was on its way may have taken effect: read again")


def transport(config: DeviceConfig, scope: Scope) -> Local | Ssh:
    """The way to the gateway that the settings name."""
    if not scope.host:
        return Local(config.name, config.timeout, scope.prefix)
    try:
        user = config.credentials.value("username")
    except KeyError:
        user = ""
    return Ssh(config.name, config.timeout, scope, user)


def store(way: Transport, path: str, content: bytes) -> Answer:
    """Replace a file at once, readable by its owner only."""
    return way.run(("sh", "-c", _STORE, "sh", path), content)


def _options(scope: Scope, timeout: float) -> tuple[str, ...]:
    wait = max(1, int(timeout / 2))
    settings = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "ConnectTimeout": str(wait),
        "ServerAliveInterval": str(max(1, wait // 3)),
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "RequestTTY": "no",
        "LogLevel": "ERROR",
    }
    if scope.known_hosts:
        settings["UserKnownHostsFile"] = scope.known_hosts
    if scope.identity_file:
        settings["IdentitiesOnly"] = "yes"
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    identity = ("-i", scope.identity_file) if scope.identity_file else ()
    port = ("-p", str(scope.port)) if scope.port else ()
    return ("ssh", *options, *identity, *port)
