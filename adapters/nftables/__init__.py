"""A Linux gateway with nftables: groups as sets, rules in chains of one table of our own, every change one transaction of the kernel."""

from adapters.nftables.adapter import NftablesAdapter, NftablesFactory

factory = NftablesFactory()

__all__ = ["NftablesAdapter", "NftablesFactory", "factory"]
