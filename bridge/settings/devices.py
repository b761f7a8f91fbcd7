"""One device: where it is, who we are to it, what it serves, and whether it is written to."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from bridge.contract import DeviceConfig
from bridge.model.policy import DefaultAction, Defaults, UnknownAddresses, View
from bridge.settings.credentials import Credentials, CredentialsSettings, SecretReader
from bridge.settings.fields import DeviceName, FilePath, NamespaceName, Seconds, Section, Text, Url
from bridge.settings.freezes import FreezeSettings
from bridge.settings.views import AS_POD, AddressSourceSettings, views


class Mode(StrEnum):
    """Whether a device is written to, or only planned for."""

    APPLY = "apply"
    PLAN = "plan"


def _attach(value: Any) -> Any:  # noqa: ANN401
    return {"mode": value} if isinstance(value, str) else value


class TlsSettings(Section):
    """How the device's certificate is judged."""

    verify: bool = Field(True, description="False trusts whoever answers: for laboratories only.")
    ca_file: FilePath | None = Field(None, description="Certificate authorities to trust in place of the system's.")

    cert_file: FilePath | None = Field(
        None, description="A certificate of ours, for a device that asks for one; read anew when it changes."
    )
    key_file: FilePath | None = Field(None, description="Its key, without a passphrase; without it, in certFile.")

    @model_validator(mode="after")
    def _meant(self) -> Self:
        if self.key_file and not self.cert_file:
            raise ValueError("keyFile needs certFile")
        if self.ca_file and not self.verify:
            raise ValueError("caFile has no effect while verify is false")
        return self


class DefaultSettings(Section):
    """What follows the last tier (SEMANTICS 1): both are stated, neither has a default."""

    action: DefaultAction = Field(description="For governed workloads that no rule matched: Deny (logged) or None.")
    unknown_addresses: UnknownAddresses = Field(
        description="For addresses of the pod ranges that nobody is known to hold: Deny or Pass."
    )
    accept_shared: bool = Field(
        False, description="The default Deny may meet addresses of nodes or egresses that ungoverned workloads share."
    )

    def defaults(self) -> Defaults:
        """The model's value."""
        return Defaults(self.action, self.unknown_addresses)


class ServedCluster(Section):
    """One cluster as one device serves it."""

    default: DefaultSettings
    address_source: AddressSourceSettings | None = Field(
        None, description="Where this cluster's workloads are seen otherwise than the device's addressSource says."
    )


def _some(value: Any, check: Any) -> Any:  # noqa: ANN401 (validators of pydantic)
    found = check(value)
    if not found:
        raise PydanticCustomError("empty", "must name at least one")
    return found


class ScopeSettings(Section):
    """What a device serves. Beside clusters and namespaces, the key of the device's kind holds what only its adapter understands."""

    model_config = ConfigDict(extra="allow")

    clusters: Annotated[dict[str, ServedCluster], WrapValidator(_some)] = Field(
        description="The clusters whose rules this device enforces, each with its default."
    )
    namespaces: Annotated[tuple[NamespaceName, ...], WrapValidator(_some)] | None = Field(
        None, description="Only rules and annotation groups of these namespaces; without it, of all."
    )


class DeviceSettings(Section):
    """One enforcement point."""

    name: DeviceName = Field(
        description="As people and rules call it; not to be changed while it holds anything of ours."
    )
    kind: Text = Field(description="Which adapter speaks to it.")
    url: Url
    credentials: CredentialsSettings = Field(
        default_factory=CredentialsSettings.model_construct,
        description="Where its secrets are; required, except where its kind finds them in its surroundings.",
    )
    tls: TlsSettings = Field(default_factory=TlsSettings)
    timeout: Seconds = Field(30.0, description="For one call, in seconds.")
    scope: ScopeSettings
    address_source: AddressSourceSettings = Field(
        AS_POD, description="Which address of a workload the device sees: Pod, Node, or a list by destinations."
    )
    mode: Mode = Field(Mode.APPLY, description="plan: read and compare, and never write.")
    close_flows: bool = Field(
        False,
        description="Close live flows that are denied now and were not before; on a shared device a decision of its owner.",
    )
    freeze: tuple[FreezeSettings, ...] = Field(
        (), description="Windows of this device beside those of delivery.freeze, in which no edit reaches it."
    )
    attach: Annotated[dict[str, Any], BeforeValidator(_attach)] = Field(
        default_factory=lambda: {"mode": "none"},
        description="none, ifEmpty, or a mapping with mode and the adapter's own words for the slots.",
    )

    def own(self) -> Mapping[str, Any]:
        """What of the scope only the adapter understands."""
        found = (self.scope.model_extra or {}).get(self.kind)
        return found if isinstance(found, Mapping) else {}

    def namespaces(self) -> frozenset[str] | None:
        """The namespaces that it serves; None: all."""
        return None if self.scope.namespaces is None else frozenset(self.scope.namespaces)

    def views(self, cluster: str) -> tuple[View, ...]:
        """How it sees the workloads of this cluster, which it serves."""
        return views(self.scope.clusters[cluster].address_source or self.address_source, self.name)

    def config(self, owner: str, reader: SecretReader | None = None) -> DeviceConfig:
        """As its adapter is told."""
        return DeviceConfig(
            name=self.name,
            kind=self.kind,
            url=self.url,
            owner=owner,
            credentials=Credentials(self.credentials, reader),
            scope=dict(self.own()),
            attach=dict(self.attach),
            tls_verify=self.tls.verify,
            ca_file=_path(self.tls.ca_file),
            cert_file=_path(self.tls.cert_file),
            key_file=_path(self.tls.key_file),
            timeout=self.timeout,
        )


def _path(file: Path | None) -> str | None:
    return str(file) if file else None
