"""A gateway on another machine: what the system's ssh client is told, and what its answers mean."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.conformance.site import SOURCES, Terms
from adapters.nftables import factory
from bridge.contract import DeviceConfig
from bridge.errors import Busy, Denied
from bridge.model.intent import EVERYTHING, Intent
from bridge.model.plan import Fence
from bridge.policy.diff import diff, plan
from tests.adapters.nftables.machine import kernel, namespace, nft, ruleset

SSH = """#!/bin/sh
# What a server does: the words after the host, joined, go to the login shell.
for word in "$@"; do printf '%s\\n' "$word"; done > "$0.words"
[ -e "$0.says" ] && { cat "$0.says" >&2; exit 255; }
while [ "$1" != -- ]; do shift; done
shift 2
exec sh -c "$*"
"""


class User:
    """The login name is all that is asked for."""

    def value(self, name: str) -> str:
        return {"username": "gate keeper"}[name]


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A client that reaches this machine, and notes what it was told."""
    program = tmp_path / "ssh"
    program.write_text(SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return program


def config(**scope: object) -> DeviceConfig:
    return DeviceConfig("edge", "nftables", "ssh://gateway.example:2222", "fb", User(), scope, {"mode": "ifEmpty"})


@pytest.fixture(scope="module")
def space() -> Iterator[str]:
    with namespace() as name:
        yield name


@kernel
def test_everything_goes_over_ssh_as_it_does_here(ssh: Path, space: str, tmp_path: Path) -> None:
    file = tmp_path / "table.nft"
    adapter = factory.open(config(networkNamespace=space, persist=str(file)))
    site = Terms.of(adapter.capabilities).shop(*SOURCES)
    want = Intent("edge", adapter.normalize(Intent("edge", site)))
    adapter.raise_fence(Fence(1, "here"))
    have = adapter.read(EVERYTHING).objects
    adapter.apply(plan("edge", diff(have, want), have, adapter.capabilities, adapter.limits), Fence(1, "here"))
    assert adapter.read(EVERYTHING).objects == want.objects
    adapter.save()
    before = ruleset(space)
    nft(space, "flush", "ruleset")
    nft(space, "-f", str(file))
    assert ruleset(space) == before


def test_no_question_is_asked_and_no_unknown_host_is_trusted(ssh: Path) -> None:
    adapter = factory.open(
        config(identityFile="/etc/key", knownHosts="/etc/hosts_known", sudo=True, program="/sbin/nft")
    )
    with pytest.raises((Busy, Denied)):
        adapter.read(EVERYTHING)
    words = Path(f"{ssh}.words").read_text().splitlines()
    settings = {words[at + 1] for at, word in enumerate(words) if word == "-o"}
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes"} <= settings
    assert "UserKnownHostsFile=/etc/hosts_known" in settings
    assert any(one.startswith("ConnectTimeout=") for one in settings)
    assert words[words.index("-i") + 1] == "/etc/key"
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-l") + 1] == "gate keeper"
    assert words[words.index("--") + 1 :] == [
        "gateway.example",
        "sudo -n env LC_ALL=C TZ=UTC0 /sbin/nft -jn list tables",
    ]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("gateway.example: Permission denied (publickey).", Denied),
        ("Host key verification failed.", Denied),
        ("ssh: connect to host gateway.example port 2222: Connection refused", Busy),
        ("kex_exchange_identification: Connection closed by remote host", Busy),
        ("", Busy),
    ],
)
def test_what_ssh_itself_says_has_one_meaning(ssh: Path, said: str, kind: type[Exception]) -> None:
    Path(f"{ssh}.says").write_text(said)
    with pytest.raises(kind):
        factory.open(config()).read(EVERYTHING)


def test_a_gateway_without_nft_says_so(ssh: Path) -> None:
    with pytest.raises(Denied, match="/nonexistent/nft"):
        factory.open(config(program="/nonexistent/nft")).read(EVERYTHING)
