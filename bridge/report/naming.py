"""Keys and lines as a person reads them."""

from collections.abc import Mapping

from bridge.model.baseline import KEPT
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import Objects, Ports, RuleEntry

_SCOPES: Mapping[Scope, str] = {
    Scope.CLUSTER: "cluster",
    Scope.NAMESPACE: "namespace",
    Scope.SERVICE: "service",
    Scope.RULE: "rule",
    Scope.ADDRESS_GROUP: "address group",
    Scope.ANNOTATION: "annotation group",
    Scope.EXTERNAL: "external service",
    Scope.CLUSTER_EXTERNAL: "cluster external service",
    Scope.BUILTIN: "built-in",
    Scope.DEFAULT: "default",
}


BUILTIN: Mapping[str, str] = {
    "pod-ranges": "pod ranges",
    "outside": "everything outside the cluster",
    "governed": "governed workloads",
    "exempt": "workloads that are not governed",
    "known": "workloads that are known",
    "everyone": "everyone but workloads that are not governed",
}


def scope_word(scope: str) -> str:
    """What kind of thing a group stands for."""
    return _SCOPES[Scope(scope)] if scope in Scope.__members__.values() else scope


def place(namespace: str, name: str) -> str:
    """`namespace/name`, or whichever of the two there is."""
    return "/".join(part for part in (namespace, name) if part)


def named(key: ObjectKey) -> str:
    """A group as a line names it: `service shop/web`."""
    name, *more = key.name.split("-.")  # what no name of Kubernetes holds comes from the bridge itself
    if key.scope is Scope.BUILTIN:
        said = BUILTIN.get(name, name)
    else:
        said = " ".join(part for part in (_SCOPES[key.scope], place(key.namespace, name)) if part)
    kept = key.part.removeprefix(KEPT) if key.part.startswith(KEPT) else ""
    return " ".join((said, *(f"({_made(one)})" for one in more), *([f"(as {kept} keeps it)"] if kept else [])))


def _made(part: str) -> str:
    """How a group was made from the one that it is named after."""
    word, _, rest = part.partition(".")
    match word:
        case "node":
            return "as Node"
        case "egress" if rest:
            device, _, number = rest.rpartition(".")
            return f"as Egress {number} of {device}"
        case "and":
            return f"and in {rest}"
        case "not":
            return f"less {rest}"
        case "part":
            return f"in part, {rest}"
    return f"on {part}"  # of a device for some namespaces only


def title(key: ObjectKey) -> str:
    """An object by itself: what it stands for, or which list or policy it is."""
    if key.kind is Kind.RULE_LIST:
        return f"{_SCOPES[key.scope]} rules of {key.namespace or key.cluster}"
    if key.kind is Kind.POLICY:
        return f"{_SCOPES[key.scope]} policy"
    if key.kind is Kind.ATTACHMENT:
        return f"attachment of the {_SCOPES[key.scope]} policy"
    if key.kind is Kind.FENCE:
        return "the device itself"
    what = {Kind.PORTS: "ports of ", Kind.SCHEDULE: "schedule "}.get(key.kind, "")
    return f"{what}{named(key)}"


def ports_of(entry: RuleEntry, objects: Objects) -> tuple[str, ...]:
    """The ports of a line by value; none for every port. What is not to be found among the objects is named."""
    if entry.ports is None:
        return ()
    found = objects.get(entry.ports)
    return tuple(str(one) for one in found.ports) if isinstance(found, Ports) else (str(entry.ports),)


def line(entry: RuleEntry, objects: Objects) -> str:
    """A line of a rule list, its ports by value: `pay.bank.tcp Allow service shop/pay to external service shop/bank TCP 443 log`."""
    sources, destinations = (" + ".join(named(key) for key in keys) for keys in (entry.sources, entry.destinations))
    words = [entry.name, entry.action, sources, "to", destinations, entry.traffic, ",".join(ports_of(entry, objects))]
    words += [entry.schedule.name] if entry.schedule else []
    words += ["log"] * entry.log + ["withheld"] * entry.withheld
    return " ".join(word for word in words if word)
