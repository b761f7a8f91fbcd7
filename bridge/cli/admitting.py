"""Who is let in to the API, as the settings say."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from bridge.cli.assembly import cluster_config, secret_store
from bridge.clock import Clock, SystemClock
from bridge.cluster.client import Connection
from bridge.errors import BridgeError
from bridge.model.addresses import is_loopback
from bridge.settings.api import ApiSettings, Authentication, TokenReviewSettings
from bridge.settings.credentials import Credentials, CredentialsSettings, SecretReader, SecretSource

if TYPE_CHECKING:
    from bridge.api.access import Access
    from bridge.api.authentication.roles import Roles
    from bridge.api.authentication.tokens import Tokens
    from bridge.api.authentication.verifier import Verifier
    from bridge.cli.certificates import Certificates
    from bridge.settings import Settings

log = structlog.get_logger(__name__)

_REMEMBERED: Final = 30.0  # seconds for which somebody is known without being asked about again
_SECONDS: Final = 10.0  # for one answer of a cluster


@contextmanager
def admitted(settings: "Settings", clock: Clock | None = None) -> "Iterator[Access]":
    """Finds out who asks. A token of the settings that cannot be taken is said in the log, and taken when it can be."""
    from bridge.api.access import Everybody
    from bridge.api.authentication.admission import Admission
    from bridge.api.authentication.attempts import Attempts
    from bridge.api.authentication.sessions import Sessions
    from bridge.api.authentication.verifier import Remembered

    api, clock = settings.api, clock or SystemClock()
    if api.authentication is Authentication.NONE:
        yield Everybody()
        return
    # What an issuer signed is good as long as it says: verifying it anew costs nothing.
    seconds = 0.0 if api.authentication is Authentication.OIDC else _REMEMBERED
    with _verifier(settings, clock) as verifier:
        sessions = Sessions(clock, api.session.idle, api.session.longest)
        yield Admission(Remembered(verifier, clock, seconds), sessions, Attempts(clock))


def hosts(api: ApiSettings) -> frozenset[str]:
    """The names and addresses by which the API may be asked."""
    from bridge.api.screening import LOOPBACK

    own = LOOPBACK | {api.address} if is_loopback(api.address) else frozenset()
    return own | frozenset(api.hosts)


def certificates(api: ApiSettings) -> "Certificates | None":
    """What the API shows, None for plain HTTP. BridgeError where it cannot be read."""
    from bridge.cli.certificates import Certificates

    if api.tls is None:
        return None
    found = Certificates(api.tls.cert_file, api.tls.key_file)
    if found.context() is None:
        raise BridgeError(f"api.tls: {api.tls.cert_file} and {api.tls.key_file} cannot be used: {found.trouble}")
    return found


@contextmanager
def _verifier(settings: "Settings", clock: Clock) -> "Iterator[Verifier]":
    api = settings.api
    if api.authentication is Authentication.TOKENS:
        yield _tokens(api, secret_store(settings))
    elif api.authentication is Authentication.OIDC and api.oidc is not None:
        from bridge.api.authentication.issuer import Issuer
        from bridge.api.authentication.oidc import Claims, Oidc

        claims = Claims(api.oidc.audience, api.oidc.name_claim, api.oidc.groups_claim)
        yield Oidc(Issuer(api.oidc.issuer, api.oidc.ca_file, clock), claims, _roles(api))
    else:
        from bridge.api.authentication.reviewed import Reviewed

        with closing(_connection(settings, api.token_review, clock)) as connection:
            yield Reviewed(connection, api.token_review.audiences, _roles(api))


def _tokens(api: ApiSettings, reader: SecretReader) -> "Tokens":
    from bridge.api.access import Person, Role
    from bridge.api.authentication.tokens import StaticToken, Tokens

    listed = [(Person(one.name, Role[one.role.name]), one.token) for one in api.tokens]
    found = Tokens([StaticToken(person, partial(_read, place, reader)) for person, place in listed])
    for name, why in found.problems().items():
        log.warning("an API token is not taken", name=name, why=why)
    return found


def _read(place: SecretSource, reader: SecretReader) -> str:
    return Credentials(CredentialsSettings.model_construct(token=place), reader).value("token")


def _roles(api: ApiSettings) -> "Roles":
    from bridge.api.access import Role
    from bridge.api.authentication.roles import Granted, Roles

    stated = {Role.VIEWER: api.roles.viewer, Role.OPERATOR: api.roles.operator, Role.SECURITY: api.roles.security}
    return Roles({role: Granted(frozenset(to.names), frozenset(to.groups)) for role, to in stated.items()})


def _connection(settings: "Settings", asked: TokenReviewSettings, clock: Clock) -> Connection:
    config = cluster_config(settings.cluster(asked.cluster or settings.clusters[0].name))
    soon = replace(
        config,
        connect_timeout=min(config.connect_timeout, _SECONDS),
        read_timeout=min(config.read_timeout, _SECONDS),
    )
    return Connection(soon, clock)
