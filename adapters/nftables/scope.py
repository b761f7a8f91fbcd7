"""The settings of a Linux gateway: `url`, `scope` and `attach`, checked and as values.

url: local://gateway-a      # this machine; the name only tells gateways apart
url: ssh://gateway-b:22     # another one, through the system's ssh client; the user is the credential `username`
scope:
  form: tiered              # or flat: one list, the three policies one after the other
  program: /usr/sbin/nft
  conntrack: /usr/sbin/conntrack   # only where closeFlows asks for it
  sudo: false               # `sudo -n` before each command
  networkNamespace: blue    # the gateway is a network namespace of that machine
  logRate: 100              # log lines per second for each rule, 0: no limit
  logGroup: 5               # to this nflog group; without it to the kernel's log
  transactionSteps: 50000   # changed objects in one transaction
  persist: /etc/nftables.d/fusion-bridge.nft    # where the table is kept for the next start; without it nowhere
  identityFile: /etc/fusion-bridge/gateway.key  # ssh only
  knownHosts: /etc/fusion-bridge/known_hosts    # ssh only; without it the system's
attach:
  mode: none                # or ifEmpty: a base chain of our own
  priority: -10             # of that chain, at the hook forward; the site's own filter chains stand at 0
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bridge.contract import DeviceConfig
from bridge.model.capabilities import Form

_OWNER = re.compile(r"[a-z0-9]{1,12}\Z")
_PATH = re.compile(r"/[A-Za-z0-9_.+@-]+(/[A-Za-z0-9_.+@-]+)*\Z")
_WORD = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}\Z")
_HOST = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:-]*\Z")
_PATHS = ("program", "conntrack", "persist", "identityFile", "knownHosts")
_NUMBERS = {"logRate": (0, 1_000_000), "logGroup": (0, 65535), "transactionSteps": (1, 1_000_000)}
_SSH_ONLY = ("identityFile", "knownHosts")
_FORMS = (Form.TIERED, Form.FLAT)
_KNOWN = sorted({*_PATHS, *_NUMBERS, "form", "sudo", "networkNamespace"})


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings of one gateway as values. `host` is empty for this machine."""

    host: str = ""
    port: int | None = None
    form: Form = Form.TIERED
    program: str = "nft"
    conntrack: str = "conntrack"
    sudo: bool = False
    network_namespace: str = ""
    log_rate: int = 100
    log_group: int | None = None
    transaction_steps: int = 50_000
    persist: str = ""
    identity_file: str = ""
    known_hosts: str = ""
    attach: bool = False
    priority: int = -10

    @classmethod
    def of(cls, config: DeviceConfig) -> "Scope":
        """The values of settings without problems."""
        scope, attach = config.scope, config.attach
        url = urlsplit(config.url)
        return cls(
            host=(url.hostname or "") if url.scheme == "ssh" else "",
            port=url.port if url.scheme == "ssh" else None,
            form=Form(scope.get("form", Form.TIERED)),
            program=str(scope.get("program", "nft")),
            conntrack=str(scope.get("conntrack", "conntrack")),
            sudo=bool(scope.get("sudo", False)),
            network_namespace=str(scope.get("networkNamespace", "")),
            log_rate=int(scope.get("logRate", 100)),
            log_group=None if scope.get("logGroup") is None else int(scope["logGroup"]),
            transaction_steps=int(scope.get("transactionSteps", 50_000)),
            persist=str(scope.get("persist", "")),
            identity_file=str(scope.get("identityFile", "")),
            known_hosts=str(scope.get("knownHosts", "")),
            attach=attach.get("mode", "none") == "ifEmpty",
            priority=int(attach.get("priority", -10)),
        )

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before each command on the gateway."""
        sudo = ("sudo", "-n") if self.sudo else ()
        return (*sudo, "ip", "netns", "exec", self.network_namespace) if self.network_namespace else sudo


def problems(config: DeviceConfig) -> dict[str, str]:
    """What is wrong with the settings, by path."""
    found: dict[str, str] = {}
    if not _OWNER.match(config.owner):
        found["owner"] = "1 to 12 of a-z and 0-9"
    remote = config.url.startswith("ssh://")
    if not _is_place(config.url):
        found["url"] = "local://<any name> for this machine, or ssh://<host>"
    found.update(_scope_problems(config.scope, remote=remote))
    found.update(_attach_problems(config.attach))
    return found


def _is_place(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    # A host that began with "-" would be an option to ssh.
    host = _HOST.match(parts.hostname or "")
    return parts.scheme in ("local", "ssh") and host is not None and parts.path in ("", "/")


def _scope_problems(scope: Mapping[str, Any], *, remote: bool) -> Iterator[tuple[str, str]]:
    for name, value in scope.items():
        wrong = "only with url ssh://…" if name in _SSH_ONLY and not remote else _wrong(name, value)
        if wrong:
            yield f"scope.{name}", wrong


def _wrong(name: str, value: object) -> str:
    """What is wrong with one setting of the scope; empty when nothing is."""
    if name in _PATHS:
        good, wanted = (
            isinstance(value, str) and bool(_PATH.match(value)),
            "a full path of letters, digits and _ . + @ -",
        )
    elif name in _NUMBERS:
        good, wanted = _is_number(value, *_NUMBERS[name]), "a number from {} to {}".format(*_NUMBERS[name])
    elif name == "form":
        good, wanted = value in _FORMS, f"one of {', '.join(_FORMS)}"
    elif name == "sudo":
        good, wanted = isinstance(value, bool), "true or false"
    elif name == "networkNamespace":
        good, wanted = isinstance(value, str) and bool(_WORD.match(value)), "the name of a network namespace"
    else:
        good, wanted = False, f"unknown; there are {', '.join(_KNOWN)}"
    return "" if good else wanted


def _attach_problems(attach: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in attach.items():
        if name == "mode":
            if value not in ("none", "ifEmpty"):
                yield "attach.mode", "none or ifEmpty"
        elif name == "priority":
            if not _is_number(value, -1000, 1000):
                yield "attach.priority", "a number from -1000 to 1000"
        else:
            yield f"attach.{name}", "unknown; there are mode and priority"


def _is_number(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
