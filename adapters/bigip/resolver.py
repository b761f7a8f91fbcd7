"""Who resolves the names in firewall objects on the device. Without a resolver a name matches nothing, and a Deny by name is open.

Source: F5's manual of AFM ("configure the network firewall FQDN Resolver option"); `security firewall global-fqdn-policy` has it.
"""

from collections.abc import Iterable

from adapters.bigip import wire
from adapters.bigip.client import Client
from bridge.errors import Rejected
from bridge.model.examination import Finding, fine, wrong
from bridge.model.intent import Group
from bridge.model.plan import Step

_POLICY = "security/firewall/global-fqdn-policy"
_LINE = "tmsh modify security firewall global-fqdn-policy dns-resolver <name>"
_WHY = f"the firewall of this device has no resolver for names; make one and name it: {_LINE}"


def refuse_unresolved(client: Client, steps: Iterable[Step]) -> None:
    """Rejected for the groups that would hold names which nobody resolves; one call where there are any, else none."""
    named = [step.key for step in steps if isinstance(step.after, Group) and step.after.fqdns]
    if not named:
        return
    if not _resolver(client):
        raise Rejected(client.device, {str(key): _WHY for key in named})


def examined(client: Client) -> Finding:
    """Whether there is one, for a person. Raises Busy, Denied."""
    found = _resolver(client)
    return fine("resolver", found) if found else wrong("resolver", _WHY)


def _resolver(client: Client) -> str:
    found = client.find(_POLICY, wire.FqdnPolicy)
    return "" if found is None or found.dns_resolver == "none" else found.dns_resolver
