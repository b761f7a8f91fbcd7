"""Random changes to the simulated FortiGate: whatever is taken or refused, nothing dangles, and every past state can be had again."""

import random
from typing import Any

import pytest

from bridge.lab.devices.fortigate import FortiError, Fortigate
from bridge.lab.devices.fortigate.draft import Mentions
from bridge.lab.devices.fortigate.rig import dangling
from bridge.lab.devices.fortigate.store import LAB
from tests.lab.devices.fortigate import named, rule

NAMES = [f"n{number}" for number in range(8)]
GROUPS = [f"g{number}" for number in range(4)]
FEEDS = ["f0", "f1"]


def step(box: Fortigate, chance: random.Random) -> None:
    """One change, of which many are refused."""
    name, group, feed = chance.choice(NAMES), chance.choice(GROUPS), chance.choice(FEEDS)
    number = str(chance.randrange(1, 6))
    several = named(*chance.sample(NAMES + GROUPS, 2))
    sides = chance.choice([named(group), named(name), named(feed), named("all")])
    choices: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "firewall/address", {"name": name, "subnet": f"10.0.0.{chance.randrange(9)}/32"}),
        ("DELETE", f"firewall/address/{name}", {}),
        ("PUT", f"firewall/address/{name}", {"name": chance.choice(NAMES)}),
        ("POST", "firewall/addrgrp", {"name": group, "member": several}),
        ("PUT", f"firewall/addrgrp/{group}", {"member": several}),
        ("PUT", f"firewall/addrgrp/{group}", {"name": chance.choice(GROUPS)}),
        ("POST", f"firewall/addrgrp/{group}/member", {"name": chance.choice(NAMES + GROUPS)}),
        ("DELETE", f"firewall/addrgrp/{group}/member/{name}", {}),
        ("DELETE", f"firewall/addrgrp/{group}", {}),
        ("POST", "firewall/policy", rule(srcaddr=sides, policyid=int(number))),
        (
            "PUT",
            f"firewall/policy/{number}?action=move&{chance.choice(('before', 'after'))}={chance.randrange(1, 6)}",
            {},
        ),
        ("PUT", f"firewall/policy/{number}", {"srcaddr": sides}),
        ("DELETE", f"firewall/policy/{number}", {}),
        (
            "POST",
            "system/external-resource",
            {"name": feed, "type": "address", "update-method": "push", "resource": "x"},
        ),
        ("DELETE", f"system/external-resource/{feed}", {}),
    ]
    at = chance.randrange(len(choices) + 3)
    if at >= len(choices):
        entries = [f"10.1.0.{chance.randrange(9)}" for _ in range(3)]
        what = ("add", "remove", "snapshot")[at - len(choices)]
        box.feeds.push({"commands": [{"name": feed, "command": what, "entries": entries}]}, LAB, "root")
        return
    method, path, body = choices[at]
    calls = {"POST": box.put_object, "PUT": box.change_object}
    if method == "DELETE":
        box.delete_object(path)
    else:
        calls[method](path, body)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_dangles_and_everything_is_remembered(seed: int) -> None:
    chance = random.Random(seed)
    box = Fortigate(tls=False)
    digests = {0: box.digest()}
    refused = 0
    for _ in range(500):
        before = box.digest()
        try:
            step(box, chance)
        except FortiError:
            refused += 1
            assert box.digest() == before
        assert dangling(box.store.state) == []
        count = len(box.writes())
        assert digests.setdefault(count, box.digest()) == box.digest()
    assert 50 < refused < 450
    assert {number: box.state(number).digest() for number in digests} == digests
    assert [state.digest() for _, state in box.timeline()] == [digests[number] for number in sorted(digests)[1:]]
    fresh = Mentions(box.store.state)
    known = {*NAMES, *GROUPS, *FEEDS, "all", "always", "ALL", "any"}
    draft = box.store.draft()
    for name in known:
        assert fresh.of(name) == draft.mentioned(name)
