"""What the argument of `history` can mean. Words are read by their form alone; what of it is recorded is for the caller to look up.

    10.244.0.7, fd00::7                     an address
    group:east/service/shop/web             an object, by the key that reports print; rules:…, ports:… too
    fb_east_service_shop_web                a group, by its name in the console, with or without its folder
    "service shop/web", "pod ranges"        a group, as reports call it; "service rules of shop" and whatever else they name, too
    east/service/shop/web                   a group, by cluster, scope, namespace and name
    shop/web                                a group that stands for one thing of that name
    rules/east/service/shop                 an object, by its name in nftables
    pod/shop/web-7, shop/web-7              pods of that name, whatever their uid; uid/<uid> for one of them
    rule/shop/out, shop/out, "ServiceEgressRule shop/out"
    rule/baseline, baseline, "ClusterEgressRule baseline"
    device/edge, edge                       a device

Where words can mean several things, all are returned.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from itertools import product

from bridge.model.addresses import canonical_address
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.report.naming import BUILTIN, title

_PART = re.compile(r"_[0-9a-f]{2,}\.\d+$")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEY_KINDS = frozenset(kind.value for kind in Kind)
_OF_CLUSTER = (Kind.GROUP, Kind.PORTS, Kind.RULE_LIST)
_OF_DEVICE = (Kind.POLICY, Kind.ATTACHMENT)  # their keys have no cluster, and nothing but a scope
_ONE_THING = (Scope.SERVICE, Scope.EXTERNAL, Scope.ADDRESS_GROUP, Scope.ANNOTATION)
FORMS = (
    "write an address, pod/NAMESPACE/NAME, uid/UID, rule/NAMESPACE/NAME, rule/NAME, device/NAME, "
    "a key like group:CLUSTER/service/NAMESPACE/NAME, or what reports or the device's console call it; "
    "of what is not the bridge's own there is no history"
)
_RULES = {
    "ClusterEgressRule": Scope.CLUSTER,
    "NamespaceEgressRule": Scope.NAMESPACE,
    "ServiceEgressRule": Scope.SERVICE,
}


class What(StrEnum):
    """The kinds of thing that have a history."""

    ADDRESS = "ip"
    POD = "pod"
    UID = "uid"
    GROUP = "group"
    OBJECT = "object"
    RULE = "rule"
    DEVICE = "device"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """One thing, by what its kind needs: an address, uid or device by `name`, a pod by namespace and name, a rule by its kinds as well.

    A group or object by its key; where the words are what reports or consoles call it, it has only the `name`.
    """

    what: What
    name: str
    namespace: str = ""
    kinds: tuple[str, ...] = ()
    key: ObjectKey | None = None

    def __str__(self) -> str:
        """Words that mean just this."""
        if self.key is not None:
            return str(self.key)
        if self.what is What.RULE and len(self.kinds) == 1:
            return f"{self.kinds[0]}/{self.namespace}/{self.name}" if self.namespace else f"{self.kinds[0]}/{self.name}"
        return "/".join(part for part in (self.what.value, self.namespace, self.name) if part)


def subjects(text: str) -> tuple[Subject, ...]:
    """Everything that these words can mean. ValueError for words that can mean nothing."""
    words = text.strip()
    if _is_address(words):
        return (Subject(What.ADDRESS, canonical_address(words)),)
    if words.partition(":")[0] in _KEY_KINDS and ":" in words:
        return (_of_key(ObjectKey.parse(words)),)
    kind, _, rest = words.replace(" ", "/").partition("/")
    if kind in _RULES:
        return (_rule(rest, (kind,)),)
    if kind in _KEY_KINDS and (key := _padded(Kind(kind), rest.split("/"))):
        return (_of_key(key),)
    if rest and " " not in words and kind in set(What) - {What.OBJECT}:
        return (_told(What(kind), rest, words),)
    found = tuple(_guessed(words))
    if not found:
        raise ValueError(f"{text!r} is no address, group, rule, device or pod; {FORMS}")
    return found


def rule_lists(subject: Subject, clusters: Iterable[str]) -> list[str]:
    """The keys of the rule lists in which the lines of the rule stand, where it is one."""
    scopes = [_RULES[kind] for kind in subject.kinds]
    return [
        str(ObjectKey(Kind.RULE_LIST, cluster, scope, subject.namespace)) for cluster in clusters for scope in scopes
    ]


def objects_called(words: str, clusters: Iterable[str], groups: Iterable[str]) -> list[Subject]:
    """What reports and consoles may call so: among these groups, and whatever the words lead back to, recorded or not."""
    keys = matching(words, groups)
    for cluster in (*clusters, ""):
        if " " in words:
            keys += _titled(words, cluster)
        elif "/" in words:
            namespace, _, name = words.partition("/")
            keys += [ObjectKey(Kind.GROUP, cluster, scope, namespace, name) for scope in _ONE_THING]
        else:
            keys += _in_console(words, cluster)
    return [_of_key(key) for key in dict.fromkeys(keys)]


def matching(words: str, groups: Iterable[str]) -> list[ObjectKey]:
    """Which of the groups with these keys reports or consoles call so.

    In a console a group is `<owner>_<cluster>_<scope>_<namespace>_<name>`, a part of it ends in `_<index>.<of>`, and a long name, which
    has no cluster after the owner, ends in the first digits of the hash of its key.
    """
    if " " in words:
        return [key for key in map(ObjectKey.parse, groups) if words == title(key)]
    fields = _PART.sub("", words.partition("_")[2])
    fits = _has_hash if fields.startswith("_") else _has_fields
    return [ObjectKey.parse(key) for key in groups if fits(key, fields)]


def _titled(words: str, cluster: str) -> list[ObjectKey]:
    """The keys that have this title: of few that it can be, those that do."""
    place = words.rpartition(" ")[2]
    namespace, _, name = place.rpartition("/")
    device = place.removesuffix(")")
    built_in = [("", f"{one}{of}") for one in BUILTIN for of in ("", f"-.{device}")]
    places = dict.fromkeys(
        [("", ""), (namespace, name), *([] if namespace else [(place, "")]), *built_in] if cluster else [("", "")]
    )
    kinds = _OF_CLUSTER if cluster else _OF_DEVICE
    keys = (ObjectKey(kind, cluster, scope, *where) for kind, scope, where in product(kinds, Scope, places))
    return [key for key in keys if title(key) == words]


def _in_console(words: str, cluster: str) -> list[ObjectKey]:
    """The keys that this name in a console leads back to, if it is one of that cluster: one for each kind of object."""
    _, *fields = _PART.sub("", words).split("_")
    if fields[:1] != [cluster]:
        return []
    return [key for kind in (_OF_CLUSTER if cluster else _OF_DEVICE) if (key := _padded(kind, fields))]


def _padded(kind: Kind, fields: list[str]) -> ObjectKey | None:
    """The key of these fields, of which those that are empty at the end were left out; None when it is none."""
    if not 2 <= len(fields) <= 4 or fields[1] not in set(Scope):
        return None
    cluster, scope, namespace, name = (*fields, "", "")[:4]
    return ObjectKey(kind, cluster, Scope(scope), namespace, name)


def _is_address(words: str) -> bool:
    if re.fullmatch(r"[0-9a-fA-F.:]+/\d+", words):
        raise ValueError(f"{words} is a prefix: ask for one address")
    try:
        ip_address(words)
    except ValueError:
        return False
    return True


def _of_key(key: ObjectKey) -> Subject:
    if key.kind in (Kind.GROUP, Kind.SHARD):
        return Subject(What.GROUP, key.name, key.namespace, key=key.group)
    return Subject(What.OBJECT, key.name, key.namespace, key=key)


def _told(what: What, rest: str, words: str) -> Subject:
    """Words that begin with what they are about."""
    parts = rest.split("/")
    match what:
        case What.ADDRESS:
            return Subject(what, canonical_address(rest))
        case What.RULE:
            return _rule(rest, tuple(_RULES))
        case What.POD if len(parts) == 2:
            return Subject(what, parts[1], parts[0])
        case What.UID | What.DEVICE if len(parts) == 1:
            return Subject(what, rest)
        case What.GROUP if len(parts) == 4:
            return _of_key(ObjectKey.parse(f"{Kind.GROUP}:{rest}"))
        case What.GROUP if len(parts) == 1:
            return Subject(what, rest)
    raise ValueError(f"{words!r} names no {what}; see `fusion-bridge history --help`")


def _rule(rest: str, kinds: tuple[str, ...]) -> Subject:
    namespace, slash, name = rest.rpartition("/")
    fit = tuple(kind for kind in kinds if (_RULES[kind] is Scope.CLUSTER) != bool(slash))
    if not fit or not name or "/" in namespace:
        raise ValueError(f"{rest!r} is no rule; write rule/NAMESPACE/NAME, or rule/NAME for one of the cluster")
    return Subject(What.RULE, name, namespace, fit)


def _guessed(words: str) -> Iterator[Subject]:
    """What words without a kind can mean, by how many parts they have."""
    parts = words.split("/")
    if " " in words:
        yield Subject(What.GROUP, words)
    elif words.startswith("/") and len(parts) > 1 and all(parts[1:]):
        yield Subject(What.GROUP, parts[-1])
    elif len(parts) == 4 and parts[1] in set(Scope):
        yield _of_key(ObjectKey.parse(f"{Kind.GROUP}:{words}"))
    elif len(parts) == 2 and all(parts):
        yield Subject(What.POD, parts[1], parts[0])
        yield Subject(What.RULE, parts[1], parts[0], ("NamespaceEgressRule", "ServiceEgressRule"))
        yield Subject(What.GROUP, words)
    elif len(parts) == 1 and words:
        if _UID.fullmatch(words):
            yield Subject(What.UID, words)
        yield Subject(What.DEVICE, words)
        yield Subject(What.RULE, words, "", ("ClusterEgressRule",))
        yield Subject(What.GROUP, words)


def _has_fields(key: str, fields: str) -> bool:
    return fields == key.partition(":")[2].replace("/", "_").rstrip("_")


def _has_hash(key: str, fields: str) -> bool:
    return fields.endswith("_" + hashlib.sha256(key.encode()).hexdigest()[:16])
