"""Whatever stands in an object, the bridge goes on and nobody else notices: through the API server to the device."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.acceptance.site import eventually
from tests.acceptance.test_intake import UNKNOWN
from tests.acceptance.world import World, world

SEED = 20
OUTSIDE, POD = "192.0.2.1", "10.244.1.1"
ODD: list[Any] = [
    None, True, -1, 2**70, 443.0, 1e300, "", " ", "Any", "\u0000", "\u202e", "*", "0.0.0.0/0", "::1%eth0", [], {}, [[]], {"": None},
    ["192.0.2.1", "192.0.2.1"], {"matchLabels": {"": ""}}, {"matchExpressions": [{}]}, "x" * 5000, [None], {"__class__": "x"},
]  # fmt: skip
RULE = {"action": "Allow", "priority": 1, "log": True, "to": [{"name": "nowhere"}], "devices": ["edge"]}
EXTERNAL = {"addresses": ["198.51.100.1"], "fqdns": ["a.example.com"], "ports": [{"protocol": "TCP", "port": 1}]}
SELECTORS = {"podSelector": {"matchLabels": {"app": "x"}}, "namespaceSelector": {}}
SPECS: dict[str, dict[str, Any]] = {
    "clusteregressrules": RULE | {"from": SELECTORS},
    "namespaceegressrules": RULE | {"from": {"serviceAccounts": ["x"]}},
    "serviceegressrules": RULE | {"service": "web"},
    "externalservices": EXTERNAL,
    "clusterexternalservices": EXTERNAL,
    "addressgroups": SELECTORS | {"devices": ["edge"]},
}


def _spoilt(random: Random, value: Any) -> Any:  # noqa: ANN401
    """The same with something in it replaced, left out or added."""
    if isinstance(value, dict) and value and random.random() < 0.8:
        key = random.choice(sorted(value))
        changed = {**value, key: _spoilt(random, value[key])}
        return random.choice([changed, changed, {**value, "more": random.choice(ODD)}])
    if isinstance(value, list) and value and random.random() < 0.7:
        return [_spoilt(random, value[0]), *value[1:]]
    return random.choice(ODD)


def _deep(levels: int) -> Any:  # noqa: ANN401
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


def _load(site: World, random: Random, generation: int) -> int:
    count = 0
    for resource, good in SPECS.items():
        place = "" if resource.startswith(("cluster", "address")) else "odd"
        for number in range(12):
            spec = _spoilt(random, good) if number else {**good, "more": _deep(300)}
            site.put_unchecked(resource, place, f"odd-{generation}-{number}", spec)
            count += 1
    return count


@pytest.mark.acceptance(
    "any JSON that the CRD schemas accept, and some that they refuse, never crashes the controller nor changes another's outcome"
)
def test_odd_objects(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    random = Random(SEED)
    with world(tmp_path) as site:
        site.team("shop", POD)
        site.team("odd", "10.244.2.1")
        site.bridge.start()
        eventually("the default is in force", lambda: not site.allowed(UNKNOWN, OUTSIDE))
        eventually("a pod of shop is let through", lambda: site.allowed(POD, OUTSIDE))
        count = _load(site, random, 1)
        site.pod("shop", "web-9", "10.244.1.9")
        eventually("a new pod, too", lambda: site.allowed("10.244.1.9", OUTSIDE))
        eventually("all are judged", lambda: _judged(site) >= count)
        assert site.allowed(POD, OUTSIDE)
        assert not site.allowed(POD, "198.51.100.9")
        assert site.problem("ServiceEgressRule shop/web-provider") == ""
        site.bridge.stop()
        site.bridge.start()
        _load(site, random, 2)
        site.pod("shop", "web-10", "10.244.1.10")
        eventually("another one after a restart", lambda: site.allowed("10.244.1.10", OUTSIDE))
        assert site.allowed(POD, OUTSIDE)
        assert site.bridge.running, site.bridge.log()[-5:]
        assert not [line for line in site.bridge.log() if "exception" in line]


def _judged(site: World) -> int:
    with site.bridge.state() as connection:
        return len(connection.execute("SELECT FROM policy_object WHERE name LIKE 'odd-%'").fetchall())
