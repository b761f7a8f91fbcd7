"""Whether a destination is one of an external service's, as far as anybody knows what names stand for."""

from collections.abc import Mapping

from bridge.model.addresses import ALL, overlap, subtract
from bridge.model.policy import ExternalService
from bridge.report.destination import Destination

Names = Mapping[str, frozenset[str]]
"""What names stand for, as the bridge resolved them; a name of which nothing is known is not in it."""


def meant(service: ExternalService, to: Destination, names: Names) -> bool | None:
    """Whether the destination is one of the service's; None where that hangs on a name or an address that nobody knows."""
    if not to.address:
        return _meant_by_name(service, to.host, names)
    if overlap(service.addresses, [to.address]):
        return True
    unknown = any(name not in names for name in service.fqdns)
    return True if any(to.address in names.get(name, ()) for name in service.fqdns) else None if unknown else False


def _meant_by_name(service: ExternalService, host: str, names: Names) -> bool | None:
    """A host by its name: literally, by a wildcard, or by what the bridge knows it to stand for; else by every address or nobody knows."""
    if any(_is_named(host, name) for name in service.fqdns):
        return True
    known = names.get(host)
    if known:
        inside = [overlap(service.addresses, [one]) for one in known]
        return all(inside) if any(inside) == all(inside) else None
    if not service.addresses:
        return False
    return True if not subtract(ALL, service.addresses) else None


def _is_named(host: str, name: str) -> bool:
    return name == host or (name.startswith("*.") and host.endswith(name[1:]))
