"""The addresses of nodes, and which nodes claim one: a machine that took the place of another may have its address."""

from bridge.model.addresses import Ranges
from bridge.model.observed import Node


class NodeAddresses:
    """Only addresses inside the declared node ranges count: nobody who may write Nodes puts another one into a group."""

    def __init__(self, node_ranges: tuple[str, ...]) -> None:
        self._ranges = Ranges(node_ranges)
        self._of: dict[str, tuple[str, ...]] = {}
        self._at: dict[str, tuple[str, ...]] = {}

    def of(self, name: str) -> tuple[str, ...]:
        """The addresses of a node; none of one that is not known."""
        return self._of.get(name, ())

    def at(self, address: str) -> tuple[str, ...]:
        """The nodes that have the address."""
        return self._at.get(address, ())

    def beside(self, name: str) -> frozenset[str]:
        """Other nodes with an address of this one; nearly always none."""
        return frozenset(other for address in self.of(name) for other in self.at(address) if other != name)

    def put(self, name: str, node: Node | None) -> bool:
        """Take a node as it is now, None when it is gone; returns whether its addresses changed."""
        before = self.of(name)
        after = tuple(one for one in node.addresses if one in self._ranges) if node else ()
        if before == after:
            return False
        for address in before:
            rest = tuple(other for other in self._at[address] if other != name)
            if rest:
                self._at[address] = rest
            else:
                del self._at[address]
        for address in after:
            self._at[address] = (*self.at(address), name)
        self._of.pop(name, None)
        if after:
            self._of[name] = after
        return True
