"""Small records of our own in our folder, as internal data groups: the fence, and the keys of names that are too long."""

from collections.abc import Mapping
from typing import Any

from adapters.bigip import wire
from adapters.bigip.client import Client, Refusal
from adapters.bigip.names import PARTITION, Names
from bridge.errors import Denied, NotOwned

_COLLECTION = "ltm/data-group/internal"
FENCE, LONG_NAMES = "fence", "names"


class Records:
    """Reads and writes the record objects of one owner."""

    def __init__(self, client: Client, names: Names) -> None:
        self._client = client
        self._names = names

    def read(self, name: str) -> dict[str, str] | None:
        """The records by name; None when there is no such object. NotOwned when one stands there without our mark."""
        found = self._client.find(self.path(name), wire.DataGroup)
        if found is None:
            return None
        self._own(name, found)
        return {record.name: record.data for record in found.records}

    def write(self, name: str, records: Mapping[str, str], *, new: bool) -> dict[str, str]:
        """Create or replace the records; what the answer shows. Raises Refusal, NotOwned."""
        answer = self._client.call(*self.request(name, records, new=new))
        found = self._client.decoded(answer, wire.DataGroup)
        self._own(name, found)
        return {record.name: record.data for record in found.records}

    def request(self, name: str, records: Mapping[str, str], *, new: bool) -> tuple[str, str, dict[str, Any]]:
        """Method, path and body of the write."""
        body: dict[str, Any] = {"records": [{"name": key, "data": data} for key, data in sorted(records.items())]}
        if not new:
            return "PATCH", self.path(name), body
        head = {"name": name, "partition": PARTITION, "subPath": self._names.owner, "type": "string"}
        return "POST", _COLLECTION, head | {"description": self._names.own_mark(name)} | body

    def path(self, name: str) -> str:
        """The object's place below /mgmt/tm."""
        return f"{_COLLECTION}/{f'{self._names.folder}/{name}'.replace('/', '~')}"

    def make_folder(self) -> None:
        """Create our folder where there is none."""
        body = {"name": self._names.owner, "partition": PARTITION, "description": self._names.own_mark("folder")}
        try:
            self._client.call("POST", "sys/folder", body)
        except Refusal as refusal:
            if refusal.status == 409:
                return
            raise Denied(
                self._client.device, f"folder {self._names.folder} cannot be created: {refusal.text}"
            ) from None

    def _own(self, name: str, found: wire.DataGroup) -> None:
        if found.description != self._names.own_mark(name):
            raise NotOwned(self._client.device, [f"{self._names.folder}/{name}"])
