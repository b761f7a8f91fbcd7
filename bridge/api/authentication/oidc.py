"""Tokens of an OIDC issuer: signed by it, for us, and still good."""

from dataclasses import dataclass
from typing import Any, Final

import jwt

from bridge.api.access import Person, Unknown
from bridge.api.authentication.issuer import Issuer, Key
from bridge.api.authentication.roles import Roles

# By a key that only the issuer has: with a shared one, or none, anybody who knows what is public could sign.
_KEYS_OF: Final = {
    **dict.fromkeys(("RS256", "RS384", "RS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
}
_LEEWAY: Final = 30  # seconds that two clocks may differ
_REQUIRED: Final = ["exp", "iss", "aud"]
_WHY: Final[dict[type[jwt.PyJWTError], str]] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not good yet",
    jwt.InvalidAudienceError: "it was made for another audience",
    jwt.InvalidIssuerError: "it is another issuer's",
    jwt.MissingRequiredClaimError: f"it lacks one of {', '.join(_REQUIRED)}",
    jwt.InvalidSignatureError: "its signature is wrong",
}


@dataclass(frozen=True, slots=True)
class Claims:
    """What has to stand in a token, and where it says who somebody is."""

    audience: str
    name: str = "sub"
    groups: str = "groups"


class Oidc:
    """Verifies tokens by the keys of their issuer."""

    __slots__ = ("_claims", "_issuer", "_jwt", "_roles")

    def __init__(self, issuer: Issuer, claims: Claims, roles: Roles) -> None:
        self._issuer = issuer
        self._claims = claims
        self._roles = roles
        self._jwt = jwt.PyJWT({"enforce_minimum_key_length": True})

    def verified(self, token: str) -> Person:
        """Whose it is."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise Unknown("the token is no signed JWT") from None
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in _KEYS_OF or "crit" in header or not isinstance(kid, str | None):
            raise Unknown(f"the token has to be signed by one of {', '.join(_KEYS_OF)}")
        usable = [key for key in self._issuer.keys(kid) if _usable(key, algorithm)]
        if len(usable) != 1:
            raise Unknown("the issuer has no such key, or the token does not say by which it is signed")
        return self._person(self._decoded(token, usable[0], algorithm))

    def _decoded(self, token: str, key: Key, algorithm: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._jwt.decode(
                token,
                jwt.PyJWK(key, algorithm),
                algorithms=[algorithm],
                audience=self._claims.audience,
                issuer=self._issuer.url,
                leeway=_LEEWAY,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWTError as error:
            raise Unknown(f"the token is refused: {_WHY.get(type(error), 'it makes no sense')}") from None
        return found

    def _person(self, claims: dict[str, Any]) -> Person:
        name, groups = claims.get(self._claims.name), claims.get(self._claims.groups, [])
        if not isinstance(name, str):
            raise Unknown(f"the token has no {self._claims.name}")
        if self._claims.name == "email" and claims.get("email_verified") is not True:
            raise Unknown("the token's email is not verified by its issuer")
        listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        return self._roles.person(name, [one for one in listed if isinstance(one, str)])


def _usable(key: Key, algorithm: str) -> bool:
    return (
        key.get("kty") == _KEYS_OF[algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
    )
