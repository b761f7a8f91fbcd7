"""What an adapter remembers of its device between calls. Never the truth: the device is asked again wherever it matters."""

from dataclasses import dataclass, field

from adapters.bigip.names import Names
from adapters.bigip.translate import Translator
from bridge.model.identity import ObjectKey


@dataclass(slots=True)
class Known:
    """Which objects carry our mark, whether the fence stood there, and the keys of long names (`indexed` None: not read yet)."""

    names: Names
    route_domain: int = 0
    owned: set[ObjectKey] = field(default_factory=set)
    fenced: bool = False
    index: dict[str, str] = field(default_factory=dict)
    indexed: bool | None = None

    def translator(self) -> Translator:
        """A translator with the long names of now."""
        return Translator(self.names, self.route_domain, self.index)

    def learn_index(self, records: dict[str, str] | None) -> None:
        """Take note of the record of long names, None when the device has none."""
        self.index, self.indexed = records or {}, records is not None
