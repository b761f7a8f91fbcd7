"""The HTTP API and the console."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from bridge.model.addresses import is_loopback
from bridge.settings.credentials import SecretSource
from bridge.settings.fields import ClusterName, ExactUrl, FilePath, HostName, Listen, Seconds, Section, Text


class Authentication(StrEnum):
    """How the API finds out who asks."""

    NONE = "none"
    TOKENS = "tokens"
    TOKEN_REVIEW = "tokenReview"  # noqa: S105 (a word of the settings)
    OIDC = "oidc"


class RoleName(StrEnum):
    """What somebody may do: read; also read devices live, stop and start them; and also release and reject."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    SECURITY = "security"


class ServedTlsSettings(Section):
    """The certificate that the API shows."""

    cert_file: FilePath = Field(
        description="The certificate with its chain, PEM; a new one is used from the next connection on."
    )
    key_file: FilePath = Field(description="Its private key, PEM.")


class TokenSettings(Section):
    """One token: whose it is, and where it lies."""

    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Of the person or program; what it decides bears this name."
    )
    role: RoleName
    token: SecretSource = Field(description="20 characters or more.")


class TokenReviewSettings(Section):
    """Tokens that a cluster knows."""

    cluster: ClusterName | None = Field(None, description="Which one is asked; can be left out when there is only one.")
    audiences: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        ("fusion-bridge",),
        description="For which a token has to be made; one for the API server itself should not be shown elsewhere.",
    )


def _issuer(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be https: who changes its answers on the way could be anybody here")
    return url


class OidcSettings(Section):
    """Tokens of an OIDC issuer, signed by RS or ES."""

    issuer: Annotated[ExactUrl, AfterValidator(_issuer)] = Field(description="Exactly as its tokens name it.")
    audience: Text = Field(description="For which a token has to be made: the client's id.")
    name_claim: Text = Field("sub", description="The claim that names a person.")
    groups_claim: Text = Field("groups", description="The claim that lists their groups.")
    ca_file: FilePath | None = Field(None, description="Certificate authorities to trust in place of the system's.")


class RoleSettings(Section):
    """Who has a role."""

    names: tuple[Text, ...] = ()
    groups: tuple[Text, ...] = ()


class RolesSettings(Section):
    """Who may do what, where a cluster or an issuer says who asks; nobody else may anything."""

    viewer: RoleSettings = Field(default_factory=RoleSettings)
    operator: RoleSettings = Field(default_factory=RoleSettings)
    security: RoleSettings = Field(default_factory=RoleSettings)


class SessionSettings(Section):
    """How long a browser stays logged in; times in seconds."""

    idle: Seconds = Field(
        3600.0, description="Without anything being done; a page that is only looked at does nothing."
    )
    longest: Seconds = Field(43_200.0, description="In all.")


class ApiSettings(Section):
    """Where the API and the console answer, and to whom. Elsewhere than on loopback it takes tls, hosts and authentication."""

    listen: Listen = Field("127.0.0.1:9810", description="address:port; loopback unless told.")
    hosts: tuple[HostName, ...] = Field(
        (),
        description="Names and addresses, without port, by which browsers call it; on loopback beside loopback's own.",
    )
    tls: ServedTlsSettings | None = Field(None, description="Without it, plain HTTP, for loopback only.")
    authentication: Authentication = Field(
        Authentication.NONE, description="none: whoever is on this machine may do everything."
    )
    tokens: tuple[TokenSettings, ...] = Field((), description="Of authentication: tokens.")
    token_review: TokenReviewSettings = Field(
        default_factory=TokenReviewSettings, description="Of authentication: tokenReview."
    )
    oidc: OidcSettings | None = Field(None, description="Of authentication: oidc.")
    roles: RolesSettings = Field(default_factory=RolesSettings)
    session: SessionSettings = Field(default_factory=SessionSettings)

    @property
    def address(self) -> str:
        """Where it listens, without port and brackets."""
        return self.listen.rpartition(":")[0].strip("[]")
