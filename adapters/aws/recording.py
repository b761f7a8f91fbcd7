"""Changes of the register, each in the version that was read: who has lost the fence is refused by EC2 itself."""

from collections.abc import Iterable, Mapping

from adapters.aws.client import Client
from adapters.aws.errors import Meaning, Refusal
from adapters.aws.known import Known
from adapters.aws.reading import Reader
from adapters.aws.records import Recorded
from adapters.aws.register import calls, entries_of
from adapters.aws.scope import V6
from adapters.aws.values import PrefixList
from bridge.errors import DeviceError, Drifted, Rejected
from bridge.model.identity import ObjectKey


class Recording:
    """Writes records, and keeps what is known of them up to date."""

    def __init__(self, client: Client, reader: Reader, known: Known) -> None:
        self._client = client
        self._reader = reader
        self._known = known

    def write(self, put: Mapping[ObjectKey, Recorded], gone: Iterable[ObjectKey]) -> None:
        """These records in place of those before, and of these keys none; whatever is of no record goes too."""
        add = {one: words for key, value in put.items() for one, words in entries_of(key, value).items()}
        if not self._known.said.odd.isdisjoint(add):
            self.write({}, ())  # the place of one of them is taken
        remove = set(self._known.said.odd)
        for key in (*put, *gone):
            remove |= self._known.said.prefixes.get(key, frozenset())
        if not (add.keys() - self._known.entries.keys()) and not (remove - add.keys()):
            return
        blamed = next(iter(put), ObjectKey.fence())
        register = self._grown(blamed, self._known.register or self._made(blamed))
        room = register.size - len(self._known.entries)
        for coming, going in list(calls(self._known.entries, add, remove, self._known.scope.changes, room)):
            self._send(blamed, register, coming, going)
            register = self._known.register or register

    def _made(self, blamed: ObjectKey) -> PrefixList:
        """A register, as large as a list may be: nothing refers to it, so it weighs nothing."""
        names, most = self._known.names, self._known.scope.entries
        try:
            told = self._client.create(names.register, V6, most, (), names.register_tags(self._client.device))
        except Refusal as refusal:
            refused = refusal
        else:
            self._known.register = told = self._settled(told)
            return told
        raise self._meaning(blamed, refused)

    def _send(self, blamed: ObjectKey, register: PrefixList, coming: Mapping[str, str], going: set[str]) -> None:
        try:
            told = self._client.modify(register, coming, going)
        except Refusal as refusal:
            refused = refusal
        else:
            told = self._settled(told, register)
            if told.version != register.version + 1:
                raise Drifted(self._client.device, "the register was changed meanwhile")
            self._known.register = told
            left = {one: words for one, words in self._known.entries.items() if one not in going}
            self._known.entries = {**left, **coming}
            self._known.moved()
            self._reader.keep(told, self._known.entries)
            return
        raise self._meaning(blamed, refused)

    def _grown(self, blamed: ObjectKey, register: PrefixList) -> PrefixList:
        """The register as large as the settings let it be by now."""
        if register.size >= self._known.scope.entries:
            return register
        try:
            told = self._client.resize(register, self._known.scope.entries)
        except Refusal as refusal:
            refused = refusal
        else:
            self._known.register = told = self._settled(told, register)
            self._reader.keep(told, self._known.entries)
            return told
        raise self._meaning(blamed, refused)

    def _settled(self, told: PrefixList, before: PrefixList | None = None) -> PrefixList:
        """The register once its change is made; `before` is what it was."""
        for found in self._reader.changed({told.id: before}):
            if found.id == told.id and not found.failed and (before is None or found.differs(before)):
                return found
        raise Drifted(self._client.device, "the register was not changed after all")

    def _meaning(self, blamed: ObjectKey, refusal: Refusal) -> DeviceError:
        if refusal.meaning is Meaning.CONFLICT:
            return Drifted(self._client.device, f"the register is not as it was read: {refusal}")
        return Rejected(self._client.device, {str(blamed): str(refusal)})
