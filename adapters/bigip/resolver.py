"""Who resolves the names in firewall objects on the device. Without a resolver a name matches nothing, and a Deny by name is open.

Source: F5's manual of AFM ("configure the network firewall FQDN Resolver option"); `security firewall global-fqdn-policy` has it.
"""

from adapters.bigip import wire
from adapters.bigip.client import Client
from bridge.errors import Rejected
from bridge.model.intent import Group
from bridge.model.plan import Plan

_POLICY = "security/firewall/global-fqdn-policy"
_LINE = "tmsh modify security firewall global-fqdn-policy dns-resolver <name>"
_WHY = f"the firewall of this device has no resolver for names; make one and name it: {_LINE}"


def refuse_unresolved(client: Client, plan: Plan) -> None:
    """Rejected for the groups that would hold names which nobody resolves; one call where the plan has any, else none."""
    named = [step.key for step in plan.steps if isinstance(step.after, Group) and step.after.fqdns]
    if not named:
        return
    found = client.find(_POLICY, wire.FqdnPolicy)
    if found is None or found.dns_resolver in ("", "none"):
        raise Rejected(client.device, {str(key): _WHY for key in named})
