"""The specs of our kinds as people type them: what is allowed in each field, in the words and limits of the schemas in config/crd.

`read` takes a spec as plain JSON and refuses it with an error for each field that is wrong, all of them at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from bridge.dialects import fields
from bridge.errors import PolicyError
from bridge.model.policy import NUMBERS

S = TypeVar("S", bound="Spec")
T = TypeVar("T")


def _no_duplicates(values: list[T]) -> list[T]:
    seen: set[T] = set()
    for index, value in enumerate(values):
        if value in seen:
            raise ValueError(f"{fields.shown(str(value))} stands here twice (item {index} is a repetition)")
        seen.add(value)
    return values


def _said(value: object, what: str) -> object:
    """A field that is there and says nothing is not the same as one that is left out: a template may have lost its value."""
    if value is None:
        raise ValueError(f"must be {what}, or left out")
    return value


# Marks of the forms between which `ports` and `port` leave the choice; a path in a message passes over them.
_LIST, _LIST_WORD = "<list>", "<Any, not a list>"
_NUMBER, _NUMBER_WORD = "<number>", "<Any, not a number>"
_PROTOCOL, _PROTOCOL_WORD = "<number of a protocol>", "<name of a protocol>"


def _choice(form: str, word: str) -> Discriminator:
    """Choose between the word Any and another form by what was typed, so that a message speaks of one of them only."""
    return Discriminator(lambda value: word if isinstance(value, str) else form)


ObjectName: TypeAlias = Annotated[str, AfterValidator(fields.object_name)]
Label: TypeAlias = Annotated[str, AfterValidator(fields.dns_label)]
LabelKey: TypeAlias = Annotated[str, AfterValidator(fields.label_key)]
LabelValue: TypeAlias = Annotated[str, AfterValidator(fields.label_value)]
Member: TypeAlias = Annotated[str, AfterValidator(fields.member)]
Fqdn: TypeAlias = Annotated[str, AfterValidator(fields.fqdn)]
Devices: TypeAlias = Annotated[list[Label], Field(min_length=1, max_length=64), AfterValidator(_no_duplicates)]
Account: TypeAlias = Annotated[str, AfterValidator(fields.object_name)]
QualifiedAccount: TypeAlias = Annotated[str, AfterValidator(fields.service_account)]
TimeOfDay: TypeAlias = Annotated[str, AfterValidator(fields.time_of_day)]
EndOfDay: TypeAlias = Annotated[str, AfterValidator(fields.end_of_day)]
TimeZone: TypeAlias = Annotated[str, AfterValidator(fields.time_zone)]
Moment: TypeAlias = Annotated[str, AfterValidator(fields.moment_text)]
Octet: TypeAlias = Annotated[int, Field(ge=0, le=254)]
PortNumber: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
AnyWord: TypeAlias = Literal["Any"]


class Spec(BaseModel):
    """What all of them share: nothing is converted, nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def omissions(cls, spec: Mapping[str, Any]) -> list[PolicyError]:  # noqa: ARG003
        """What is missing from the spec as a whole, no single field being required."""
        return []


class MatchExpression(Spec):
    """One requirement of a label selector."""

    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[list[LabelValue], Field(max_length=64, validate_default=True)] = []

    @field_validator("values")
    @classmethod
    def _values_fit_the_operator(cls, values: list[str], info: ValidationInfo) -> list[str]:
        operator = info.data.get("operator")
        if operator in ("In", "NotIn") and not values:
            raise ValueError("In and NotIn need at least one value")
        if operator in ("Exists", "DoesNotExist") and values:
            raise ValueError("Exists and DoesNotExist take no values")
        return values


class LabelSelector(Spec):
    """A standard label selector; empty selects everything."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(alias="matchLabels", max_length=32)] = {}
    match_expressions: Annotated[list[MatchExpression], Field(alias="matchExpressions", max_length=32)] = []


class PodSource(Spec):
    """Whom a namespace rule is about."""

    pod_selector: Annotated[LabelSelector, Field(alias="podSelector")] = LabelSelector()
    service_accounts: Annotated[
        list[Account], Field(alias="serviceAccounts", min_length=1, max_length=64), AfterValidator(_no_duplicates)
    ] = []


class ClusterSource(Spec):
    """Whom a cluster rule or an address group is about."""

    pod_selector: Annotated[LabelSelector, Field(alias="podSelector")] = LabelSelector()
    namespace_selector: Annotated[LabelSelector, Field(alias="namespaceSelector")] = LabelSelector()
    service_accounts: Annotated[
        list[QualifiedAccount],
        Field(alias="serviceAccounts", min_length=1, max_length=64),
        AfterValidator(_no_duplicates),
    ] = []


class ClusterTarget(Spec):
    """A destination of a cluster rule: a ClusterExternalService."""

    name: ObjectName

    def __str__(self) -> str:
        return self.name


class Target(ClusterTarget):
    """A destination of a namespace or service rule."""

    kind: Literal["ExternalService", "ClusterExternalService"] = "ExternalService"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class WindowSpec(Spec):
    """A stretch of time that comes again every week."""

    days: Annotated[
        list[Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]],
        Field(min_length=1, max_length=7),
        AfterValidator(_no_duplicates),
    ]
    start: TimeOfDay
    end: EndOfDay
    time_zone: Annotated[TimeZone, Field(alias="timeZone")]

    @field_validator("end")
    @classmethod
    def _is_not_the_start(cls, end: str, info: ValidationInfo) -> str:
        if end == info.data.get("start"):
            raise ValueError("must differ from start; a whole day is from 00:00 to 24:00")
        return end


class RuleSpec(Spec):
    """What every rule has."""

    priority: Annotated[int, Field(ge=0, le=10000)] = 1000
    log: bool = False
    accept_shared: Annotated[bool, Field(alias="acceptShared")] = False
    devices: Devices = []
    not_before: Annotated[Moment | None, Field(alias="notBefore")] = None
    not_after: Annotated[Moment | None, Field(alias="notAfter")] = None
    windows: Annotated[list[WindowSpec], Field(min_length=1, max_length=16)] = []

    @field_validator("not_before", "not_after", mode="before")
    @classmethod
    def _is_said(cls, value: object) -> object:
        return _said(value, "a moment")

    @field_validator("not_after")
    @classmethod
    def _comes_after(cls, last: str, info: ValidationInfo) -> str:
        first = info.data.get("not_before")
        if first and datetime.fromisoformat(last) <= datetime.fromisoformat(first):
            raise ValueError("must be later than notBefore")
        return last


class ClusterEgressRuleSpec(RuleSpec):
    """spec of a ClusterEgressRule."""

    action: Literal["Allow", "Deny", "Reject", "Pass"]
    from_: Annotated[ClusterSource, Field(alias="from")] = ClusterSource()
    to: Annotated[list[ClusterTarget], Field(min_length=1, max_length=64), AfterValidator(_no_duplicates)]


class NamespaceEgressRuleSpec(RuleSpec):
    """spec of a NamespaceEgressRule."""

    action: Literal["Allow", "Deny", "Reject", "Pass"]
    from_: Annotated[PodSource, Field(alias="from")] = PodSource()
    to: Annotated[list[Target], Field(min_length=1, max_length=64), AfterValidator(_no_duplicates)]


class ServiceEgressRuleSpec(RuleSpec):
    """spec of a ServiceEgressRule."""

    action: Literal["Allow", "Deny", "Reject"]
    service: Label
    to: Annotated[list[Target], Field(min_length=1, max_length=64), AfterValidator(_no_duplicates)]

    @field_validator("action", mode="before")
    @classmethod
    def _no_pass(cls, action: object) -> object:
        if action == "Pass":
            raise ValueError("Pass leaves a tier for the next one down, and the service tier is the last")
        return action


class PortSpec(Spec):
    """A protocol and its ports, or its types of ICMP."""

    protocol: Annotated[
        Annotated[int, Field(ge=1, le=254), Tag(_PROTOCOL)]
        | Annotated[Literal["TCP", "UDP", "SCTP", "ICMP", "ICMPv6"], Tag(_PROTOCOL_WORD)],
        _choice(_PROTOCOL, _PROTOCOL_WORD),
    ]
    port: Annotated[
        Annotated[
            Annotated[PortNumber, Tag(_NUMBER)] | Annotated[AnyWord, Tag(_NUMBER_WORD)], _choice(_NUMBER, _NUMBER_WORD)
        ]
        | None,
        Field(validate_default=True),
    ] = None
    end_port: Annotated[PortNumber | None, Field(alias="endPort")] = None
    type: Octet | None = None
    code: Octet | None = None

    @field_validator("protocol")
    @classmethod
    def _a_name_where_there_is_one(cls, protocol: int | str) -> int | str:
        for name, number in NUMBERS.items():
            if protocol == number:
                raise ValueError(f"{number} is {name}; write its name")
        return protocol

    @field_validator("port")
    @classmethod
    def _port_fits_the_protocol(cls, port: int | str | None, info: ValidationInfo) -> int | str | None:
        protocol = info.data.get("protocol")
        if protocol in _WITH_PORTS and port is None:
            raise ValueError(f"{protocol} needs a port, or the word Any for all of them")
        if protocol is not None and protocol not in _WITH_PORTS and port is not None:
            raise ValueError(f"{_called(protocol)} has no ports")
        return port

    @field_validator("end_port")
    @classmethod
    def _range_runs_forward(cls, end: int | None, info: ValidationInfo) -> int | None:
        if end is None or "port" not in info.data:
            return end
        port = info.data["port"]
        if isinstance(port, int) and end < port:
            raise ValueError(f"the range runs backwards: endPort {end} is below port {port}")
        if port is None or port == "Any":
            raise ValueError("a range needs a number under port to begin with")
        return end

    @field_validator("type", "code", mode="before")
    @classmethod
    def _is_said(cls, value: object) -> object:
        return _said(value, "a number")

    @field_validator("type", "code")
    @classmethod
    def _only_of_icmp(cls, value: int | None, info: ValidationInfo) -> int | None:
        protocol = info.data.get("protocol")
        if value is not None and protocol is not None and protocol not in _ICMP:
            raise ValueError(f"{_called(protocol)} has no types; they are of ICMP and ICMPv6")
        if info.field_name == "code" and value is not None and info.data.get("type", 0) is None:
            raise ValueError("a code is of a type: state that too")
        return value


_WITH_PORTS = ("TCP", "UDP", "SCTP")
_ICMP = ("ICMP", "ICMPv6")


def _called(protocol: int | str) -> str:
    return protocol if isinstance(protocol, str) else f"IP protocol {protocol}"


class ExternalServiceSpec(Spec):
    """spec of an ExternalService or ClusterExternalService."""

    addresses: Annotated[list[Member], Field(min_length=1, max_length=512), AfterValidator(_no_duplicates)] = []
    fqdns: Annotated[list[Fqdn], Field(min_length=1, max_length=512), AfterValidator(_no_duplicates)] = []
    ports: Annotated[
        Annotated[list[PortSpec], Field(min_length=1, max_length=64), Tag(_LIST)] | Annotated[AnyWord, Tag(_LIST_WORD)],
        _choice(_LIST, _LIST_WORD),
    ]

    @classmethod
    def omissions(cls, spec: Mapping[str, Any]) -> list[PolicyError]:
        """A destination needs at least one of its two lists."""
        if "addresses" in spec or "fqdns" in spec:
            return []
        return [PolicyError("spec", "at least one of addresses and fqdns is needed")]


class AddressGroupSpec(ClusterSource):
    """spec of an AddressGroup."""

    devices: Devices = []


class Invalid(PolicyError):
    """A spec with at least one problem; `path` and `reason` are those of the first, the text names all."""

    def __init__(self, problems: Sequence[PolicyError]) -> None:
        self.problems = tuple(problems)
        super().__init__(problems[0].path, problems[0].reason)
        self.args = ("; ".join(str(problem) for problem in problems),)


def read(model: type[S], spec: Mapping[str, Any]) -> S:
    """The spec as its model; Invalid with every problem in it."""
    missing = model.omissions(spec)
    try:
        value = model.model_validate(dict(spec))
    except ValidationError as error:
        raise Invalid([*missing, *_problems(error)]) from None
    if missing:
        raise Invalid(missing)
    return value


def _problems(error: ValidationError) -> Iterator[PolicyError]:
    for detail in error.errors(include_url=False):
        loc = detail["loc"]
        reason = _reason(detail["type"], detail.get("ctx", {}), detail["msg"])
        yield PolicyError(_path(loc), _FORMS.get(loc[-1], reason) if detail["type"] in _WRONG_FORM else reason)


def _path(loc: tuple[int | str, ...]) -> str:
    """`spec.ports[1].endPort`; the marks of a choice between forms are no part of it."""
    path = "spec"
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not step.startswith("<"):
            path += f".{step}" if step != "[key]" else " (a key)"
    return path


_WRONG_FORM = ("literal_error", "int_type", "list_type")
_FORMS: Mapping[int | str, str] = {
    **dict.fromkeys((_LIST, _LIST_WORD), "must be the word Any, or a list of protocols and ports"),
    **dict.fromkeys((_NUMBER, _NUMBER_WORD), "must be a port number, or the word Any"),
    **dict.fromkeys(
        (_PROTOCOL, _PROTOCOL_WORD), "must be TCP, UDP, SCTP, ICMP or ICMPv6, or the number of another IP protocol"
    ),
}

_REASONS = {
    "missing": "is required",
    "extra_forbidden": "is no field of this object",
    "string_type": "must be a string",
    "string_unicode": "must be a string of valid characters",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} item(s)",
    "too_long": "must have at most {max_length} items",
    "value_error": "{error}",
    "recursion_loop": "refers to itself",
}


def _reason(kind: str, context: Mapping[str, Any], message: str) -> str:
    return _REASONS[kind].format(**context) if kind in _REASONS else message
