"""A look at an account before it is written to: whose it is, what the credentials may and need not, and how much room there is.

EC2 judges a call with `DryRun` as any other, and does nothing: it answers `DryRunOperation` where it would be done.
"""

from collections.abc import Iterator
from typing import Any

from adapters.aws.client import Client
from adapters.aws.compiled import blind, compiled, partly
from adapters.aws.known import Known, no_such
from adapters.aws.room import weights
from bridge.model.examination import Finding, doubtful, fine, wrong
from bridge.model.intent import RuleList

_LIST, _GROUP = "pl-00000000000000000", "sg-00000000000000000"
_NEEDED: dict[str, dict[str, Any]] = {
    "create_managed_prefix_list": {"PrefixListName": "probe", "AddressFamily": "IPv4", "MaxEntries": 1},
    "modify_managed_prefix_list": {"PrefixListId": _LIST},
    "delete_managed_prefix_list": {"PrefixListId": _LIST},
    "create_tags": {"Resources": [_LIST], "Tags": [{"Key": "probe", "Value": ""}]},
}
_NEEDED_TO_ATTACH: dict[str, dict[str, Any]] = {
    "authorize_security_group_ingress": {
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 9, "ToPort": 9, "IpRanges": [{"CidrIp": "192.0.2.0/32"}]}]
    },
    "revoke_security_group_ingress": {
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 9, "ToPort": 9, "IpRanges": [{"CidrIp": "192.0.2.0/32"}]}]
    },
}
_NEEDLESS: dict[str, dict[str, Any]] = {
    "create_security_group": {"GroupName": "probe", "Description": "probe"},
    "delete_security_group": {"GroupId": _GROUP},
    "authorize_security_group_egress": {
        "GroupId": _GROUP,
        "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "192.0.2.0/32"}]}],
    },
}


def examine(client: Client, known: Known, account: str) -> Iterator[Finding]:
    """One finding after the other. Raises Busy, Denied where the account cannot be asked."""
    yield fine("account", f"{account or 'unknown'} in {known.scope.region}")
    yield fine(
        "reading", f"{known.count()} prefix lists of at most {known.scope.lists}, as the settings have the quota"
    )
    if _tries(client):
        yield _writing(client, known)
        yield _breadth(client)
    else:
        yield doubtful(
            "rights",
            "what answers does not know DryRun, so nothing was tried: `fusion-bridge devices --canary` does for real",
        )
    yield _book(known)
    yield from _rooms(known)
    yield from _unsaid(known)


def _tries(client: Client) -> bool:
    """Whether DryRun is understood, seen at a call that reads: whoever overlooks it would do what was only to be tried."""
    return client.refusal("describe_managed_prefix_lists") == "DryRunOperation"


def _book(known: Known) -> Finding:
    """How full the register is."""
    most = known.register.size if known.register else known.scope.entries
    said = f"{len(known.entries)} of {most} entries of rules"
    return (doubtful if len(known.entries) * 10 > most * 9 else fine)("register", said)


def _writing(client: Client, known: Known) -> Finding:
    tried = dict(_NEEDED)
    if known.scope.attach and known.places:
        group = {"GroupId": known.places[0].group}
        tried |= {name: {**group, **given} for name, given in _NEEDED_TO_ATTACH.items()}
    answers = {name: client.refusal(name, **given) for name, given in tried.items()}
    lacking = [name for name, code in answers.items() if code == "UnauthorizedOperation"]
    if lacking:
        return wrong("rights", f"lacks {', '.join(map(_action, lacking))}")
    done = [name for name, code in answers.items() if not code]
    if done:
        return wrong(
            "rights",
            f"{', '.join(map(_action, done))} was only to be tried, and may have been done: look for a prefix list probe",
        )
    return fine("rights", f"may {', '.join(map(_action, tried))}, or EC2 looked at what they were about first")


def _breadth(client: Client) -> Finding:
    found = [name for name, given in _NEEDLESS.items() if client.refusal(name, **given) == "DryRunOperation"]
    if found:
        return doubtful("breadth", f"may do what the bridge does not need: {', '.join(map(_action, found))}")
    return fine("breadth", f"none of {', '.join(map(_action, _NEEDLESS))} is granted, as far as EC2 tells")


def _rooms(known: Known) -> Iterator[Finding]:
    """How full the security groups are."""
    objects = known.objects()
    found = weights(known, objects, compiled(objects, known.places), actual=True)
    if known.missing:
        yield wrong("attach", no_such(known.missing))
    for place in known.places:
        for version in place.behind:
            weight, most = found[place.group, version], known.scope.rules
            said = f"{weight} of {most} rules of {version}, prefix lists by their size"
            yield (doubtful if weight * 10 > most * 9 else fine)(place.group, said)


def _unsaid(known: Known) -> Iterator[Finding]:
    """Lines that say something that no entry can."""
    objects = known.objects()
    for key, value in sorted(objects.items()):
        for entry in value.entries if isinstance(value, RuleList) else ():
            if blind(entry):
                yield doubtful("rules", f"{key} {entry.name}: EC2 knows no ports of SCTP, so nothing is let through")
            for place in known.scope.places:
                if partly(entry, objects, place):
                    words = f"reaches some of what stands behind {place.group} and not all of it, so it is not written there"
                    yield doubtful("rules", f"{key} {entry.name}: {words}")


def _action(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
