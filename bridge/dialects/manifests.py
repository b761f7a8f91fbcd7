"""`fusion-bridge validate`: what is wrong with manifests on disk, found without any cluster, in the words that the status would use.

Objects of other groups are passed over but for our annotations. A set of manifests is rarely everything, so what refers outside it is
a warning; what the bridge or the API server would refuse is an error.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from bridge.dialects import fields, kinds, native, orders
from bridge.dialects.cautions import cautions
from bridge.dialects.dialect import Dialects, reader, ref_of
from bridge.dialects.documents import Document, Unreadable, documents
from bridge.dialects.frames import ANNOTATED, annotation, frame
from bridge.dialects.kinds import API_VERSION, GROUP, Kind
from bridge.model.kinds import ORDERS
from bridge.model.observed import Order, PolicyObject
from bridge.model.policy import ExternalService, Ref, Rule, SourceKind
from bridge.policy.critique import criticise

STDIN = "-"
SUFFIXES = (".yaml", ".yml", ".json")
DEFAULT_NAMESPACE = "default"
_OURS = {kind.name: kind for kind in (*kinds.KINDS, *ORDERS)}
_TEMPLATES = ("spec.template", "spec.jobTemplate.spec.template")


class Severity(StrEnum):
    """An error is refused by the bridge or the API server; a warning is taken and seldom meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at: the file as it was named, the line where it is known, the object and its field ("" for the whole)."""

    path: str
    line: int | None
    object: str
    field: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line is not None else self.path
        return ": ".join(part for part in (place, self.severity.value, self.object, self.field, self.message) if part)


def check(
    paths: Iterable[str | Path],
    stdin: TextIO | None = None,
    now: datetime | None = None,
    dialects: Dialects | None = None,
) -> list[Finding]:
    """Everything found in files and in folders (all .yaml, .yml and .json below them); `-` is standard input.

    Objects of other dialects than ours are checked where `dialects` has them.
    """
    checked = _Check(now or datetime.now(UTC), dialects or Dialects((native.DIALECT,)))
    for path in paths:
        for name, text in _texts(path, stdin or sys.stdin, checked):
            checked.text(name, text)
    checked.relations()
    return checked.findings


def failed(findings: Iterable[Finding]) -> bool:
    """Whether any of them is an error."""
    return any(finding.severity is Severity.ERROR for finding in findings)


def _texts(path: str | Path, stdin: TextIO, checked: "_Check") -> Iterator[tuple[str, str]]:
    if str(path) == STDIN:
        yield "<stdin>", stdin.read()
        return
    place = Path(path)
    files = [place]
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        if not files:
            checked.add(str(path), None, "", "", f"holds no manifest ({', '.join(SUFFIXES)})", Severity.WARNING)
    for file in files:
        try:
            yield str(file), file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "is not UTF-8 text"
            checked.add(str(file), None, "", "", reason)


@dataclass(frozen=True, slots=True)
class _Place:
    """An object of the set and where it stands."""

    path: str
    document: Document
    ref: Ref
    kind: Kind

    def __str__(self) -> str:
        line = self.document.line()
        return f"{self.path}:{line}" if line is not None else self.path


@dataclass
class _Check:
    """What has been read so far. `services` holds the Services of others, `external` and `rules` our own that could be taken."""

    now: datetime
    dialects: Dialects
    findings: list[Finding] = field(default_factory=list)
    places: dict[Ref, _Place] = field(default_factory=dict)
    external: dict[Ref, ExternalService] = field(default_factory=dict)
    rules: list[tuple[_Place, Rule]] = field(default_factory=list)
    services: dict[str, set[str]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)  # dialects that were not asked for, each told of once

    def add(
        self, path: str, line: int | None, about: str, where: str, message: str, severity: Severity = Severity.ERROR
    ) -> None:
        self.findings.append(Finding(path, line, about, where, severity, message))

    def at(self, place: _Place, where: str, message: str, severity: Severity = Severity.ERROR) -> None:
        self.add(place.path, place.document.line(where), str(place.ref), where, message, severity)

    def text(self, path: str, text: str) -> None:
        for document in documents(text):
            if isinstance(document, Unreadable):
                self.add(path, document.line, "", "", document.reason)
            else:
                self.document(path, document)

    def document(self, path: str, document: Document) -> None:
        """One object, or each of a list; what is no object at all is passed over."""
        value = document.value
        if not isinstance(value, dict):
            return
        kind, version = value.get("kind"), value.get("apiVersion")
        if isinstance(kind, str) and kind.endswith("List") and isinstance(value.get("items"), list):
            for index in range(len(value["items"])):
                self.document(path, document.at(f"items[{index}]"))
        elif (found := self.foreign_kind(version, kind)) is not None:
            self.policy(path, document, found)
        elif isinstance(version, str) and version.partition("/")[0] == GROUP:
            self.ours(path, document, version, kind)
        elif isinstance(kind, str):
            self.foreign(path, document, kind)

    def ours(self, path: str, document: Document, version: str, name: object) -> None:
        about = f"{name} {_name_of(document.value)}" if isinstance(name, str) else ""
        kind = _OURS.get(name) if isinstance(name, str) else None
        if version != API_VERSION:
            self.add(path, document.line("apiVersion"), about, "apiVersion", f"must be {API_VERSION}")
        if kind is None:
            said = fields.shown(name) if isinstance(name, str) else "this"
            known = ", ".join(_OURS)
            self.add(path, document.line("kind"), about, "kind", f"{said} is no kind of {GROUP}: {known}")
        if kind is not None and version == API_VERSION:
            (self.policy if kind.is_policy else self.order)(path, document, kind)

    def foreign_kind(self, version: object, name: object) -> Kind | None:
        """The kind of another program that a dialect in use reads."""
        kinds = self.dialects.kinds.values()
        return next((one for one in kinds if one.foreign and (one.api_version, one.name) == (version, name)), None)

    def policy(self, path: str, document: Document, kind: Kind) -> None:
        """An object of a kind that is read: its frame, then its spec."""
        value = document.value
        metadata = _mapping(value.get("metadata"))
        obj = _policy_object(kind, metadata, value.get("spec"))
        place = _Place(path, document, ref_of(kind, obj), kind)
        for error in frame(kind, value, metadata):
            self.at(place, error.path, error.reason)
        self.annotations(path, document, str(place.ref), "metadata", takes_groups=False)
        self.unique(place)
        if isinstance(value.get("spec"), dict):
            self.spec(place, obj)

    def order(self, path: str, document: Document, kind: Kind) -> None:
        """A Decision or a Stop, which is given once."""
        metadata = _mapping(document.value.get("metadata"))
        metadata = {"name": metadata.get("generateName"), **metadata} if "generateName" in metadata else metadata
        name = str(metadata.get("name", ""))
        place = _Place(path, document, Ref(kind.ref, "", name), kind)
        order = Order(kind.resource, "", name, "", document.value.get("spec"))
        wrong = list(frame(kind, document.value, metadata | {"name": name.rstrip("-")}))
        for error in wrong or orders.problems(order):
            self.at(place, error.path, error.reason)
        self.at(place, "kind", "is given once: applied anew, it is a new one", Severity.WARNING)

    def unique(self, place: _Place) -> None:
        """The same object twice: the one applied last would win, so neither is what it seems."""
        if place.ref.name and place.ref in self.places:
            self.at(place, "metadata.name", f"is defined twice, first in {self.places[place.ref]}")
        self.places.setdefault(place.ref, place)

    def spec(self, place: _Place, obj: PolicyObject) -> None:
        wrong = self.dialects.problems(obj)
        for error in wrong:
            self.at(place, error.path, error.reason)
        if wrong:
            return
        for where, message in self.dialects.cautions(obj):
            self.at(place, where, message, Severity.WARNING)
        value = self.dialects.read(obj)
        if isinstance(value, Rule):
            # What goes by the order of first sight is taken to be applied in the order in which it stands here.
            ordered = self.dialects.first_seen(obj.resource)
            self.rules.append((place, replace(value, sequence=len(self.rules) + 1) if ordered else value))
        elif isinstance(value, ExternalService):
            self.external[value.ref] = value

    def foreign(self, path: str, document: Document, kind: str) -> None:
        """An object of somebody else: only our annotations count, and Services for what names them."""
        about = f"{kind} {_name_of(document.value)}"
        dialect = reader(str(document.value.get("apiVersion")), kind)
        if dialect and dialect not in self.unread:
            self.unread.add(dialect)
            words = f"is policy in the dialect {dialect}, which is not checked here unless you ask: --dialect {dialect}"
            self.add(path, document.line("apiVersion"), about, "apiVersion", words, Severity.WARNING)
        if kind == "Service":
            metadata = _mapping(document.value.get("metadata"))
            namespace = str(metadata.get("namespace", DEFAULT_NAMESPACE))
            self.services.setdefault(namespace, set()).add(str(metadata.get("name", "")))
        self.annotations(path, document, about, "metadata", takes_groups=kind in ANNOTATED)
        for template in _TEMPLATES:
            if isinstance(_inside(document.value, template), dict):
                self.annotations(path, document, about, f"{template}.metadata", takes_groups=True)

    def annotations(self, path: str, document: Document, about: str, where: str, *, takes_groups: bool) -> None:
        annotations = _mapping(_inside(document.value, f"{where}.annotations"))
        for key, value in annotations.items():
            if not isinstance(key, str) or not key.startswith(f"{GROUP}/"):
                continue
            spot = f'{where}.annotations["{key}"]'
            message, refused = annotation(key, value, takes_groups=takes_groups)
            if message:
                severity = Severity.ERROR if refused else Severity.WARNING
                self.add(path, document.line(spot), about, spot, message, severity)

    def relations(self) -> None:
        """What can be said only when all has been read: references, and rules that are seldom meant."""
        for place, rule in self.rules:
            for where, ref in _named(place, rule):
                if ref not in self.places:
                    self.at(place, where, f"{ref} is not among these manifests", Severity.WARNING)
            self.service(place, rule)
            for where, message in cautions(rule, self.external, self.now):
                self.at(place, where.replace("spec.to", place.kind.targets), message, Severity.WARNING)
        rules = {rule.ref: rule for _, rule in self.rules}
        for said in criticise(rules.values(), self.external):
            self.at(self.places[said.ref], "spec", said.message, Severity.WARNING)

    def service(self, place: _Place, rule: Rule) -> None:
        """A Service is missed only where these manifests hold others of its namespace."""
        known = self.services.get(rule.source.namespace, set())
        if rule.source.kind is SourceKind.SERVICE and known and rule.source.service not in known:
            missing = f"Service {rule.source.namespace}/{rule.source.service} is not among these manifests"
            self.at(place, "spec.service", missing, Severity.WARNING)


def _policy_object(kind: Kind, metadata: dict[Any, Any], spec: object) -> PolicyObject:
    namespace = str(metadata.get("namespace", DEFAULT_NAMESPACE)) if kind.namespaced else ""
    name = str(metadata.get("name", ""))
    return PolicyObject(kind.resource, "", namespace, name, "", 0, {}, _mapping(spec))


def _named(place: _Place, rule: Rule) -> Iterator[tuple[str, Ref]]:
    """Each external service that a rule names, and where."""
    targets = _inside(place.document.value, place.kind.targets)
    for index, target in enumerate(targets if isinstance(targets, list) else ()):
        where = f"{place.kind.targets}[{index}]"
        if place.kind.foreign:
            yield from ((where, ref) for ref in rule.destinations if ref.name == target)
        else:
            yield f"{where}.name", _target(place.ref, target)


def _target(rule: Ref, target: dict[str, str]) -> Ref:
    """The external service of one item of `to` in a rule of ours."""
    fallback = kinds.EXTERNAL_SERVICE if kinds.BY_NAME[rule.kind].namespaced else kinds.CLUSTER_EXTERNAL_SERVICE
    kind = kinds.BY_NAME[target.get("kind", fallback.name)]
    return Ref(kind.name, rule.namespace if kind.namespaced else "", target["name"])


def _name_of(value: dict[Any, Any]) -> str:
    """As Ref prints it: namespace/name, or the name alone."""
    metadata = _mapping(value.get("metadata"))
    parts = [str(metadata[key]) for key in ("namespace", "name") if key in metadata]
    return "/".join(parts)


def _inside(value: object, path: str) -> object:
    for step in path.split("."):
        value = _mapping(value).get(step)
    return value


def _mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}
