"""What a BIG-IP can express and guarantee, and how much of it."""

from adapters.bigip.names import NAME_LENGTH
from adapters.bigip.scope import Scope
from bridge.contract import DeviceConfig
from bridge.model.capabilities import Capabilities, Form, Limits


def capabilities(scope: Scope) -> Capabilities:
    """What AFM can express, and what iControl REST guarantees."""
    return Capabilities(
        form=Form.TIERED,
        fqdn=scope.fqdn,
        icmp_types=True,
        protocols=True,
        atomic=True,
        dry_run=True,
        close_flows=True,
        bandwidth=scope.bandwidth,
        schedules=scope.schedules,
        compiles_later=bool(scope.activation),
    )


def limits(config: DeviceConfig) -> Limits:
    """How much one device takes; figures that no source gives are ours, and small."""
    return Limits(
        shard_members=128,
        name_length=NAME_LENGTH,
        batch=Scope.of(config).transaction_size,
        calls_in_flight=1,
        call_seconds=config.timeout,
    )
