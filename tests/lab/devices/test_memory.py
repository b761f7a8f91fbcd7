"""The device in memory is strict, lives on under its name, and tells what its owner lets through beside ours."""

from pathlib import Path

import pytest

from bridge.contract import DeviceConfig
from bridge.lab.devices.memory import AddressSet, Bundle, Entry, EntrySet, MemoryDevice, PortSet, factory, memory_device
from bridge.lab.devices.memory.checks import Refusal
from bridge.lab.devices.memory.contents import Body, Claim, Stored
from bridge.model.capabilities import Form
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, Group, Intent, Policy
from bridge.model.plan import Fence, Op, Plan, Step
from bridge.model.policy import Protocol
from bridge.policy.diff import diff, plan
from bridge.policy.evaluate import Packet, Verdict

PODS, WEB = AddressSet(("10.0.0.0/24",)), AddressSet(("192.0.2.1",))
ENTRY = Entry("web", ("pods",), ("web",), 6, "https")
CLAIM = Claim(1, "here")


class NoSecrets:
    def value(self, name: str) -> str:
        raise KeyError(name)


def config(name: str, owner: str = "fb", **scope: object) -> DeviceConfig:
    return DeviceConfig("edge", "memory", f"memory://{name}", owner, NoSecrets(), scope, {"mode": "ifEmpty"})


@pytest.fixture(params=[Form.ALLOW_ONLY, Form.FLAT])
def device(request: pytest.FixtureRequest) -> MemoryDevice:
    made = memory_device(f"test-{request.param}", request.param)
    made.wipe()
    for name, body in (("pods", PODS), ("web", WEB), ("https", PortSet(((443, 443),)))):
        made.edit(name, "", body)
    return made


def write(device: MemoryDevice, name: str, body: Body | None, version: int = 0, claim: Claim | None = CLAIM) -> None:
    device.write("", "fb", claim, name, version, None if body is None else Stored("", body, 0))


def refused(device: MemoryDevice, body: Body, name: str = "it") -> int:
    before = device.contents
    with pytest.raises(Refusal) as caught:
        write(device, name, body)
    assert device.contents == before
    return caught.value.status


@pytest.mark.parametrize(
    "body",
    [
        AddressSet(("10.0.0.1/32",)),
        AddressSet(("10.0.0.1/8",)),
        AddressSet(("10.0.0.1", "10.0.0.1")),
        AddressSet(("any",)),
        AddressSet(("2001:DB8::1",)),
        PortSet(()),
        PortSet(((-1, 1),)),
        PortSet(((1, 65536),)),
        PortSet(((2, 3), (1, 1))),
        EntrySet((Entry("no-source", (), ("web",)),)),
        EntrySet((Entry("no-destination", ("pods",), ()),)),
        EntrySet((Entry("unknown", ("nobody",), ("web",)),)),
        EntrySet((Entry("ports", ("pods",), ("https",)),)),
        EntrySet((Entry("no-ports", ("pods",), ("web",), 1, "https"),)),
        EntrySet((Entry("no-types", ("pods",), ("web",), 6, icmp=((8, 0),)),)),
        EntrySet((Entry("twice", ("pods", "pods"), ("web",)),)),
        EntrySet((Entry("pass", ("pods",), ("web",), action="pass"),)),
        EntrySet((ENTRY, ENTRY)),
        Bundle(("pods",)),
        Bundle(("nobody",)),
    ],
    ids=str,
)
def test_what_is_malformed_is_refused(device: MemoryDevice, body: Body) -> None:
    device.claim("", "fb", None, CLAIM)
    assert refused(device, body) == 400


@pytest.mark.parametrize("entry", [Entry("x", ("pods",), ("web",), action=action) for action in ("deny", "reject")])
def test_an_allow_only_device_stops_nothing_by_an_entry(device: MemoryDevice, entry: Entry) -> None:
    device.claim("", "fb", None, CLAIM)
    if device.form is Form.ALLOW_ONLY:
        assert refused(device, EntrySet((entry,))) == 400
    else:
        write(device, "it", EntrySet((entry,)))


def test_nothing_is_written_without_the_claim_that_stands(device: MemoryDevice) -> None:
    for claim in (None, CLAIM):
        with pytest.raises(Refusal, match="412"):
            write(device, "it", PODS, claim=claim)
    device.claim("", "fb", None, CLAIM)
    write(device, "it", PODS)
    device.claim("", "fb", CLAIM, Claim(2, "there"))
    for late in (None, CLAIM):
        with pytest.raises(Refusal, match="412"):
            device.claim("", "fb", late, Claim(3, "late"))
    with pytest.raises(Refusal, match="412"):
        write(device, "other", PODS)


def test_a_version_that_moved_is_refused(device: MemoryDevice) -> None:
    device.claim("", "fb", None, CLAIM)
    write(device, "it", PODS)
    version = device.contents.objects["it"].version
    write(device, "it", WEB, version)
    for stale, status in ((version, 412), (0, 409)):
        with pytest.raises(Refusal, match=str(status)):
            write(device, "it", PODS, stale)
    with pytest.raises(Refusal, match="404"):
        write(device, "nobody", PODS, version)


def test_what_is_in_use_is_not_deleted(device: MemoryDevice) -> None:
    device.claim("", "fb", None, CLAIM)
    device.edit("entries", "", EntrySet((ENTRY,)))
    device.edit("bundle", "", Bundle(("entries",)))
    device.put_in_force("cluster", "bundle")
    for name in ("pods", "web", "https", "entries", "bundle"):
        with pytest.raises(Refusal, match="in use"):
            write(device, name, None, device.contents.objects[name].version)


def test_there_is_room_for_so_much_and_no_more(device: MemoryDevice) -> None:
    device.claim("", "fb", None, CLAIM)
    device.limits = {"group_members": 2, "groups": 3, "rules": 1}
    write(device, "two", AddressSet(("10.0.0.1", "10.0.0.2")))
    assert refused(device, AddressSet(("10.0.0.1", "10.0.0.2", "10.0.0.3"))) == 422
    assert refused(device, PODS) == 422  # the fourth set
    write(device, "one", EntrySet((ENTRY,)))
    assert refused(device, EntrySet((ENTRY, Entry("other", ("pods",), ("web",))))) == 422


def test_it_lives_on_under_its_name_and_for_other_processes_in_a_file(tmp_path: Path) -> None:
    key = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "cart")
    group = Group(key, frozenset({"10.0.0.1"}))
    kept = config("kept", file=str(tmp_path / "edge.json"))
    for settings in (config("lives"), kept):
        adapter = factory.open(settings)
        adapter.raise_fence(Fence(1, "here"))
        adapter.apply(Plan("edge", ((Step(Op.CREATE, key, None, group),),)), Fence(1, "here"))
        adapter.close()
        assert factory.open(settings).read(EVERYTHING).objects == {key: group}
    # What another process would see: an object of its own that knows the file alone.
    other = MemoryDevice("kept", file=tmp_path / "edge.json")
    assert [one.body for one in other.contents.objects.values()] == [AddressSet(("10.0.0.1",))]
    other.edit("site", "", WEB)
    assert [one.name for one in factory.open(kept).read(EVERYTHING).foreign] == ["site"]


def test_entries_of_others_that_let_through_more_are_named(device: MemoryDevice) -> None:
    device.edit("entries", "", EntrySet((ENTRY,)))
    adapter = factory.open(config(device.name, form=device.form.value))
    assert {one.name: one.look_alike for one in adapter.read(EVERYTHING).foreign}["entries"] == ""
    device.edit("bundle", "", Bundle(("entries",)))
    device.put_in_force("site", "bundle")
    assert device.verdict(Packet("10.0.0.7", "192.0.2.1", Protocol.TCP, 443)) is Verdict.ALLOW
    found = {one.name: one.look_alike for one in adapter.read(EVERYTHING).foreign}
    assert found == {"pods": "", "web": "", "https": "", "bundle": "", "entries": "lets through more: pods to web"}


def test_a_place_that_others_hold_is_left(device: MemoryDevice) -> None:
    policy = ObjectKey(Kind.POLICY, "", Scope.CLUSTER)
    device.edit("bundle", "", Bundle(()))
    device.put_in_force("cluster", "bundle")
    adapter = factory.open(config(device.name, form=device.form.value))
    want = adapter.normalize(Intent("edge", {policy: Policy(policy, ())}))
    made = plan("edge", diff({}, Intent("edge", want)), {}, adapter.capabilities, adapter.limits)
    outcome = adapter.apply(made, Fence(1, "here"))
    assert list(outcome.refused.values()) == ["place cluster holds bundle"]
    assert device.contents.places == {"cluster": "bundle"}


@pytest.mark.parametrize(
    ("url", "scope", "attach", "path"),
    [
        ("http://edge", {}, {}, "url"),
        ("memory://edge", {"form": "tiered"}, {}, "scope.form"),
        ("memory://edge", {"file": "here"}, {}, "scope.file"),
        ("memory://edge", {"limits": {"groups": 0}}, {}, "scope.limits"),
        ("memory://edge", {"size": 1}, {}, "scope.size"),
        ("memory://edge", {}, {"mode": "always"}, "attach.mode"),
        ("memory://edge", {}, {"place": "site"}, "attach.place"),
    ],
)
def test_wrong_settings_are_named(url: str, scope: dict[str, object], attach: dict[str, object], path: str) -> None:
    settings = DeviceConfig("edge", "memory", url, "fb", NoSecrets(), scope, attach)
    assert list(factory.problems(settings)) == [path]
    assert factory.problems(config("edge", form="flat")) == {}
