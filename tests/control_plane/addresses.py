"""The addresses that a stand-in hands to pods: a small range, and who holds what."""

import ipaddress
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

Reuse = Literal["lowest", "lifo", "fifo", "never"]


class RangeExhausted(Exception):
    """No address is free now."""


class Pool:
    """Addresses of one family. Not thread-safe: its owner takes turns.

    `reuse` says what becomes of a released address: `lowest` hands out the lowest free one, used before or not; `lifo` the one
    released last and `fifo` the one released first, ahead of unused ones; `never` unused ones only.
    """

    def __init__(self, prefix: str, reuse: Reuse = "lowest") -> None:
        self.network = ipaddress.ip_network(prefix)
        self.reuse = reuse
        self._holders: dict[str, set[str]] = {}
        self._released: list[str] = []
        self._used: set[str] = set()
        self._forced: list[str] = []

    def __contains__(self, address: str) -> bool:
        # An address of the other family is in no network of this one.
        return ipaddress.ip_address(address) in self.network

    def held(self) -> dict[str, set[str]]:
        """Address to the uids that hold it: one, unless a second was forced upon it."""
        return {address: set(uids) for address, uids in self._holders.items()}

    def force(self, address: str) -> None:
        """The next `take` gives this address, whether it is free or not: networks do hand one out too early."""
        self._forced.append(str(ipaddress.ip_address(address)))

    def take(self, uid: str) -> str:
        """An address for `uid`; raises RangeExhausted."""
        return self.claim(uid, self._forced.pop(0) if self._forced else self._next())

    def claim(self, uid: str, address: str) -> str:
        """Record that `uid` holds `address` already."""
        self._holders.setdefault(address, set()).add(uid)
        self._used.add(address)
        if address in self._released:
            self._released.remove(address)
        return address

    def release(self, uid: str, address: str) -> None:
        """`uid` holds `address` no longer; does nothing where it did not."""
        holders = self._holders.get(address, set())
        if uid not in holders:
            return
        holders.remove(uid)
        if not holders:
            del self._holders[address]
            self._released.append(address)

    def _next(self) -> str:
        if self.reuse in ("lifo", "fifo") and self._released:
            return self._released[-1 if self.reuse == "lifo" else 0]
        barred = self._holders.keys() if self.reuse == "lowest" else self._used
        for address in self._hosts():
            if address not in barred:
                return address
        raise RangeExhausted(f"no address of {self.network} is free")

    def _hosts(self) -> Iterator[str]:
        # Not `hosts()`: it makes a list of a short range, and 65,536 are plenty of a long one.
        first = 1 if self.network.num_addresses > 2 else 0
        last = self.network.num_addresses - (first if self.network.version == 4 else 0)
        return (str(self.network[index]) for index in islice(range(first, last), 65_536))


class Network:
    """One pool per address family; a pod gets one address of each. Not thread-safe."""

    def __init__(self, ranges: Sequence[str], reuse: Reuse) -> None:
        self._pools = [Pool(prefix, reuse) for prefix in ranges]

    def held(self) -> dict[str, set[str]]:
        """Address to the uids that hold it."""
        return {address: uids for pool in self._pools for address, uids in pool.held().items()}

    def force(self, address: str) -> None:
        """See `Pool.force`; ValueError where no range has it."""
        pools = [pool for pool in self._pools if address in pool]
        if not pools:
            raise ValueError(f"{address} is in none of the pods' ranges")
        pools[0].force(address)

    def take(self, uid: str) -> list[str]:
        """One address per family, or RangeExhausted and none at all."""
        taken: list[str] = []
        try:
            for pool in self._pools:
                taken.append(pool.take(uid))  # noqa: PERF401 - those taken before an error are given back
        except RangeExhausted:
            self.release(uid, taken)
            raise
        return taken

    def claim(self, uid: str, addresses: Sequence[str]) -> list[str]:
        """Record what a pod shows already; what is not one address per range is no claim, and gives an empty list."""
        pairs = list(zip(self._pools, addresses, strict=False))
        if len(pairs) < len(self._pools) or any(address not in pool for pool, address in pairs):
            return []
        return [pool.claim(uid, address) for pool, address in pairs]

    def release(self, uid: str, addresses: Sequence[str]) -> None:
        """`uid` holds these no longer."""
        for pool, address in zip(self._pools, addresses, strict=False):
            pool.release(uid, address)
