"""Which of many prefixes an address lies in, whose they are."""

from collections.abc import Iterable, Iterator
from socket import AF_INET, AF_INET6, inet_pton
from typing import Generic, TypeVar

from bridge.model import addresses

Key = TypeVar("Key")


class PrefixIndex(Generic[Key]):
    """Prefixes and their keys. A question costs a look for each length that prefixes have, however many there are."""

    def __init__(self) -> None:
        self._keys: dict[tuple[int, int], dict[int, list[Key]]] = {}

    def add(self, key: Key, prefixes: Iterable[str]) -> None:
        """These prefixes are the key's too. ValueError for what is no prefix."""
        for net in addresses.networks(prefixes):
            first = int(net.network_address) >> (net.max_prefixlen - net.prefixlen)
            self._keys.setdefault((net.max_prefixlen, net.prefixlen), {}).setdefault(first, []).append(key)

    def of(self, address: str) -> Iterator[Key]:
        """The keys of all prefixes around a canonical address; one that has several of them comes several times."""
        bits, family = (128, AF_INET6) if ":" in address else (32, AF_INET)
        number = int.from_bytes(inet_pton(family, address), "big")
        for (width, length), found in self._keys.items():
            if width == bits:
                yield from found.get(number >> (bits - length), ())

    def __bool__(self) -> bool:
        return bool(self._keys)
