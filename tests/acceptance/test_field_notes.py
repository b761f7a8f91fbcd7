"""How other bridges failed, one named test each: what reaches the device. The rest is in test_field_notes_too."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bridge.lab.apiserver.refusal import Refusal
from bridge.lab.devices.bigip import Bigip
from tests.acceptance.site import FOLDER, LISTS, OWNER, eventually, stays
from tests.acceptance.world import OUTSIDE, World, world

PROVIDER = "192.0.2.1"
FIREWALL = ("address-list", "port-list", "rule-list", "policy")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two teams in force, on a device that is read whole every two seconds."""
    delivery = {"auditInterval": 2, "saveAfter": 0.5}
    with world(tmp_path_factory.mktemp("notes"), tls=False, delivery=delivery) as made:
        made.team("shop", *(f"10.244.1.{number}" for number in range(1, 31)))
        made.team("bank", "10.244.2.1")
        made.bridge.start()
        eventually("in force", lambda: not made.allowed("10.244.9.9", OUTSIDE) and made.allowed("10.244.2.1", PROVIDER))
        made.await_in_step()
        yield made


def _list(device: Bigip, words: str) -> str:
    """The path of the address list whose name has these words, as the device's REST interface has it."""
    (path,) = [one for one in device.objects(LISTS, f"{FOLDER}/") if words in one]
    return f"{LISTS}/{path.replace('/', '~')}"


def _stays(site: World, address: str) -> str:
    """Every state that the device has shown: x where some list of ours held the address."""
    return "".join(
        "x"
        if any(key[0] == LISTS and OWNER in item.path and f"{address!r}" in repr(item) for key, item in state.items())
        else "."
        for _, state in site.device.timeline()
    )


def _gone(site: World, resource: str, namespace: str | None, name: str) -> None:
    """The object is deleted, if it was not yet."""
    with suppress(Refusal):
        site.store.delete(resource, namespace, name, grace=0)


@pytest.mark.acceptance("trust: F01: an answer of the device that shows another state than was written is no success")
def test_f01_answer_thrown_away(site: World) -> None:
    site.await_in_step()
    site.device.faults.add("answer", method="PATCH", status=200, body='{"kind":"x","addresses":[]}')
    site.pod("bank", "web-101", "10.244.2.101")
    eventually("written after all", lambda: site.allowed("10.244.2.101", PROVIDER), 15)
    site.await_in_step()


@pytest.mark.acceptance("trust: F02: accepted is not done: a transaction that fails after it was taken is made again")
def test_f02_accepted_is_not_done(site: World) -> None:
    site.await_in_step()
    failed = '{"transId":1,"state":"FAILED","failureReason":"01071488:3: failed later"}'
    fault = site.device.faults.add("answer", method="GET PATCH", path="/tm/transaction/", status=200, body=failed)
    site.external("bank", "second", "198.51.100.0/24")
    site.service_rule("bank", "web", "second")
    eventually("made again", lambda: site.allowed("10.244.2.1", "198.51.100.9"), 20)
    assert fault.hits == 1
    site.await_in_step()


@pytest.mark.acceptance("trust: F03: what the device refuses is told as Quarantined and not sent over and over")
def test_f03_refused_is_not_sent_again(site: World) -> None:
    ref = ("serviceegressrules", "bank", "web-refused")
    with _at_most(site, members=5):
        site.external("bank", "refused", *(f"203.0.113.{number}" for number in range(16, 32, 2)))
        site.service_rule("bank", "web", "refused")
        eventually("told", lambda: site.status()["devices"][0]["quarantined"] > 0)
        eventually("on the object too", lambda: "Quarantined" in str(site.store.get(*ref).get("status")))
        refused = _refusals(site)
        stays("tried again at an audit at most", lambda: _refusals(site) <= refused + 6, 4)
    eventually("taken once it can be", lambda: site.allowed("10.244.2.1", "203.0.113.16"), 20)
    site.store.delete(*ref)


@pytest.mark.acceptance("trust: F04: a rule whose selector matches nothing lets nobody through")
def test_f04_an_empty_source_is_never_any(site: World) -> None:
    site.service("bank", "nobody")
    site.service_rule("bank", "nobody", "provider")
    eventually("there", lambda: any("bank_nobody" in one for one in site.lists()))
    site.await_in_step()
    for stranger in ("10.244.9.9", "10.244.1.200"):
        assert not site.allowed(stranger, PROVIDER), stranger
    assert site.group("service", "bank", "nobody") == frozenset()
    site.pod("bank", "other-1", "10.244.2.60")
    stays("nor who is not selected", lambda: not site.allowed("10.244.2.60", PROVIDER), 1.5)


@pytest.mark.acceptance("trust: F05: one way to write an object: no later write brings back who has left")
def test_f05_nobody_comes_back(site: World) -> None:
    site.pod("bank", "web-50", "10.244.2.50")
    eventually("there", lambda: site.allowed("10.244.2.50", PROVIDER))
    site.delete_pod("bank", "web-50")
    eventually("gone", lambda: "10.244.2.50" not in site.group("service", "bank", "web"))
    site.external("bank", "provider", "192.0.2.0/28", "192.0.2.32/28")
    site.pod("bank", "web-51", "10.244.2.51")
    eventually("a change of the rule", lambda: site.allowed("10.244.2.51", "192.0.2.33"))
    time.sleep(2.5)  # an audit
    assert re.fullmatch(r"\.*x+\.+", _stays(site, "10.244.2.50")), "one stay"


@pytest.mark.acceptance("trust: F06: a burst of 200 changes of one group costs a handful of writes")
def test_f06_bursts_are_keys_not_objects(site: World) -> None:
    site.await_in_step()
    writes = len(site.device.writes())
    for number in range(1, 201):
        site.pod("bank", f"web-{number + 1000}", f"10.244.5.{number}")
    eventually("all there", lambda: len(site.group("service", "bank", "web")) >= 200)
    site.await_in_step()
    batches = len(site.device.writes()) - writes
    assert batches < 60, batches
    for number in range(1, 201):
        site.delete_pod("bank", f"web-{number + 1000}")
    eventually("all gone", lambda: len(site.group("service", "bank", "web")) < 20)


@pytest.mark.acceptance(
    "trust: F08: what goes needs no neighbour: rule, service, pods and namespace deleted in any order"
)
@pytest.mark.parametrize("order", [("namespaces", "rule", "service"), ("service", "pods", "namespaces")])
def test_f08_removal_needs_no_neighbours(site: World, order: tuple[str, ...]) -> None:
    site.team("brief", "10.244.6.1", "10.244.6.2")
    eventually("there", lambda: site.allowed("10.244.6.1", PROVIDER))
    places: dict[str, tuple[str, str | None, str]] = {
        "rule": ("serviceegressrules", "brief", "web-provider"),
        "service": ("services", "brief", "web"),
        "pods": ("pods", "brief", "web-0"),
        "namespaces": ("namespaces", None, "brief"),
    }
    for what in order:
        _gone(site, *places[what])
    eventually("nothing is left", lambda: not any("brief" in name for name in _ours(site.device)), 20)
    assert not site.allowed("10.244.6.1", PROVIDER)


@pytest.mark.acceptance("trust: F09: a shared destination is edited, and every rule that names it follows")
def test_f09_all_users_follow(site: World) -> None:
    site.external("", "shared", "203.0.113.192/28")
    site.cluster_rule("all", "shared", "Allow")
    for team, source in (("shop", "10.244.1.1"), ("bank", "10.244.2.1")):
        eventually(f"{team} before", partial(site.allowed, source, "203.0.113.193"))
    site.external("", "shared", "203.0.113.208/28")
    for source in ("10.244.1.1", "10.244.2.1"):
        eventually("after", partial(site.allowed, source, "203.0.113.209"))
        eventually("and no longer", lambda at=source: not site.allowed(at, "203.0.113.193"))  # type: ignore[misc]
    site.store.delete("clusteregressrules", None, "all")
    eventually("gone", lambda: not site.allowed("10.244.1.1", "203.0.113.209"))


@pytest.mark.acceptance("trust: F12: lists of other teams that nobody refers to stay, byte for byte")
def test_f12_foreign_lists_stay(site: World) -> None:
    body = {"name": "unused_of_others", "partition": "Common", "addresses": [{"name": "10.1.1.1"}]}
    site.device.put_object(LISTS, body)
    before = site.device.objects(LISTS)["/Common/unused_of_others"]
    site.team("passing", "10.244.7.1")
    eventually("there", lambda: site.allowed("10.244.7.1", PROVIDER))
    site.store.delete("namespaces", None, "passing")
    eventually("gone", lambda: not any("passing" in name for name in _ours(site.device)))
    time.sleep(2.5)  # an audit
    assert site.device.objects(LISTS)["/Common/unused_of_others"] == before


@pytest.mark.acceptance(
    "trust: F14: a pod that goes and comes back with its address within a moment is a member in the end"
)
def test_f14_short_absences_are_not_lost(site: World) -> None:
    for turn in range(10):
        site.delete_pod("shop", "web-3")
        site.pod("shop", "web-3", "10.244.1.4", uid=f"back-{turn}")
    site.await_in_step()
    eventually("a member", lambda: site.allowed("10.244.1.4", PROVIDER), 5)
    stays("and stays one", lambda: site.allowed("10.244.1.4", PROVIDER), 1.5)


@pytest.mark.acceptance("trust: F15: one bad object, on the device or in the cluster, delays nothing else")
def test_f15_one_bad_object(site: World) -> None:
    site.put_unchecked("serviceegressrules", "shop", "odd", {"service": 5, "to": "x"})
    refusal = '{"code":400,"message":"01070911:3: never","errorStack":[],"apiError":3}'
    site.device.faults.add("answer", times=None, path="bank_worst", status=400, body=refusal)
    site.external("bank", "worst", "203.0.113.99")
    site.service_rule("bank", "web", "worst")
    for number in range(70, 75):
        site.pod("shop", f"web-{number}", f"10.244.1.{number}")
        eventually("at once", partial(site.allowed, f"10.244.1.{number}", PROVIDER), 5)
    site.device.faults.clear()
    site.store.delete("serviceegressrules", "bank", "web-worst")
    site.store.delete("serviceegressrules", "shop", "odd")


@pytest.mark.acceptance("trust: F16: after a failure a new plan is made: what was overtaken meanwhile is never written")
def test_f16_no_replay(site: World) -> None:
    site.await_in_step()
    site.device.faults.add("busy", times=None, method="PATCH POST")
    site.pod("shop", "web-80", "10.244.1.180")
    eventually("refused once", lambda: any(one.fault for one in site.device.requests()))
    site.delete_pod("shop", "web-80")
    site.pod("shop", "web-81", "10.244.1.181")
    time.sleep(1)
    site.device.faults.clear()
    eventually("the new one", lambda: site.allowed("10.244.1.181", PROVIDER), 20)
    assert "x" not in _stays(site, "10.244.1.180")


@pytest.mark.acceptance(
    "trust: F19: what bears our name without our mark is nobody's business of ours: reported, and left"
)
def test_f19_only_ours_is_deleted(site: World) -> None:
    body = {"name": f"{OWNER}_real_service_bank_x", "partition": "Common", "addresses": [{"name": "10.1.1.2"}]}
    site.device.put_object(LISTS, body)
    time.sleep(2.5)  # an audit
    assert f"/Common/{OWNER}_real_service_bank_x" in site.device.objects(LISTS)
    eventually(
        "reported",
        lambda: (
            f"/Common/{OWNER}_real_service_bank_x"
            in str(site.bridge.cli("report", codes=(0, 1, 3))["byDevice"][0]["lookAlikes"])
        ),
    )


@pytest.mark.acceptance(
    "trust: F23: long names that begin alike are different objects, and none is cut so that a rule is lost"
)
def test_f23_nothing_is_cut(site: World) -> None:
    long = "s" + "x" * 60
    for number, tail in enumerate(("a", "b"), 1):
        site.service("bank", long + tail)
        site.pod("bank", f"{long}{tail}-1"[:200], f"10.244.8.{number}", app=long + tail)
        site.external("bank", f"{long}{tail}", f"198.51.100.{number}")
        site.put(
            "ServiceEgressRule",
            "bank",
            f"rule-{tail}",
            {"service": long + tail, "action": "Allow", "to": [{"name": long + tail}]},
        )
    eventually("each its own", lambda: site.allowed("10.244.8.1", "198.51.100.1"))
    eventually("each its own", lambda: site.allowed("10.244.8.2", "198.51.100.2"))
    assert not site.allowed("10.244.8.1", "198.51.100.2")
    assert not site.allowed("10.244.8.2", "198.51.100.1")


@pytest.mark.acceptance(
    "trust: F24: what is over a limit of the device is refused by name, and never cut short in silence"
)
def test_f24_over_the_limit_is_told(site: World) -> None:
    with _at_most(site, rules=3):
        for number in range(6):
            site.external("bank", f"many-{number}", f"198.51.100.{200 + number}")
            site.service_rule("bank", "web", f"many-{number}")
        told = ("serviceegressrules", "bank", "web-many-5")
        eventually("told", lambda: "more than the maximum" in str(site.store.get(*told).get("status")), 20)
        assert site.allowed("10.244.2.1", PROVIDER), "the last version that it took stands"
    eventually("taken once it can be", lambda: site.allowed("10.244.2.1", "198.51.100.205"), 20)


@pytest.mark.acceptance("trust: F25: a limit that is met in the middle of an update leaves nothing half applied")
def test_f25_never_half_applied(site: World) -> None:
    site.await_in_step()
    with _at_most(site, members=5):
        many = [f"203.0.113.{number}" for number in range(100, 116, 2)]
        for name, addresses in (("late-7", many[:1]), ("late-8", many), ("late-9", many[1:2])):
            site.external("bank", name, *addresses)
            site.service_rule("bank", "web", name)
        eventually("the first", lambda: site.allowed("10.244.2.1", many[0]), 20)
        eventually("and the last", lambda: site.allowed("10.244.2.1", many[1]), 20)
        stays("nothing of the one that is too large", lambda: not site.allowed("10.244.2.1", many[5]), 1.5)
        assert site.allowed("10.244.2.1", PROVIDER)
    eventually("all of it once it can be", lambda: site.allowed("10.244.2.1", many[5]), 20)


@contextmanager
def _at_most(site: World, **limits: int) -> Iterator[None]:
    """The device takes no more than that meanwhile."""
    store = site.device.store
    store.limits = replace(store.limits, **limits)
    try:
        yield
    finally:
        store.limits = type(store.limits)()


def _refusals(site: World) -> int:
    return sum(one.status == 400 or "FAILED" in one.fault for one in site.device.requests())


def _ours(device: Bigip) -> set[str]:
    return {
        path.rpartition("/")[2] for kind in FIREWALL for path in device.objects(f"security/firewall/{kind}", FOLDER)
    }


@pytest.mark.acceptance("trust: F01 to F26: each failure of the field has a test of its name")
def test_each_has_a_test() -> None:
    text = Path(__file__).read_text() + (Path(__file__).parent / "test_field_notes_too.py").read_text()
    missing = [f"F{number:02}" for number in range(1, 27) if f"trust: F{number:02}:" not in text]
    assert not missing, f"a failure of the field without a named test: {missing}"
