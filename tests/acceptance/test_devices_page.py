"""docs/devices.md says what the adapters declare, and shows names that they give."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bridge.cli.adapters import InstalledAdapters
from bridge.contract import AdapterFactory, DeviceConfig
from bridge.lab.devices.bigip.rig import bigip_rig
from bridge.model.capabilities import Capabilities, Limits
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, DeviceObject, Group, Intent, Policy, Ports, RuleEntry, RuleList
from bridge.model.plan import Fence
from bridge.model.policy import Action, PortRange, Protocol, Tier
from bridge.model.tiers import policy_key
from bridge.policy.diff import diff, plan
from bridge.settings.credentials import NO_CREDENTIALS
from tests.adapters.fortigate.rig import fortigate_rig

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "devices.md").read_text()
NONE = "—"
LABELS = {"schema", "vendor client", "simulator", "kernel", "real packets", "unproven"}
SETTINGS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("bigip", "fqdn"): {"fqdn": "device"},
    ("bigip", "bandwidth"): {"bandwidth": ["slow"]},
    ("bigip", "schedules"): {"schedules": True},
    ("fortigate", "wildcards"): {"wildcards": True},
    ("memory", "deny"): {"form": "flat"},
    ("memory", "reject"): {"form": "flat"},
    ("memory", "log"): {"form": "flat"},
}
"""By kind and capability, the settings of its scope by which it has what it has not without them."""


@cache
def tables() -> list[dict[str, dict[str, str]]]:
    """The tables with a column for each kind: row and kind to what stands there."""
    found: list[dict[str, dict[str, str]]] = []
    for block in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        if lines[0][1:] and set(lines[0][1:]) <= {*InstalledAdapters().kinds}:
            found.append({row[0].strip("`"): dict(zip(lines[0][1:], row[1:], strict=True)) for row in lines[2:]})
    return found


def factory(kind: str) -> AdapterFactory:
    return InstalledAdapters().factory(kind)


def config(kind: str, scope: Mapping[str, Any] | None = None) -> DeviceConfig:
    return DeviceConfig(kind, kind, "", "bridge", NO_CREDENTIALS, scope or {})


@pytest.mark.acceptance(
    "devices: docs/devices.md says of each kind what its adapter declares, and labels how each is proven"
)
def test_what_is_declared_is_what_is_written() -> None:
    capabilities, _ = tables()
    assert set(capabilities) == {one.name for one in fields(Capabilities)}
    for name, cells in capabilities.items():
        assert set(cells) == set(InstalledAdapters().kinds), "a kind is not spoken of"
        for kind, cell in cells.items():
            told = getattr(factory(kind).capabilities(config(kind)), name)
            if name == "form":
                assert cell.partition(",")[0] == told, (kind, name)
                continue
            label, setting = cell.removesuffix(" (setting)"), cell.endswith(" (setting)")
            assert (label == NONE) or label in LABELS, (kind, name, cell)
            assert bool(told) is (label != NONE and not setting), (kind, name, cell, told)
            if setting and (kind, name) in SETTINGS:
                assert getattr(factory(kind).capabilities(config(kind, SETTINGS[kind, name])), name), (kind, name)


@pytest.mark.acceptance("devices: docs/devices.md says of each kind how much its adapter says that it takes")
def test_limits_are_what_is_written() -> None:
    _, limits = tables()
    assert set(limits) == {one.name for one in fields(Limits)}
    for name, cells in limits.items():
        for kind, cell in cells.items():
            told = getattr(factory(kind).limits(config(kind)), name)
            assert cell == (f"{told:g}" if told else NONE), (kind, name)


@pytest.mark.acceptance(
    "devices: each claim of docs/devices.md is labelled schema, vendor client, simulator, kernel, real packets or unproven"
)
def test_each_claim_is_labelled() -> None:
    claims = re.search(r"^\| claim \|.*\n\|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert claims is not None
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in claims[1].splitlines()]
    assert len(rows) > 10
    for _, kinds, how in rows:
        assert kinds == "all" or set(kinds.split(", ")) <= set(InstalledAdapters().kinds), kinds
        assert any(label in how for label in LABELS), how
    for kind in InstalledAdapters().kinds:
        section = PAGE.partition(f"(kind `{kind}`)")[2].partition("\n## ")[0]
        assert section, f"{kind} has no section"
        if kind != "memory":
            assert "least privileges" in section, kind
    linked = {name for name in re.findall(r"\]\(([^)#]+)", PAGE) if "://" not in name}
    assert [name for name in linked if not (DOCS / name).exists()] == []


@pytest.mark.acceptance("devices: the pictures of docs/devices.md show names and members that devices then hold")
@pytest.mark.parametrize(("kind", "lend"), [("bigip", bigip_rig), ("fortigate", fortigate_rig)])
def test_pictures_show_what_stands_there(kind: str, lend: Callable[[], AbstractContextManager[Any]]) -> None:
    with lend() as rig:
        rig.reset()
        _build(factory(kind), rig.config())
        held = {name: content.decode() for name, content in rig.contents().items()}
    shown = shown_in(kind)
    assert len(shown) > 3
    everything = "\n".join((*held, *held.values()))
    assert [name for name in shown if name not in everything] == []


@pytest.mark.acceptance("devices: docs/devices.md has a picture of the objects of each kind that has a console")
@pytest.mark.parametrize("kind", ["bigip", "fortigate", "aws"])
def test_there_is_a_picture(kind: str) -> None:
    assert f"(pictures/{kind}.svg)" in PAGE
    assert len(shown_in(kind)) >= 3
    if kind == "aws":
        names = import_module("adapters.aws.names").Names("fb")
        cart = ObjectKey(Kind.GROUP, "east", Scope.SERVICE, "shop", "cart")
        assert {names.name(cart, "IPv4"), names.register, names.description(cart)} == set(shown_in(kind))


def shown_in(kind: str) -> list[str]:
    """The names that the bridge gives, in a picture."""
    root = ElementTree.parse(DOCS / "pictures" / f"{kind}.svg").getroot()  # noqa: S314 - our own
    return [one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}text") if one.get("class") == "ours"]


def _build(made: AdapterFactory, config: DeviceConfig) -> None:
    """One service may reach a bank."""
    source, bank, ports = (
        ObjectKey(kind, "east", scope, "shop", name)
        for kind, scope, name in (
            (Kind.GROUP, Scope.SERVICE, "cart"),
            (Kind.GROUP, Scope.EXTERNAL, "bank"),
            (Kind.PORTS, Scope.EXTERNAL, "bank.tcp"),
        )
    )
    rules = ObjectKey(Kind.RULE_LIST, "east", Scope.SERVICE, "shop")
    line = RuleEntry("cart-bank.bank.tcp", Action.ALLOW, (source,), (bank,), Protocol.TCP, ports)
    values: tuple[DeviceObject, ...] = (
        Group(source, frozenset({"10.64.3.7", "10.64.9.12"})),
        Group(bank, frozenset({"203.0.113.0/28"})),
        Ports(ports, (PortRange(443, 443),)),
        RuleList(rules, (line,)),
        Policy(policy_key(Tier.SERVICE), (rules,)),
    )
    adapter, fence = made.open(config), Fence(1, "drawn")
    try:
        adapter.raise_fence(fence)
        wanted = Intent("edge", adapter.normalize(Intent("edge", {value.key: value for value in values})))
        have = adapter.read(EVERYTHING).objects
        steps = diff(have, wanted)
        adapter.apply(plan("edge", steps, have, adapter.capabilities, adapter.limits), fence)
    finally:
        adapter.close()
