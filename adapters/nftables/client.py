"""nft as it is spoken to: one JSON document in, one out, and one meaning for each way in which it says no.

no answer in time, killed, no memory, interrupted     Busy
not root, no nft, ssh refused                         Denied
anything else                                         Refusal: what it means is found out by reading again
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, NoReturn

import msgspec

from adapters.nftables import wire
from adapters.nftables.transport import Answer, Transport, store
from bridge.contract import always
from bridge.errors import Busy, Denied

Json = dict[str, Any]

_BUSY = (
    "Cannot allocate memory",
    "No buffer space",
    "Resource temporarily",
    "Interrupted system call",
    "Message too long",
)
_DENIED = (
    "Operation not permitted",
    "must be root",
    "Permission denied",
    "a password is required",
    "not in the sudoers",
    'exec of "',
    "Cannot open network namespace",
)
_CONFLICTS = (
    "File exists",
    "No such file or directory",
    "Device or resource busy",
    "interval overlaps",
    "does not exist",
)


class Refusal(Exception):
    """nft refuses a transaction; nothing of it was done. `conflict` says that what stands is not what was expected to."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.conflict = any(words in text for words in _CONFLICTS)
        super().__init__(text)


class Client:
    """Lists and changes the tables of one gateway. The permit is asked before each change."""

    def __init__(self, device: str, transport: Transport, program: str, permit: Callable[[], None] = always) -> None:
        self.device = device
        self._transport = transport
        self._program = program
        self._permit = permit

    @property
    def calls(self) -> int:
        """Commands run so far."""
        return self._transport.calls

    def commit(self, commands: Iterable[Json]) -> None:
        """One transaction: all of it, or nothing. Raises Refusal, Busy, Denied."""
        document = _document(commands)
        self._permit()
        said = self._run(document, "-j", "-f", "-")
        if said.strip():
            raise Busy(self.device, "what answers a transaction is not nft, which says nothing; read again")

    def objection(self, commands: Iterable[Json]) -> str:
        """What the kernel would say to a transaction; empty when it would take it. Nothing is changed."""
        try:
            self._run(_document(commands), "-c", "-j", "-f", "-")
        except Refusal as refusal:
            return refusal.text
        return ""

    def tables(self) -> list[wire.Table]:
        """Every table of the gateway."""
        return self._decoded(self._listed("list", "tables")).tables

    def table(self, name: str) -> wire.Listing:
        """All that stands in a table of the family inet."""
        return self._decoded(self._listed("list", "table", "inet", name))

    def chains(self, table: str, names: Collection[str]) -> wire.Listing:
        """These chains and their rules, perhaps others too; one that is gone is not named.

        Several `list chain` in one document are answered from a cache of the last alone (nft 1.0.6), so several are read with the table,
        without the elements of its sets.
        """
        words = ["-t", "list", "table", "inet", table]
        if len(names) == 1:
            words = ["list", "chain", "inet", table, *names]
        try:
            return self._decoded(self._judged(self._transport.run((self._program, "-jn", *words))).output)
        except Refusal as refusal:
            reason = refusal
        if reason.conflict:
            return wire.Listing()
        raise Busy(self.device, f"nft {' '.join(words)}: {reason.text}")

    def text(self, table: str) -> bytes:
        """The table as nft would take it again, without the counts."""
        return self._judged(self._transport.run((self._program, "-s", "list", "table", "inet", table))).output

    def store(self, path: str, content: bytes) -> None:
        """Replace a file on the gateway. Denied when that is refused."""
        self._permit()
        answer = store(self._transport, path, content)
        if answer.code != 0:
            raise Denied(self.device, f"{path} cannot be written: {answer.words or f'code {answer.code}'}")

    def identity(self) -> str:
        """The machine's id; empty where it has none."""
        answer = self._transport.run(("cat", "/etc/machine-id"))
        return answer.output.decode(errors="replace").strip() if answer.code == 0 else ""

    def _listed(self, *words: str) -> bytes:
        try:
            return self._judged(self._transport.run((self._program, "-jn", *words))).output
        except Refusal as refusal:
            reason = refusal.text
        raise Busy(self.device, f"nft {' '.join(words)}: {reason}")

    def _run(self, document: bytes, *words: str) -> bytes:
        return self._judged(self._transport.run((self._program, *words), document)).output

    def _judged(self, answer: Answer) -> Answer:
        if answer.code != 0:
            self._refuse(answer)
        return answer

    def _refuse(self, answer: Answer) -> NoReturn:
        text = " ".join(answer.words.replace("internal:0:0-0:", "").split())[:500]
        if answer.code in (126, 127):
            raise Denied(self.device, f"{self._program} cannot be run there: {text or 'not found'}")
        if any(words in text for words in _DENIED):
            raise Denied(self.device, f"nft: {text}")
        if answer.code < 0 or answer.code > 128:
            raise Busy(
                self.device, f"nft was killed ({answer.code}); what it was to change may have changed: read again"
            )
        if not text or any(words in text for words in _BUSY):
            raise Busy(self.device, f"nft: {text or f'code {answer.code} and no words'}")
        raise Refusal(text)

    def _decoded(self, raw: bytes) -> wire.Listing:
        try:
            return wire.listing(raw)
        except msgspec.MsgspecError as error:
            reason = str(error)
        raise Busy(self.device, f"an answer of nft is not what it documents: {reason}")


def _document(commands: Iterable[Json]) -> bytes:
    return msgspec.json.encode({"nftables": list(commands)})
