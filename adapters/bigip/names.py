"""What our objects are called on the device, and the mark by which we know them again.

Everything lives in the folder `/Common/<owner>`; what AS3 makes for us, in the application `firewall` of a tenant of our own. An object is
called `<owner>_<cluster>_<scope>_<namespace>_<name>_<part>`: Kubernetes names hold no `_`, fields that are empty at the end are left out,
an empty one in between leaves two `_` in a row. So the name is readable in the console and leads back to the key. A name that is too long,
or a field with other characters, becomes `<owner>__long_<what fits>_<hash>`; its key is kept in the record object `names` of the folder.

The mark stands in `description`, 60 characters at most. Name and mark must agree before anything is taken for ours.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.model.identity import Kind, ObjectKey, Scope

NAME_LENGTH = 190  # what AS3 takes, and less than any version is known to refuse
MARK_LENGTH = 60
PARTITION = "Common"
APPLICATION = "firewall"

_PLAIN = re.compile(r"[A-Za-z0-9.-]*\Z")
_ENTRY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_PRINTABLE = re.compile(r"[ -~]*\Z")
_LONG = "long"

COLLECTIONS: Mapping[Kind, str] = {
    Kind.GROUP: "security/firewall/address-list",
    Kind.SHARD: "security/firewall/address-list",
    Kind.PORTS: "security/firewall/port-list",
    Kind.SCHEDULE: "security/firewall/schedule",
    Kind.RULE_LIST: "security/firewall/rule-list",
    Kind.POLICY: "security/firewall/policy",
}


DECLARED = (Kind.PORTS, Kind.RULE_LIST, Kind.POLICY)
"""What AS3 makes, where it is used: addresses change too often for it."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names and marks of one owner; `tenant` where AS3 makes part of it."""

    owner: str
    tenant: str = ""

    @property
    def folder(self) -> str:
        """Where everything of ours lives that AS3 does not make."""
        return f"/{PARTITION}/{self.owner}"

    @property
    def application(self) -> str:
        """Where what AS3 makes lives."""
        return f"/{self.tenant}/{APPLICATION}"

    @property
    def enforced(self) -> str:
        """The full path of the policy that AS3 puts before our virtual servers; no object of the model."""
        return f"{self.application}/{self.prefix}enforced"

    def home(self, kind: Kind) -> str:
        """The folder of objects of this kind."""
        return self.application if self.tenant and kind in DECLARED else self.folder

    @property
    def prefix(self) -> str:
        """How each of our names begins."""
        return f"{self.owner}_"

    @property
    def mark_prefix(self) -> str:
        """How each of our marks begins."""
        return f"fb:{self.owner}:"

    def name(self, key: ObjectKey) -> str:
        """What the object is called inside the folder."""
        return self._long_name(key) if self.is_long(key) else self._plain_name(key)

    def is_long(self, key: ObjectKey) -> bool:
        """Whether the name cannot lead back to the key, so that the key has to be kept beside it."""
        return not all(_PLAIN.match(field) for field in _fields(key)) or len(self._plain_name(key)) > NAME_LENGTH

    def path(self, key: ObjectKey) -> str:
        """The object's full path."""
        return f"{self.home(key.kind)}/{self.name(key)}"

    def mark(self, key: ObjectKey) -> str:
        """The object's description."""
        text = f"{self.mark_prefix}{key}"
        if len(text) <= MARK_LENGTH and all(_PLAIN.match(field) for field in _fields(key)):
            return text
        return f"{self.mark_prefix}#{_hash(key, 24)}"

    def own_mark(self, name: str) -> str:
        """The description of a record object of our own (the fence, the long names)."""
        return f"{self.mark_prefix}{name}"

    def key(self, kind: Kind, name: str, index: Mapping[str, str]) -> ObjectKey | None:
        """The key that a name leads back to, None when it is none of our names. `index` holds the keys of long names.

        `kind` is GROUP for every address list; a name with a part is then a shard.
        """
        try:
            key = ObjectKey.parse(index[name]) if name in index else self._parsed(kind, name)
        except ValueError:
            return None
        if key is None or COLLECTIONS.get(key.kind) != COLLECTIONS[kind] or self.name(key) != name:
            return None
        return key

    def in_folder(self, path: str) -> bool:
        """Whether the full path lies in our folder, or in our tenant."""
        return path.startswith(f"{self.folder}/") or bool(self.tenant and path.startswith(f"/{self.tenant}/"))

    def is_enforced(self, path: str, description: str) -> bool:
        """Whether this is our policy that AS3 puts before our virtual servers."""
        return bool(self.tenant) and path == self.enforced and description.startswith(self.own_mark("enforced"))

    def looks_ours(self, path: str, description: str) -> bool:
        """Whether a person could take the object for ours."""
        return (
            self.in_folder(path)
            or path.rpartition("/")[2].startswith(self.prefix)
            or description.startswith(self.mark_prefix)
        )

    def _parsed(self, kind: Kind, name: str) -> ObjectKey | None:
        owner, *fields = name.split("_")
        if owner != self.owner or not 2 <= len(fields) <= 5:
            return None
        cluster, scope, namespace, own, part = (*fields, "", "", "")[:5]
        shard = kind is Kind.GROUP and bool(part)
        return ObjectKey(Kind.SHARD if shard else kind, cluster, Scope(scope), namespace, own, part)

    def _plain_name(self, key: ObjectKey) -> str:
        return f"{self.prefix}{'_'.join(_fields(key))}".rstrip("_")

    def _long_name(self, key: ObjectKey) -> str:
        head, tail = f"{self.prefix}_{_LONG}_", f"_{_hash(key, 16)}"
        readable = "-".join(re.sub(r"[^A-Za-z0-9.-]", "-", field) for field in _fields(key) if field)
        return f"{head}{readable[: NAME_LENGTH - len(head) - len(tail)]}{tail}"


def key_problem(key: ObjectKey) -> str:
    """Why no object can be called after this key; empty when one can."""
    text = str(key)
    if not _PRINTABLE.match(text):
        return "its name has characters that no name on the device can have"
    try:
        same = ObjectKey.parse(text) == key
    except ValueError:
        same = False
    return "" if same else "its name has separators that make it ambiguous"


def entry_name(name: str) -> str:
    """What a line of a rule list is called: the name itself, or cut with a hash where the device would refuse it."""
    if _ENTRY.match(name) and len(name) <= NAME_LENGTH and name not in ("first", "last"):
        return name
    readable = re.sub(r"[^A-Za-z0-9_.-]", "-", name).lstrip("-.")[: NAME_LENGTH - 13]
    return f"{readable or 'rule'}_{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _fields(key: ObjectKey) -> tuple[str, ...]:
    return (key.cluster, key.scope.value, key.namespace, key.name, key.part)


def _hash(key: ObjectKey, digits: int) -> str:
    return hashlib.sha256(str(key).encode()).hexdigest()[:digits]
