"""What an adapter remembers of its device between calls. Never the truth: the device is asked again wherever it matters."""

from dataclasses import dataclass, field

from adapters.bigip.domains import Domains
from adapters.bigip.names import Names
from adapters.bigip.translate import Translator
from bridge.model.identity import ObjectKey


@dataclass(slots=True)
class Known:
    """Which objects carry our mark, whether the fence stood there, and the keys of long names (`indexed` None: not read yet).

    `scheduled`: there may be schedules of ours.
    """

    names: Names
    domains: Domains
    fqdn: bool = False
    owned: set[ObjectKey] = field(default_factory=set)
    fenced: bool = False
    index: dict[str, str] = field(default_factory=dict)
    indexed: bool | None = None
    scheduled: bool = True

    def translator(self) -> Translator:
        """A translator with the route domain and the long names of now. Raises Busy, Denied."""
        return Translator(self.names, self.domains.now(), self.index, self.fqdn)

    def forget(self) -> None:
        """Another unit answers from now on."""
        self.domains.forget()
        self.owned.clear()
        self.fenced, self.index, self.indexed, self.scheduled = False, {}, None, True

    def learn_index(self, records: dict[str, str] | None) -> None:
        """Take note of the record of long names, None when the device has none."""
        self.index, self.indexed = records or {}, records is not None
