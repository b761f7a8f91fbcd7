"""An OIDC issuer that signs whatever it is told to."""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.api.answering import Answering

DISCOVERY = "/realm/.well-known/openid-configuration"
KEYS = "/keys"


@cache
def rsa_key(number: int = 0, size: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=size)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public(kid: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, **more: str) -> dict[str, Any]:
    """As the issuer publishes it."""
    algorithm = jwt.get_algorithm_by_name("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


@dataclass
class Realm:
    """An issuer that signs."""

    server: Answering

    def __post_init__(self) -> None:
        self.discover(self.url)
        self.publish(public("one", rsa_key()), public("two", ec_key()))

    @property
    def url(self) -> str:
        return f"{self.server.url}/realm"

    def discover(self, issuer: str, keys: str | None = None) -> None:
        self.server.put(DISCOVERY, {"issuer": issuer, "jwks_uri": keys or f"{self.server.url}{KEYS}"})

    def publish(self, *keys: dict[str, Any]) -> None:
        self.server.put(KEYS, {"keys": list(keys)})

    def token(
        self,
        *,
        key: Any = None,  # noqa: ANN401 (whatever signs)
        algorithm: str = "RS256",
        header: dict[str, Any] | None = None,
        **claims: Any,  # noqa: ANN401
    ) -> str:
        """A good one but for what is said; a claim of `...` is left out."""
        now = int(time.time())
        stated = {"iss": self.url, "aud": "fusion-bridge", "sub": "sam", "iat": now, "exp": now + 300, **claims}
        told = {name: value for name, value in stated.items() if value is not ...}
        return jwt.encode(told, key or rsa_key(), algorithm, headers={"kid": "one"} if header is None else header)
