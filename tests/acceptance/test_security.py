"""Certificates and credentials: verified, taken from where the settings say, read anew when they change, shown nowhere."""

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import psycopg
import pytest
import trustme
import yaml
from sqlalchemy import make_url

from bridge.lab.devices.bigip import Bigip
from bridge.resources import shipped
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from tests.acceptance.site import CLUSTER, PROGRAM, Bridge, ClusterEntry, eventually
from tests.acceptance.world import OUTSIDE, World, cluster, run

PROVIDER = "192.0.2.1"
AUTHORITY = trustme.CA()
ROLE = "guest"


@dataclass
class Secrets:
    """What may be changed while the bridge runs."""

    folder: Path
    server: EmbeddedPostgres

    def database_password(self, text: str) -> None:
        """The role's password, and the file that the settings name; every connection ends."""
        with self.administrator() as connection:
            connection.execute(f"ALTER ROLE {ROLE} PASSWORD '{text}'".encode())
            (self.folder / "database-password").write_text(f"{text}\n")
            connection.execute(
                b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guest' AND pid <> pg_backend_pid()"
            )

    @contextmanager
    def administrator(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """A connection as the owner of the server."""
        url = make_url(self.server.url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secrets]:
    """A server that asks for a password."""
    home, folder = tmp_path_factory.mktemp("server"), tmp_path_factory.mktemp("bridge")
    with EmbeddedPostgres(home) as server:
        made = Secrets(folder, server)
        rules = next(home.rglob("pg_hba.conf"))
        rules.write_text(f"local all {ROLE} scram-sha-256\n" + rules.read_text())
        with made.administrator() as connection:
            connection.execute(f"CREATE ROLE {ROLE} SUPERUSER LOGIN".encode())
            connection.execute("SELECT pg_reload_conf()")
        database = Database(server.url)
        database.upgrade()
        database.close()
        made.database_password("first-Of-Database")
        yield made


@pytest.fixture(scope="module")
def site(secrets: Secrets) -> Iterator[World]:
    """A device that wants a certificate of ours, its password in a Kubernetes Secret, the database's in a file."""
    device, folder = Bigip(), secrets.folder
    AUTHORITY.cert_pem.write_to_path(folder / "clients.pem")
    device.endpoint.client_ca = str(folder / "clients.pem")
    device.put_object("ltm/virtual", {"name": "egress", "partition": "Common", "destination": "/Common/0.0.0.0:0"})
    _certificate(folder, AUTHORITY)
    with cluster() as lab, device:
        lab.namespace("fusion-bridge", governed=False)
        _secret(lab.store, device.password)
        (folder / "ca.pem").write_bytes(Path(device.ca or "").read_bytes())
        places = {
            "username": {"env": "EDGE_USER"},
            "password": {"secret": {"namespace": "fusion-bridge", "name": "edge", "key": "password"}},
        }
        tls = {"caFile": "ca.pem", "certFile": "bridge.pem", "keyFile": "bridge.key"}
        url = make_url(secrets.server.url).set(username=ROLE).render_as_string(hide_password=False)
        bridge = Bridge(
            folder,
            {"edge": device},
            [ClusterEntry(CLUSTER, lab.api.kubeconfig)],
            delivery={"auditInterval": 300, "pacing": {"denied": 1}},
            environment={"EDGE_USER": device.username},
            overrides={"edge": {"credentials": places, "tls": tls}},
        )
        with bridge:
            bridge.write_settings(
                {
                    "database": {"url": url, "passwordFile": "database-password"},
                    "log": {"format": "json", "level": "debug"},
                }
            )
            lab.team("shop", "10.244.1.1")
            bridge.start()
            made = World(lab.name, lab.store, lab.api, device, bridge)
            eventually(
                "in force", lambda: not made.allowed("10.244.9.9", OUTSIDE) and made.allowed("10.244.1.1", PROVIDER)
            )
            yield made


def _certificate(folder: Path, authority: trustme.CA) -> None:
    issued = authority.issue_cert("bridge.example.com")
    (folder / "bridge.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (folder / "bridge.key").write_bytes(issued.private_key_pem.bytes())


def _secret(store: object, password: str) -> None:
    encoded = base64.b64encode(password.encode()).decode()
    metadata = {"name": "edge", "namespace": "fusion-bridge"}
    store.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"password": encoded}})  # type: ignore[attr-defined]


def _goes_on(site: World, number: int) -> None:
    site.pod("shop", f"web-{number}", f"10.244.1.{number}")
    eventually("all goes on", lambda: site.allowed(f"10.244.1.{number}", PROVIDER), 30)
    assert site.bridge.running


@pytest.mark.acceptance(
    "trust: TLS is verified against the authorities of the settings, with a certificate of ours where one is asked for"
)
def test_certificates(site: World, secrets: Secrets) -> None:
    _certificate(secrets.folder, trustme.CA())
    site.pod("shop", "web-10", "10.244.1.10")
    eventually("refused, and said", lambda: site.status()["devices"][0]["state"] not in ("ok", "not read yet"))
    assert not site.allowed("10.244.1.10", PROVIDER)
    _certificate(secrets.folder, AUTHORITY)
    _goes_on(site, 11)
    trustme.CA().cert_pem.write_to_path(secrets.folder / "ca.pem")
    site.pod("shop", "web-12", "10.244.1.12")
    eventually("a stranger's certificate", lambda: "caFile" in site.status()["devices"][0]["message"])
    assert not site.allowed("10.244.1.12", PROVIDER)
    (secrets.folder / "ca.pem").write_bytes(Path(site.device.ca or "").read_bytes())
    _goes_on(site, 13)


@pytest.mark.acceptance(
    "trust: credentials from files, environment and Kubernetes Secrets are read anew without a restart"
)
def test_credentials_change(site: World, secrets: Secrets) -> None:
    site.device.tokens.add_user(site.device.username, "second-Of-Device")
    _secret(site.store, "second-Of-Device")
    site.device.tokens.forget()
    _goes_on(site, 20)
    secrets.database_password("second-Of-Database")
    _goes_on(site, 21)
    _goes_on(site, 22)


@pytest.mark.acceptance(
    "trust: no secret stands in a log, not even at debug, in an error, in a report or in what a command prints"
)
def test_redacted(site: World, secrets: Secrets) -> None:
    key = (secrets.folder / "bridge.key").read_text().splitlines()[1]
    hidden = [site.device.password, "second-Of-Device", "first-Of-Database", "second-Of-Database", key]
    shown = [(secrets.folder / "bridge.log").read_text()]
    assert '"level": "debug"' in shown[0]
    for words in (["status"], ["report"], ["config", "check"], ["--log-level", "debug", "plan"], ["audit", "show"]):
        done = site.bridge.command(*words)
        shown += [done.stdout, done.stderr]
    with secrets.administrator() as connection:
        connection.execute(f"ALTER ROLE {ROLE} NOLOGIN".encode())
        done = site.bridge.command("status")
        connection.execute(f"ALTER ROLE {ROLE} LOGIN".encode())
    assert done.returncode != 0
    shown += [done.stdout, done.stderr]
    assert not [secret for secret in hidden for text in shown if secret in text]


@pytest.mark.acceptance(
    "trust: docs/security.md is true to the code: every setting, command and page that it names is there"
)
def test_the_page() -> None:
    page = shipped("docs/security.md").read_text()
    example = shipped("config/bridge.example.yaml").read_text()
    for setting in ("caFile", "certFile", "keyFile", "passwordFile", "listen", "denied"):
        assert setting in page
        assert re.search(rf"\b{setting}:", example), setting
    for command in sorted(
        set(re.findall(r"`fusion-bridge ([a-z]+)", page)) | set(re.findall(r"`(reject|stop|start)`", page))
    ):
        done = run(PROGRAM, command, "--help")
        assert done.returncode == 0, command
    for link in re.findall(r"\]\(([^)#]+)", page):
        assert (shipped("docs") / link).exists(), link
    role = yaml.safe_load(shipped("config/kubernetes/base/role.yaml").read_text())
    verbs = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert not [
        one for one in verbs if one[0] == "secrets" or one[1] in ("delete", "deletecollection", "impersonate", "*")
    ]
    kinds = {one.name for one in entry_points(group="fusion_bridge.adapters")}
    named = {"aws": "AWS", "bigip": "BIG-IP", "fortigate": "FortiGate", "nftables": "Linux gateway"}
    assert all(f"\n| {named[kind]} |" in page for kind in kinds - {"memory"} if kind in named)
    assert kinds - {"memory"} <= named.keys(), "a kind of device whose account the page does not describe"
