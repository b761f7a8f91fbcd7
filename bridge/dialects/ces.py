"""F5 Container Egress Services: the kinds of `kubeovn.io/v1alpha1` as their controller reads them (docs/migrating-from-ces.md).

Its rules have no priority: of one tier that which was seen first comes first. `accept` goes on with the next tier and
`accept-decisively` ends all; in the service tier, after which everything is denied, both let through. Cluster rules find external
services in the namespace of the CES controller, the others in their own. A namespace is its prefixes where Kube-OVN annotates them.

Where its own controller guesses or passes over in silence, this one refuses: an address that is none is no name, a protocol without a port
is not every protocol.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from bridge.dialects import fields, specs
from bridge.dialects.dialect import Context, Dialect, Policy, ref_of
from bridge.dialects.specs import Label, ObjectName, Spec
from bridge.dialects.traffic import ANY
from bridge.errors import PolicyError
from bridge.model.addresses import sort_key, subtract
from bridge.model.kinds import Brings, Kind, Resource
from bridge.model.observed import PolicyObject
from bridge.model.policy import (
    Action,
    ExternalService,
    PortRange,
    Protocol,
    Ref,
    Rule,
    Source,
    SourceKind,
    Tier,
    Traffic,
)
from bridge.model.ports import merged

NAME: Final = "ces"
GROUP: Final = "kubeovn.io"
API_VERSION: Final = f"{GROUP}/v1alpha1"
CIDR: Final = "ovn.kubernetes.io/cidr"
CONTROLLER_NAMESPACE: Final = "controllerNamespace"
_HOME = "kube-system"  # where its installer puts the controller
_PRIORITY = 1000  # that of our own rules that state none
_WITH_PORTS = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


def _kind(plural: str, name: str, tier: Tier) -> Kind:
    last = tier is Tier.SERVICE
    return Kind(
        Resource(f"{plural}.{GROUP}"),
        name,
        API_VERSION,
        tier is not Tier.CLUSTER,
        Brings.RULE,
        tier,
        allows=("accept-decisively", "accept") if last else ("accept-decisively",),
        targets="spec.externalServices",
        phases=("Success", "Syncing"),
    )


CLUSTER_EGRESS_RULE = _kind("clusteregressrules", "ClusterEgressRule", Tier.CLUSTER)
NAMESPACE_EGRESS_RULE = _kind("namespaceegressrules", "NamespaceEgressRule", Tier.NAMESPACE)
SERVICE_EGRESS_RULE = _kind("serviceegressrules", "ServiceEgressRule", Tier.SERVICE)
EXTERNAL_SERVICE = Kind(
    Resource(f"externalservices.{GROUP}"),
    "ExternalService",
    API_VERSION,
    namespaced=True,
    brings=Brings.EXTERNAL_SERVICE,
)
KINDS = (CLUSTER_EGRESS_RULE, NAMESPACE_EGRESS_RULE, SERVICE_EGRESS_RULE, EXTERNAL_SERVICE)


def _address_or_name(text: str) -> str:
    """An address, prefix or range, or else a name; what looks like an address and is none is never taken for a name."""
    try:
        return fields.member(text)
    except ValueError as error:
        try:
            return fields.fqdn(text)
        except ValueError as no_name:
            looks = any(sign in text for sign in ":/") or text.replace(".", "").replace("-", "").isdigit()
            # Both kinds of destination stand in one field here.
            raise ValueError(str(error if looks else no_name).partition("; a")[0]) from None


def _ranges(text: str) -> tuple[PortRange, ...]:
    """`443,8443-8450`; ValueError when it is no such list."""
    return merged(_range(part) for part in text.split(","))


def _range(part: str) -> PortRange:
    first, dash, last = part.partition("-")
    ends = (first, last) if dash else (first, first)
    if not all(end.isascii() and end.isdecimal() and len(end) <= 5 for end in ends):
        raise ValueError(f'{fields.shown(part)} is no port: write ports and ranges, as in "443,8443-8450"')
    span = PortRange(int(ends[0]), int(ends[1]))
    if not (span.first >= 1 and span.last <= 65535):
        raise ValueError(f"{fields.shown(part)}: ports are from 1 to 65535")
    if span.last < span.first:
        raise ValueError(f"the range runs backwards: {fields.shown(part)}")
    return span


def _ports(text: str) -> str:
    _ranges(text)
    return text


Accepting: TypeAlias = Literal["accept", "drop", "accept-decisively", "reject"]
Targets: TypeAlias = Annotated[list[ObjectName], Field(min_length=1)]


class CesSpec(Spec):
    """A field without a value is one that is left out: the API server takes it away."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, spec: object) -> object:
        return {key: value for key, value in spec.items() if value is not None} if isinstance(spec, dict) else spec


class RuleSpec(CesSpec):
    """spec of a ClusterEgressRule or NamespaceEgressRule."""

    action: Accepting
    logging: bool = False
    external_services: Annotated[Targets, Field(alias="externalServices")]


class ServiceRuleSpec(RuleSpec):
    """spec of a ServiceEgressRule."""

    service: Label


class PortSpec(CesSpec):
    """One of an ExternalService's ports. The name is for people."""

    name: str = ""
    protocol: Annotated[str, Field(validate_default=True)] = ""
    port: Annotated[str, AfterValidator(_ports)]
    bandwidth: str = ""

    @field_validator("protocol")
    @classmethod
    def _has_ports(cls, protocol: str) -> str:
        if protocol.upper() not in _WITH_PORTS:
            raise ValueError(f"must be {', '.join(_WITH_PORTS[:-1])} or {_WITH_PORTS[-1]}, which have ports")
        return protocol.upper()

    @field_validator("bandwidth")
    @classmethod
    def _names_a_rule(cls, text: str, info: ValidationInfo) -> str:  # noqa: ARG003
        if text and not _is_name(text):
            raise ValueError(f"{fields.shown(text)} is no name of an iRule: letters, digits, and . _ - inside")
        return text


def _is_name(text: str) -> bool:
    return (
        len(text) <= 190 and text.isascii() and text[0].isalnum() and all(one.isalnum() or one in "._-" for one in text)
    )


class ExternalServiceSpec(CesSpec):
    """spec of an ExternalService."""

    addresses: Annotated[list[Annotated[str, AfterValidator(_address_or_name)]], Field(min_length=1)]
    ports: list[PortSpec] = Field(default_factory=list)


def read(obj: PolicyObject, context: Context) -> Policy:
    """The value of an object of any of these kinds."""
    if obj.resource is EXTERNAL_SERVICE.resource:
        return _external_service(obj)
    if obj.resource is CLUSTER_EGRESS_RULE.resource:
        spec = specs.read(RuleSpec, obj.spec)
        home = str(context.options.get(CONTROLLER_NAMESPACE, _HOME))
        return _rule(CLUSTER_EGRESS_RULE, obj, spec, Source(SourceKind.CLUSTER), home)
    if obj.resource is NAMESPACE_EGRESS_RULE.resource:
        spec = specs.read(RuleSpec, obj.spec)
        return _rule(NAMESPACE_EGRESS_RULE, obj, spec, _namespace(obj.namespace, context), obj.namespace)
    of_service = specs.read(ServiceRuleSpec, obj.spec)
    source = Source(SourceKind.SERVICE, namespace=obj.namespace, service=of_service.service)
    return _rule(SERVICE_EGRESS_RULE, obj, of_service, source, obj.namespace)


def cautions(obj: PolicyObject) -> Iterator[tuple[str, str]]:
    """Two limits of bandwidth for one protocol, of which only the last counts."""
    if obj.resource is not EXTERNAL_SERVICE.resource:
        return
    limits: dict[str, str] = {}
    for index, port in enumerate(specs.read(ExternalServiceSpec, obj.spec).ports):
        if limits.setdefault(port.protocol, port.bandwidth) != port.bandwidth:
            yield (
                f"spec.ports[{index}].bandwidth",
                f"{port.protocol} is given a bandwidth twice: only the last counts, as in CES",
            )


def _rule(kind: Kind, obj: PolicyObject, spec: RuleSpec, source: Source, home: str) -> Rule:
    assert kind.tier is not None  # noqa: S101 (a kind of rules)
    return Rule(
        ref=ref_of(kind, obj),
        tier=kind.tier,
        priority=_PRIORITY,
        action=action(spec.action, kind.tier),
        source=source,
        destinations=tuple(sorted({Ref(EXTERNAL_SERVICE.ref, home, name) for name in spec.external_services})),
        log=spec.logging,
    )


def action(word: str, tier: Tier) -> Action:
    """Our action for one of theirs."""
    if word == "accept" and tier is not Tier.SERVICE:
        return Action.PASS
    return {"drop": Action.DENY, "reject": Action.REJECT}.get(word, Action.ALLOW)


def _namespace(namespace: str, context: Context) -> Source:
    """The namespace's prefixes inside the pod ranges where it is annotated with them and has them for itself, else its pods.

    By the prefixes of a subnet that several namespaces share, the rules of one would be about the pods of the others.
    """
    text = context.annotations(namespace).get(CIDR)
    if text is None or context.shared(CIDR, text):
        return Source(SourceKind.NAMESPACE, namespace=namespace)
    where = f'Namespace {namespace}: metadata.annotations["{CIDR}"]'
    try:
        prefixes = [str(ip_network(part.strip())) for part in text.split(",")]
    except ValueError:
        raise PolicyError(where, f"{fields.shown(text)} is no prefix, nor prefixes separated by commas") from None
    inside = subtract(prefixes, subtract(prefixes, context.pod_ranges))
    if not inside:
        raise PolicyError(where, f"{fields.shown(text)} lies outside the pod ranges in the bridge's settings")
    return Source(SourceKind.PREFIXES, namespace=namespace, prefixes=inside)


def _external_service(obj: PolicyObject) -> ExternalService:
    spec = specs.read(ExternalServiceSpec, obj.spec)
    named = {text for text in spec.addresses if _is_fqdn(text)}
    limits = {Protocol(port.protocol): port.bandwidth for port in spec.ports}
    return ExternalService(
        ref=ref_of(EXTERNAL_SERVICE, obj),
        addresses=tuple(sorted(set(spec.addresses) - named, key=sort_key)),
        fqdns=tuple(sorted(named)),
        traffic=_traffic(spec.ports),
        bandwidth=tuple(sorted((protocol, name) for protocol, name in limits.items() if name)),
    )


def _is_fqdn(text: str) -> bool:
    try:
        fields.member(text)
    except ValueError:
        return True
    return False


def _traffic(ports: Iterable[PortSpec]) -> tuple[Traffic, ...]:
    found: dict[Protocol, list[PortRange]] = {}
    for port in ports:
        found.setdefault(Protocol(port.protocol), []).extend(_ranges(port.port))
    return tuple(sorted(Traffic(protocol, merged(spans)) for protocol, spans in found.items())) or ANY


DIALECT = Dialect(NAME, KINDS, read, cautions, first_seen=True, namespace_annotations=(CIDR,))
