"""AWS Signature Version 4, checked as the service does: who signed this call, and is it what was signed."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl, quote

from bridge.lab.devices.aws.answers import Refusal, unauthorized
from bridge.lab.devices.message import Request

_SCHEME = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signed:
    """Whose key signed a call, and for which region and service."""

    key: str
    region: str
    service: str


def check(request: Request, keys: Mapping[str, str], region: str) -> Signed:
    """The signer of a call whose path is `/`; Refusal for an unknown key, another region, or a signature that does not fit."""
    scheme, _, rest = request.header("authorization").partition(" ")
    if scheme != _SCHEME:
        raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    fields = dict(one.strip().partition("=")[::2] for one in rest.split(","))
    key, day, asked, service, _ = (*fields.get("Credential", "").split("/"), *[""] * 5)[:5]
    if key not in keys:
        raise unauthorized()
    if asked != region:
        raise Refusal("SignatureDoesNotMatch", f"Credential should be scoped to a valid region, not '{asked}'.", 403)
    names = fields.get("SignedHeaders", "").split(";")
    text = "\n".join(
        (_SCHEME, request.header("x-amz-date"), f"{day}/{asked}/{service}/aws4_request", _digest(request, names))
    )
    signing = f"AWS4{keys[key]}".encode()
    for part in (day, asked, service, "aws4_request"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(signing, text.encode(), "sha256").hex(), fields.get("Signature", "")):
        raise Refusal(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
            403,
        )
    return Signed(key, asked, service)


def _digest(request: Request, names: list[str]) -> str:
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parse_qsl(request.query))
    canonical = (
        request.method,
        "/",
        "&".join("=".join(pair) for pair in pairs),
        *(f"{name}:{' '.join(request.header(name).split())}" for name in names),
        "",
        ";".join(names),
        sha256(request.body).hexdigest(),
    )
    return sha256("\n".join(canonical).encode()).hexdigest()
