"""Tokens of an OIDC issuer: which are taken, and which keys they are verified by."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from bridge.api.access import Forbidden, Person, Role, Unavailable, Unknown
from bridge.api.authentication.issuer import Issuer
from bridge.api.authentication.oidc import Claims, Oidc
from bridge.api.authentication.roles import Granted, Roles
from tests.api.answering import answering
from tests.api.issuing import DISCOVERY, KEYS, Realm, ec_key, public, rsa_key
from tests.cluster.scripted import FakeClock

ROLES = Roles({Role.VIEWER: Granted(groups=frozenset({"staff"})), Role.SECURITY: Granted(names=frozenset({"sam"}))})


@dataclass
class Verified(Realm):
    """An issuer, and whoever verifies its tokens."""

    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.oidc = Oidc(Issuer(self.url, None, self.clock), Claims("fusion-bridge"), ROLES)


@pytest.fixture
def realm() -> Iterator[Verified]:
    with answering() as server:
        yield Verified(server)


def test_a_good_token(realm: Verified) -> None:
    assert realm.oidc.verified(realm.token()) == Person("sam", Role.SECURITY)
    signed = realm.token(key=ec_key(), algorithm="ES256", header={"kid": "two"}, sub="kim", groups=["staff"])
    assert realm.oidc.verified(signed) == Person("kim", Role.VIEWER)
    assert realm.oidc.verified(realm.token(aud=["other", "fusion-bridge"], sub="kim", groups="staff")).name == "kim"
    assert realm.server.asked == [DISCOVERY, KEYS]


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": ...}, "lacks"),
        ({"aud": "other"}, "another audience"),
        ({"aud": ...}, "lacks"),
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"iss": ...}, "lacks"),
        ({"nbf": 2**33}, "not good yet"),
        ({"iat": 2**33}, "not good yet"),
        ({"sub": 7}, "makes no sense"),
        ({"sub": ...}, "has no sub"),
        ({"sub": "sam\n"}, "printable"),
    ],
)
def test_claims_that_are_not_as_they_have_to_be(realm: Verified, claims: dict[str, Any], words: str) -> None:
    with pytest.raises(Unknown, match=words):
        realm.oidc.verified(realm.token(**claims))


def test_somebody_without_a_role_is_told_so(realm: Verified) -> None:
    for groups in (..., [], ["other"], {"staff": True}, [["staff"]], 7, None):
        with pytest.raises(Forbidden):
            realm.oidc.verified(realm.token(sub="kim", groups=groups))


def test_what_somebody_signed_himself_is_refused(realm: Verified) -> None:
    pem = (
        rsa_key().public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    mine = public("mine", rsa_key(1))
    forged = [
        realm.token(key=rsa_key(1)),  # under the issuer's name for its key
        realm.token(key=rsa_key(1), header={"kid": "one", "jwk": mine}),
        realm.token(key=rsa_key(1), header={"kid": "mine", "jku": f"{realm.server.url}/mine"}),
        jwt.encode({"sub": "sam"}, "", "none", headers={"kid": "one"}),
        jwt.encode({"sub": "sam"}, b"x" * 64, "HS256", headers={"kid": "one"}),
        realm.token(key=rsa_key(), algorithm="PS256"),
        realm.token(header={"kid": "two"}),  # an RSA signature under the name of an EC key
        realm.token(header={"kid": "one", "crit": ["b64"], "b64": True}),
        realm.token()[:-8] + "AAAAAAAA",
        _other_claims(realm.token()),
        pem.decode(),
        "a.b.c",
        "",
        "....",
    ]
    for token in forged:
        with pytest.raises(Unknown) as refused:
            realm.oidc.verified(token)
        assert not token or token not in str(refused.value)
    assert "/mine" not in realm.server.asked


def _other_claims(token: str) -> str:
    """The signature of one token under another's claims."""
    header, _, signature = token.split(".")
    return ".".join((header, jwt.encode({"sub": "root"}, b"x" * 64, "HS256").split(".")[1], signature))


@pytest.mark.parametrize(
    "key",
    [
        public("one", rsa_key(), use="enc"),
        public("one", rsa_key(), alg="RS512"),
        {"kty": "oct", "k": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg", "kid": "one"},
        {"kty": "RSA", "kid": "one"},
        {"kid": "one"},
    ],
)
def test_a_key_that_is_not_for_this_verifies_nothing(realm: Verified, key: dict[str, Any]) -> None:
    realm.publish(key)
    with pytest.raises(Unknown):
        realm.oidc.verified(realm.token())


def test_a_key_that_is_too_short_verifies_nothing(realm: Verified) -> None:
    short = rsa_key(2, 1024)
    realm.publish(public("one", short))
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        signed = realm.token(key=short)
    with pytest.raises(Unknown):
        realm.oidc.verified(signed)


def test_a_token_that_names_no_key_is_taken_where_only_one_fits(realm: Verified) -> None:
    assert realm.oidc.verified(realm.token(header={})).name == "sam"
    realm.publish(public("one", rsa_key()), public("three", rsa_key(1)))
    realm.clock.advance(601)
    with pytest.raises(Unknown):
        realm.oidc.verified(realm.token(header={}))


def test_a_new_key_is_found_and_an_unknown_one_asks_seldom(realm: Verified) -> None:
    realm.oidc.verified(realm.token())
    realm.publish(public("new", rsa_key(1)))
    signed = realm.token(key=rsa_key(1), header={"kid": "new"})
    for _ in range(3):  # whoever makes up names of keys has the issuer asked no more often
        with pytest.raises(Unknown):
            realm.oidc.verified(signed)
    assert realm.server.asked == [DISCOVERY, KEYS]
    realm.clock.advance(31)
    assert realm.oidc.verified(signed).name == "sam"
    with pytest.raises(Unknown):  # the issuer took it back
        realm.oidc.verified(realm.token())


def test_while_the_issuer_is_away_its_keys_hold_for_a_while(realm: Verified) -> None:
    realm.oidc.verified(realm.token())
    realm.server.put(KEYS, {}, 500)
    realm.clock.advance(1200)
    assert realm.oidc.verified(realm.token()).name == "sam"
    realm.clock.advance(2500)
    with pytest.raises(Unavailable):
        realm.oidc.verified(realm.token())
    with pytest.raises(Unavailable):  # not asked again at once
        realm.oidc.verified(realm.token())
    asked = len(realm.server.asked)
    realm.publish(public("one", rsa_key()))
    realm.clock.advance(31)
    assert realm.oidc.verified(realm.token()).name == "sam"
    assert len(realm.server.asked) == asked + 2


@pytest.mark.parametrize("discovered", [("https://elsewhere.example", None), (None, "http://keys.example/keys")])
def test_an_issuer_that_is_not_itself_is_not_believed(
    realm: Verified, discovered: tuple[str | None, str | None]
) -> None:
    realm.discover(discovered[0] or realm.url, discovered[1])
    with pytest.raises(Unavailable):
        realm.oidc.verified(realm.token())


def test_an_email_counts_once_its_issuer_verified_it(realm: Verified) -> None:
    roles = Roles({Role.VIEWER: Granted(names=frozenset({"sam@example.com"}))})
    oidc = Oidc(Issuer(realm.url, None, realm.clock), Claims("fusion-bridge", name="email"), roles)
    with pytest.raises(Unknown, match="not verified"):
        oidc.verified(realm.token(email="sam@example.com"))
    assert oidc.verified(realm.token(email="sam@example.com", email_verified=True)).name == "sam@example.com"
