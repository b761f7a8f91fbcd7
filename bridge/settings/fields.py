"""The kinds of field that settings are made of, each with its own words for what is wrong."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo
from pydantic.alias_generators import to_camel

from bridge.model.addresses import canonical_address
from bridge.settings.schedule import cron

BASE = "base"  # in the validation context: the folder that relative paths start from

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_OWNER = re.compile(r"[a-z0-9]{1,12}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SERVER = re.compile(r"(?:\[(?P<bracketed>[^\[\]%]+)\]|(?P<plain>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")


class Section(BaseModel):
    """A mapping of settings: camelCase keys, nothing unknown, never changed after it is read."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, validate_default=False, hide_input_in_errors=True
    )


def _named(longest: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > longest or not _NAME.fullmatch(text):
            raise ValueError(f"must be 1 to {longest} of a-z, 0-9 and inner hyphens")
        return text

    return AfterValidator(check)


def _no_view(text: str) -> str:
    """Groups that a device has for itself are told by its name, as those seen through nodes are by this one."""
    if text == "node":
        raise ValueError("is taken: groups as seen through nodes are called so; give the device another name")
    return text


def _owner(text: str) -> str:
    if not _OWNER.fullmatch(text):
        raise ValueError("must be 1 to 12 of a-z and 0-9; it marks what is ours on every device")
    return text


def _prefix(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError as error:
        hint = f"; write {ip_network(text, strict=False)}" if "host bits" in str(error) else ""
        raise ValueError(f"{ascii(text)[:60]} is not a prefix such as 10.0.0.0/16 or fd00::/48{hint}") from None
    if network.prefixlen == 0:
        raise ValueError(f"{network} is every address; nothing would lie outside the cluster")
    return str(network)


def _address(text: str) -> str:
    try:
        return canonical_address(text)
    except ValueError:
        raise ValueError(f"{ascii(text)[:60]} is not an address such as 192.0.2.10") from None


def _path(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get(BASE, Path())
    try:
        return Path(base) / path.expanduser()
    except RuntimeError:
        raise ValueError("names the home folder of nobody known") from None


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL such as https://192.0.2.10") from None
    if not parts.scheme or not parts.hostname or any(letter.isspace() for letter in text):
        raise ValueError("is not a URL such as https://192.0.2.10")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password; they belong under credentials")
    if parts.query or parts.fragment:
        raise ValueError("must end with the path")
    return text.rstrip("/")


def _exact_url(text: str) -> str:
    _url(text)
    return text


def _host(text: str) -> str:
    found = text.lower().removesuffix(".")
    try:
        return str(ip_address(found))
    except ValueError:
        if len(found) > 253 or not _HOST.fullmatch(found):
            raise ValueError(
                "must be a name or an address, without port: bridge.example.com, 192.0.2.10, fd00::10"
            ) from None
    return found


def _listen(text: str) -> str:
    found = _LISTEN.fullmatch(text)
    if not found or int(found[2]) > 65535:
        raise ValueError("must be address:port, such as 127.0.0.1:9808 or [::1]:9808")
    return text


def _server(text: str) -> str:
    found = _SERVER.fullmatch(text)
    host = (found["bracketed"] or found["plain"]) if found else text
    port = (found["port"] or "53") if found else "53"
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(
            "must be the address of a name server, with a port where it is not 53: 192.0.2.53, 192.0.2.53:5353, [2001:db8::53]:5353"
        ) from None
    if not 0 < int(port) < 65536:
        raise ValueError("has a port that is not between 1 and 65535")
    return text


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError("must be the name of an environment variable")
    return text


def _database_url(url: SecretStr) -> SecretStr:
    scheme = url.get_secret_value().partition("://")[0]
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ValueError("must be postgresql://user@host/database")
    return url


Text = Annotated[str, Field(min_length=1)]
ClusterName = Annotated[str, _named(20)]
DeviceName = Annotated[str, _named(40), AfterValidator(_no_view)]
NamespaceName = Annotated[str, _named(63)]
Owner = Annotated[str, AfterValidator(_owner)]
Prefix = Annotated[str, AfterValidator(_prefix)]
Address = Annotated[str, AfterValidator(_address)]
FilePath = Annotated[Path, AfterValidator(_path)]
Url = Annotated[str, AfterValidator(_url)]
ExactUrl = Annotated[str, AfterValidator(_exact_url)]
HostName = Annotated[str, AfterValidator(_host)]
Listen = Annotated[str, AfterValidator(_listen)]
NameServer = Annotated[str, AfterValidator(_server)]
Schedule = Annotated[str | None, AfterValidator(cron)]
Variable = Annotated[str, AfterValidator(_variable)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
