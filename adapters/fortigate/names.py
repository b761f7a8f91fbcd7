"""What our objects are called on a FortiGate, and the mark by which we know them again.

An object is called `<owner>_<cluster>_<scope>_<namespace>_<name>_<part>`; fields that are empty at the end are left out. A name that is
too long, or a field with other characters, becomes `<owner>__long_<what fits>_<hash>`. The mark stands in the comment and holds the whole
key, so a name need not lead back to it: it must be the one that the key has. Addresses and services of which groups and policies are made
are called by what they are, `<owner>_10.0.0.1`, and shared by all that name them; they have one field, so they never look like a key.
"""

import hashlib
import re
from dataclasses import dataclass

from bridge.model.identity import Kind, ObjectKey

NAME_LENGTH = 79  # of addresses, groups and services (Swagger 6.4.14)
POLICY_NAME_LENGTH = 35
COMMENT_LENGTH = 255
COMMENTS_LENGTH = 1023  # of policies
LINE_LENGTH = 300

_PLAIN = re.compile(r"[A-Za-z0-9.-]*\Z")
_LINE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_MARKABLE = re.compile(r"[^<>\"'\\|\x00-\x1f\x7f-\uffff]*\Z")
_SUFFIX = len("_sctp")


@dataclass(frozen=True, slots=True)
class Names:
    """The names and marks of one owner."""

    owner: str

    @property
    def prefix(self) -> str:
        """How each of our names begins."""
        return f"{self.owner}_"

    @property
    def mark_prefix(self) -> str:
        """How each of our marks begins."""
        return f"fb:{self.owner}:"

    def name(self, key: ObjectKey) -> str:
        """What a group, a part of one, or the services of a set of ports are called; those have a protocol behind."""
        plain = f"{self.prefix}{'_'.join(_fields(key))}".rstrip("_")
        if all(_PLAIN.match(field) for field in _fields(key)) and len(plain) <= NAME_LENGTH - _SUFFIX:
            return plain
        head, tail = f"{self.prefix}_long_", f"_{_hash(str(key), 16)}"
        readable = "-".join(re.sub(r"[^A-Za-z0-9.-]", "-", field) for field in _fields(key) if field)
        return f"{head}{readable[: NAME_LENGTH - _SUFFIX - len(head) - len(tail)]}{tail}"

    def shared(self, what: str) -> str:
        """What an address or a service is called that stands for what it is."""
        plain = f"{self.prefix}{what}"
        if len(plain) <= NAME_LENGTH:
            return plain
        tail = f"_{_hash(what, 16)}"
        return f"{plain[: NAME_LENGTH - len(tail)]}{tail}"

    def policy_name(self, key: ObjectKey, line: str, content: str) -> str:
        """What a policy is called: readable, and another one for every line and content, for no two may share a name."""
        head, tail = self.prefix, f"_{_hash(f'{key} {line} {content}', 10)}"
        readable = re.sub(r"[^A-Za-z0-9.-]", "-", line or key.namespace or key.scope.value)
        return f"{head}{readable[: POLICY_NAME_LENGTH - len(head) - len(tail)]}{tail}"

    def mark(self, text: str) -> str:
        """The comment of what belongs to a key, or of what is called by what it is."""
        return f"{self.mark_prefix}{text}"

    def marked(self, comment: str) -> str | None:
        """What a comment of ours is about; None when it is none of ours."""
        return comment.removeprefix(self.mark_prefix) if comment.startswith(self.mark_prefix) else None

    def key(self, comment: str) -> ObjectKey | None:
        """The key in a mark; None when there is none."""
        try:
            return ObjectKey.parse(self.marked(comment) or "")
        except ValueError:
            return None

    def looks_ours(self, name: str, comment: str) -> bool:
        """Whether a person could take the object for ours."""
        return name.startswith(self.prefix) or comment.startswith(self.mark_prefix)

    def key_problem(self, key: ObjectKey) -> str:
        """Why no object can be called after this key; empty when one can."""
        text = str(key)
        if not _MARKABLE.match(text):
            return "its name has characters that no comment on the device can have"
        room = COMMENT_LENGTH - len(self.mark_prefix)
        if key.kind in (Kind.GROUP, Kind.SHARD, Kind.PORTS) and len(text) > room:
            return (
                f"its key has {len(text)} characters, and the comment that holds it on the device has room for {room}"
            )
        try:
            same = ObjectKey.parse(text) == key
        except ValueError:
            same = False
        return "" if same else "its name has separators that make it ambiguous"


def line_name(name: str) -> str:
    """What a line of a rule list is called: the name itself, or with a hash where the device would refuse it."""
    if _LINE.match(name) and len(name) <= LINE_LENGTH:
        return name
    readable = re.sub(r"[^A-Za-z0-9_.-]", "-", name).lstrip("-.")[: LINE_LENGTH - 13]
    return f"{readable or 'rule'}_{_hash(name, 12)}"


def _fields(key: ObjectKey) -> tuple[str, ...]:
    return (key.cluster, key.scope.value, key.namespace, key.name, key.part)


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
