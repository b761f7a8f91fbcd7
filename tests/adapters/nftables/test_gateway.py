"""The adapter on the real kernel, beyond what the conformance suite asks of every device."""

import os
import signal
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from adapters.conformance.site import (
    BANK,
    CART,
    HTTPS,
    LATE,
    LATER,
    MAIL,
    SOURCES,
    WEB,
    Site,
    Terms,
    group_key,
    line,
    objects,
)
from adapters.nftables import NftablesAdapter, factory
from adapters.nftables.names import Names
from adapters.nftables.transport import Answer, Local
from bridge.errors import Busy, Denied, Drifted, FencedOff, NotOwned, Rejected, Unsupported
from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.model.intent import EVERYTHING, Group, Intent, Objects, Policy, Schedule, Shard
from bridge.model.plan import Fence, Op, Outcome, Plan, Step
from bridge.model.policy import Action, IcmpType, Protocol, Tier
from bridge.policy.diff import diff, plan
from tests.adapters.nftables.machine import kernel, namespace, nft, ruleset, script
from tests.adapters.nftables.rig import TABLE, config

pytestmark = kernel

FENCE = Fence(4, "an installation")
TERMS = Terms.of(factory.capabilities(config("none")))
LIST = TERMS.list_key(Scope.SERVICE)


@pytest.fixture(scope="module")
def space() -> Iterator[str]:
    with namespace() as name:
        yield name


@pytest.fixture
def adapter(space: str) -> Iterator[NftablesAdapter]:
    made = factory.open(config(space))
    made.raise_fence(FENCE)
    yield made
    made.close()
    nft(space, "flush", "ruleset")


def planned(adapter: NftablesAdapter, site: Objects) -> Plan:
    have = adapter.read(EVERYTHING).objects
    want = Intent("edge", adapter.normalize(Intent("edge", site)))
    return plan("edge", diff(have, want), have, adapter.capabilities, adapter.limits)


def reconcile(adapter: NftablesAdapter, site: Objects, fence: Fence = FENCE) -> Outcome:
    made = planned(adapter, site)
    outcome = adapter.apply(made, fence)
    assert adapter.read(EVERYTHING).objects == adapter.normalize(Intent("edge", site))
    assert planned(adapter, site).empty
    return outcome


def hosts(count: int, first: int = 0) -> frozenset[str]:
    return frozenset(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(first, first + count))


# ---- members


def test_one_change_of_ten_thousand_members_is_one_small_command(space: str) -> None:
    """Its acknowledgement is its verification: elements are deleted and created strictly."""
    sent: list[int] = []
    way = Counting(Local("edge", 10, ("ip", "netns", "exec", space)), sent)
    adapter = NftablesAdapter(config(space), way)
    try:
        site = TERMS.shop() | objects(Group(CART, hosts(10_000)))
        reconcile(adapter, site)
        after = TERMS.shop() | objects(Group(CART, hosts(9_999, 1) | {"10.9.9.9"}))
        made = planned(adapter, after)
        sent.clear()
        outcome = adapter.apply(made, FENCE)
        assert outcome.calls <= 2
        assert sum(sent) < 8192
        assert adapter.read(EVERYTHING).objects == adapter.normalize(Intent("edge", after))
    finally:
        nft(space, "flush", "ruleset")


@dataclass
class Counting:
    """A way that notes how much each command is given."""

    way: Local
    sent: list[int]

    @property
    def calls(self) -> int:
        return self.way.calls

    def run(self, words: Sequence[str], document: bytes = b"") -> Answer:
        self.sent.append(len(document))
        return self.way.run(words, document)


def test_members_that_overlap_on_the_way_are_taken_away_as_they_stand(adapter: NftablesAdapter) -> None:
    """Halfway through a transition a group holds what either end holds, and stands as the fewest prefixes that cover it."""
    narrow, both = Group(CART, frozenset({"10.0.0.2/31"})), Group(CART, frozenset({"10.0.0.0/30", "10.0.0.2/31"}))
    reconcile(adapter, objects(narrow))
    steps = (Step(Op.UPDATE, CART, narrow, both), Step(Op.UPDATE, CART, both, narrow))
    adapter.apply(Plan("edge", tuple((step,) for step in steps)), FENCE)
    assert adapter.read(EVERYTHING).objects == objects(narrow)


def test_a_change_of_members_leaves_rules_and_counts_alone(adapter: NftablesAdapter, space: str) -> None:
    reconcile(adapter, TERMS.shop(SOURCES[0]))
    before = nft(space, "-a", "list", "chain", "inet", TABLE, Names("fb").name(LIST))
    reconcile(adapter, TERMS.shop(SOURCES[1]))
    assert nft(space, "-a", "list", "chain", "inet", TABLE, Names("fb").name(LIST)) == before


def test_a_group_gets_and_loses_its_sets_with_its_rules(adapter: NftablesAdapter, space: str) -> None:
    """Four sets at most, none that is empty but the first; every line names exactly those that are there."""
    for members in (
        {"10.0.0.1"},
        {"10.0.0.1", "10.1.0.0/16", "fd00::1", "fd00:1::/64"},
        {"fd00:1::/64"},
        set(),
        {"10.7.0.3-10.7.0.9", "fd00::1"},
    ):
        reconcile(adapter, TERMS.shop() | objects(Group(CART, frozenset(members))))
        text = ruleset(space)
        for ending, there in (
            ("nets4", any("." in one and ("/" in one or "-" in one) for one in members)),
            ("hosts6", "fd00::1" in members),
            ("nets6", "fd00:1::/64" in members),
        ):
            name = f"{Names('fb').name(CART)}.{ending}"
            assert (f"set {name} " in text) == there
            assert (f"@{name} " in text) == (there and (ending.endswith("4")))  # the bank has no IPv6


def test_members_that_overlap_are_written_as_what_they_cover(adapter: NftablesAdapter) -> None:
    wide = {"10.0.0.0/8", "10.1.0.0/16", "10.255.255.0-11.0.0.1", "11.0.0.2", "::/0", "fd00::/8"}
    want = adapter.normalize(Intent("edge", objects(Group(BANK, frozenset(wide)))))[BANK]
    assert want == Group(BANK, frozenset({"10.0.0.0/8", "11.0.0.0/31", "11.0.0.2", "::/0"}))
    reconcile(adapter, TERMS.shop(SOURCES[0]) | {BANK: want})
    reconcile(adapter, TERMS.shop(SOURCES[0]) | objects(Group(BANK, frozenset({"10.1.0.0/16", "0.0.0.0/0"}))))


def test_parts_of_a_group_become_its_members(adapter: NftablesAdapter) -> None:
    parts = objects(Group(CART, shards=2), *(Shard(CART.shard(at, 2), hosts(2, 8 * at)) for at in range(2)))
    assert adapter.normalize(Intent("edge", parts)) == {CART: Group(CART, hosts(2) | hosts(2, 8))}
    with pytest.raises(Unsupported) as caught:
        adapter.normalize(Intent("edge", objects(Group(CART, shards=2))))
    assert set(caught.value.objects) == {str(CART)}


# ---- lines


def test_every_kind_of_traffic_and_action_is_read_as_written(adapter: NftablesAdapter, space: str) -> None:
    kinds = [
        line(f"{action.lower()}-{number}", action=action, log=log)
        for action in Action
        for number, log in enumerate((False, True))
    ]
    kinds += [
        replace(line("types", protocol=Protocol.ICMP), icmp=(IcmpType(3, 4), IcmpType(8))),
        replace(line("types6", protocol=Protocol.ICMPV6), icmp=(IcmpType(128, 0), IcmpType(200))),
        replace(line("gre", protocol=Protocol.OTHER), number=47),
        replace(line("hop", protocol=Protocol.OTHER), number=0),
        *(line(protocol.lower(), protocol=protocol) for protocol in list(Protocol)[:6]),
        line("https", protocol=Protocol.UDP, ports=HTTPS),
        line("a" * 300),
        line("odd name: ü/{}"),
    ]
    reconcile(adapter, TERMS.shop(SOURCES[0], "fd00::1", lines=kinds))
    prefixes = [text.partition('log prefix "')[2].partition('"')[0] for text in ruleset(space).splitlines()]
    assert all(len(one) <= 127 for one in prefixes)


def test_log_lines_name_owner_list_and_line(adapter: NftablesAdapter, space: str) -> None:
    reconcile(adapter, TERMS.shop(SOURCES[0], lines=[line("pay", log=True)]))
    assert f'log prefix "{TABLE} prod/service/shop pay: "' in ruleset(space)


def test_logs_may_go_to_a_group_and_without_a_limit(space: str) -> None:
    adapter = factory.open(config(space, logGroup=7, logRate=0))
    reconcile(adapter, TERMS.shop(SOURCES[0], lines=[line("pay", log=True)]))
    text = ruleset(space)
    assert "group 7" in text
    assert "limit rate" not in text
    nft(space, "flush", "ruleset")


def test_counts_of_a_line_outlive_an_edit_of_its_list(adapter: NftablesAdapter, space: str) -> None:
    reconcile(adapter, TERMS.shop(SOURCES[0], lines=[line("kept"), line("gone")]))
    reconcile(adapter, TERMS.shop(SOURCES[0], lines=[line("new"), line("kept")]))
    names = [text.split()[1] for text in ruleset(space).splitlines() if text.strip().startswith("counter ")]
    assert sorted(names) == [f"{Names('fb').name(LIST)}/{one}" for one in ("kept", "new")]


# ---- what others do in our table


@pytest.mark.parametrize(
    "edit",
    [
        "insert rule inet {table} {list} accept",
        "add rule inet {table} {list} ip saddr 192.0.2.1 drop",
        "flush chain inet {table} {list}",
        "flush chain inet {table} enter",
        "flush chain inet {table} verdict/reject",
        "insert rule inet {table} next/service drop",
        "insert rule inet {table} hook/forward accept",
        "insert rule inet {table} policy/service accept",
        "flush chain inet {table} policy/service",
        "flush set inet {table} {cart}.hosts4",
        "add element inet {table} {cart}.hosts4 {{ 10.66.0.66 }}",
        "flush set inet {table} ports/prod/external/shop/bank.tcp",
        "flush set inet {table} {bank}.nets4",
        "add element inet {table} {bank}.nets4 {{ 192.0.2.9 }}",
        "delete chain inet {table} hook/forward",
    ],
)
def test_an_edit_by_somebody_else_is_seen_and_undone(adapter: NftablesAdapter, space: str, edit: str) -> None:
    site = TERMS.shop(SOURCES[0])
    reconcile(adapter, site)
    before = ruleset(space)
    names = Names("fb")
    script(space, edit.format(table=TABLE, list=names.name(LIST), cart=names.name(CART), bank=names.name(BANK)))
    assert not planned(adapter, site).empty
    reconcile(adapter, site)
    assert sorted(ruleset(space).splitlines()) == sorted(before.splitlines())


@pytest.mark.parametrize("edit", ["insert rule {list} accept", "add rule {list} ip saddr 192.0.2.1 drop"])
def test_so_is_one_where_a_plan_takes_many_transactions(space: str, edit: str) -> None:
    """What nobody can read cannot be written on the way either."""
    adapter = factory.open(config(space, transactionSteps=1))
    adapter.raise_fence(FENCE)
    reconcile(adapter, TERMS.shop(SOURCES[0]))
    script(space, edit.format(list=f"inet {TABLE} {Names('fb').name(LIST)}"))
    lines = [line("pay", WEB, protocol=Protocol.TCP), line("look", CART, to=MAIL, protocol=Protocol.UDP)]
    reconcile(adapter, TERMS.shop(*SOURCES, lines=lines, more=[Group(MAIL, frozenset({"198.51.100.7"}))]))
    adapter.close()
    nft(space, "flush", "ruleset")


def test_strangers_in_our_table_are_named_and_left(adapter: NftablesAdapter, space: str) -> None:
    web = Names("fb").name(group_key("web2"))
    script(
        space,
        f"add set inet {TABLE} {web}.hosts4 {{ type ipv4_addr ; elements = {{ 192.0.2.1 }} ; }}",
        f"add set inet {TABLE} strange {{ type mark ; }}",
        f"add map inet {TABLE} m {{ type ipv4_addr : mark ; }}",
        f"add counter inet {TABLE} c",
        f"add chain inet {TABLE} input {{ type filter hook input priority 0 ; }}",
        f"add chain inet {TABLE} rules/prod/service/other",
    )
    site = TERMS.shop(SOURCES[0])
    reconcile(adapter, site)
    reconcile(adapter, {})
    foreign = {one.name: one.look_alike for one in adapter.read(EVERYTHING).foreign}
    assert {name.partition(f" inet {TABLE} ")[2] for name in foreign} == {
        f"{web}.hosts4",
        "strange",
        "m",
        "c",
        "input",
        "rules/prod/service/other",
    }
    assert all(foreign.values())
    lone = group_key("web2")
    with pytest.raises(NotOwned) as caught:
        adapter.apply(planned(adapter, {lone: Group(lone, hosts(1))}), FENCE)
    assert set(caught.value.objects) == {str(lone)}
    text = ruleset(space)
    assert all(one in text for one in ("192.0.2.1", "set strange", "map m", "counter c", "chain input"))


def test_a_table_of_our_name_without_our_mark_is_not_touched(space: str) -> None:
    script(space, f"table inet {TABLE} {{ chain fence/9/them {{ }}", "}")
    before = ruleset(space)
    adapter = factory.open(config(space))
    assert [one.name for one in adapter.read(EVERYTHING).foreign] == [f"table inet {TABLE}"]
    with pytest.raises(NotOwned):
        adapter.raise_fence(FENCE)
    with pytest.raises(NotOwned):
        adapter.apply(planned(adapter, TERMS.shop(SOURCES[0])), FENCE)
    assert ruleset(space) == before
    nft(space, "flush", "ruleset")


# ---- the fence


def test_the_kernel_refuses_a_write_of_a_former_owner(space: str) -> None:
    """Even one that was decided upon before the take-over and lands after it: nothing is read in between."""
    way = Watching("edge", 10, ("ip", "netns", "exec", space))
    former = NftablesAdapter(config(space), way)
    reconcile(former, TERMS.shop(SOURCES[0]))
    made = planned(former, TERMS.shop(SOURCES[1]))
    factory.open(config(space)).raise_fence(replace(FENCE, epoch=5))
    before, way.seen = ruleset(space), []
    with pytest.raises(FencedOff):
        former.apply(made, FENCE)
    assert way.seen[0] == ("nft", "-j", "-f", "-")
    assert ruleset(space) == before
    nft(space, "flush", "ruleset")


def test_two_that_found_no_fence_cannot_both_put_one_up(space: str) -> None:
    one, other = (factory.open(config(space)) for _ in range(2))
    for each in (one, other):
        assert each.read(EVERYTHING).fence.epoch == 0
    one.raise_fence(Fence(1, "one"))
    with pytest.raises(FencedOff):
        other.raise_fence(Fence(1, "other"))
    nft(space, "flush", "ruleset")


def test_a_table_that_vanished_is_built_again(adapter: NftablesAdapter, space: str) -> None:
    site = TERMS.shop(SOURCES[0])
    reconcile(adapter, site)
    made = planned(adapter, TERMS.shop(SOURCES[1]))
    nft(space, "delete", "table", "inet", TABLE)
    with pytest.raises(Drifted):
        adapter.apply(made, FENCE)
    reconcile(adapter, site)
    assert adapter.read(EVERYTHING).fence.epoch == FENCE.epoch


# ---- ends


def ending(*schedules: Schedule, named: Schedule = LATE) -> Site:
    """A line that ends, and these schedules."""
    return TERMS.shop(SOURCES[0], lines=[line("pay", schedule=named.key, log=True)], more=schedules)


def test_what_ends_says_when_and_refers_to_its_end(adapter: NftablesAdapter, space: str) -> None:
    """In front of what counts and logs; a schedule that no line names stands all the same."""
    reconcile(adapter, ending(LATE, LATER))
    text = nft(space, "list", "table", "inet", TABLE)
    names = [Names("fb").name(one.key) for one in (LATE, LATER)]
    assert all(name in text for name in names)
    held = nft(space, "-s", "list", "chain", "inet", TABLE, Names("fb").name(LIST)).splitlines()[2:-2]
    condition = 'meta time < "2036-05-04 10:31:00" '
    assert [one.partition(condition)[2].split()[0] for one in held] == ["ct", "counter"] * 2  # the bank has two sets
    assert f"jump {names[0]} " in held[-1]


@pytest.mark.parametrize("change", ['"2036-05-04 10:31:00" accept', "2097138600 accept", "2093511900 drop"])
def test_an_end_that_somebody_changed_is_put_right_with_its_lines(
    adapter: NftablesAdapter, space: str, change: str
) -> None:
    site = ending(LATE, LATER, named=LATER)
    reconcile(adapter, site)
    before = ruleset(space)
    chain = f"inet {TABLE} {Names('fb').name(LATER.key)}"
    script(space, f"flush chain {chain}", f"add rule {chain} meta time < {change}")
    found = adapter.read(EVERYTHING).objects
    assert found[LATER.key] != LATER
    assert found[LATE.key] == LATE
    reconcile(adapter, site)
    assert ruleset(space) == before


def test_a_line_that_somebody_let_last_longer_is_put_right(adapter: NftablesAdapter, space: str) -> None:
    site = ending(LATE, LATER)
    reconcile(adapter, site)
    before, (late, later) = ruleset(space), (Names("fb").name(one.key) for one in (LATE, LATER))
    text = nft(space, "-s", "list", "table", "inet", TABLE)
    for old, new in ((f"jump {late}", f"jump {later}"), (f"jump {late}", "accept"), ('"2036', '"2037')):
        script(space, f"delete table inet {TABLE}", text.replace(old, new))
        assert not planned(adapter, site).empty
        reconcile(adapter, site)
        assert ruleset(space) == before


def test_the_kernel_takes_no_line_without_its_end_and_no_end_from_its_lines(
    adapter: NftablesAdapter, space: str
) -> None:
    made = planned(adapter, ending(LATE))
    steps = tuple(step for step in made.steps if step.key != LATE.key)
    with pytest.raises(Drifted):
        adapter.apply(Plan("edge", (steps,)), FENCE)
    reconcile(adapter, ending(LATE))
    with pytest.raises(Drifted):
        adapter.apply(Plan("edge", ((Step(Op.DELETE, LATE.key, LATE, None),),)), FENCE)
    assert planned(adapter, ending(LATE)).empty


def test_a_chain_under_the_name_of_an_end_is_somebody_elses(adapter: NftablesAdapter, space: str) -> None:
    name = Names("fb").name(LATE.key)
    script(space, f"add chain inet {TABLE} {name}", f"add rule inet {TABLE} {name} accept")
    before = nft(space, "list", "chain", "inet", TABLE, name)
    with pytest.raises(NotOwned, match=name):
        adapter.apply(planned(adapter, ending(LATE)), FENCE)
    assert nft(space, "list", "chain", "inet", TABLE, name) == before


def test_an_end_is_the_same_in_every_zone(space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the bridge and of the gateway, whose date nft would print and take; also where the table comes from a file."""
    file, site = tmp_path / "bridge.nft", ending(LATE, LATER)
    monkeypatch.setenv("TZ", "EST5EDT")
    adapter = factory.open(config(space, persist=str(file)))
    adapter.raise_fence(FENCE)
    reconcile(adapter, site)
    before = ruleset(space)
    assert "2036-05-04 10:31:00" in before
    adapter.save()
    script(space, f"delete table inet {TABLE}")
    nft(space, "-f", str(file), zone="JST-9")
    assert ruleset(space) == before
    assert planned(adapter, site).empty
    nft(space, "flush", "ruleset")


# ---- faults


def test_nft_killed_at_any_moment_leaves_all_or_nothing(space: str, tmp_path: Path) -> None:
    """Killed after ever longer, until it was fast enough: each time the state before stands, or the state after, whole."""
    killing = tmp_path / "nft"
    killing.write_text(_KILLING)
    killing.chmod(0o755)
    adapter, clean = factory.open(config(space, program=str(killing))), factory.open(config(space))
    sites = [TERMS.shop() | objects(Group(CART, hosts(2_000, first))) for first in (0, 20_000)]
    reconcile(clean, sites[0])
    made, ended = planned(adapter, sites[1]), [clean.normalize(Intent("edge", site)) for site in sites]
    pause, killed = 0, 0
    while (now := clean.read(EVERYTHING).objects) == ended[0]:
        Path(f"{killing}.pause").write_text(f"{pause / 1000:.3f}\n")
        with suppress(Busy):
            adapter.apply(made, FENCE)
        pause, killed = pause * 2 or 1, killed + 1
    assert now == ended[1]
    assert killed > 1
    reconcile(adapter, sites[1])
    nft(space, "flush", "ruleset")


_KILLING = """#!/bin/sh
case "$*" in *-f*) ;; *) exec nft "$@" ;; esac
exec 3<&0
nft "$@" <&3 & child=$!
read -r pause < "$0.pause"
[ "$pause" = 0.000 ] || sleep "$pause"
kill -9 $child 2>/dev/null
wait $child
"""


def test_an_nft_that_hangs_is_ended_in_time(space: str, tmp_path: Path) -> None:
    hanging = tmp_path / "nft"
    hanging.write_text("#!/bin/sh\necho $$ >> $0.pids\nexec sleep 60\n")
    hanging.chmod(0o755)
    adapter = factory.open(config(space, timeout=0.5, program=str(hanging)))
    with pytest.raises(Busy):
        adapter.read(EVERYTHING)
    for pid in Path(f"{hanging}.pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), signal.SIG_DFL)


def test_without_nft_or_the_right_to_use_it_nothing_is_tried_twice(space: str) -> None:
    with pytest.raises(Denied, match="nonexistent"):
        factory.open(config(space, program="/nonexistent/nft")).read(EVERYTHING)
    with pytest.raises(Denied, match="namespace"):
        factory.open(config("fbtest-there-is-none")).read(EVERYTHING)


def test_what_the_kernel_refuses_is_named(adapter: NftablesAdapter) -> None:
    """A list that jumps nowhere cannot be made; its neighbours in the plan can, without it."""
    lost = ObjectKey(Kind.RULE_LIST, "prod", Scope.NAMESPACE, "lost")
    policy = ObjectKey(Kind.POLICY, "", Scope.NAMESPACE)
    made = planned(adapter, TERMS.shop(SOURCES[0]) | objects(Policy(policy, (lost,))))
    with pytest.raises((Rejected, Drifted)):
        adapter.apply(made, FENCE)
    reconcile(adapter, TERMS.shop(SOURCES[0]))


def test_a_refusal_for_what_an_object_is_names_that_object(space: str) -> None:
    """Found by asking the kernel about shorter plans, without changing anything."""
    names = Names("fb")
    poison = group_key("poison")
    way = Refusing(Local("edge", 10, ("ip", "netns", "exec", space)), names.name(poison).encode())
    adapter = NftablesAdapter(config(space), way)
    site: Site = TERMS.shop(SOURCES[0]) | objects(Group(poison, hosts(2)), Group(group_key("web3"), hosts(3)))
    with pytest.raises(Rejected) as caught:
        adapter.apply(planned(adapter, site), FENCE)
    assert set(caught.value.objects) == {str(poison)}
    del site[poison]
    reconcile(adapter, site)
    nft(space, "flush", "ruleset")


@dataclass
class Refusing:
    """A kernel that will not have anything of one name."""

    way: Local
    name: bytes

    @property
    def calls(self) -> int:
        return self.way.calls

    def run(self, words: Sequence[str], document: bytes = b"") -> Answer:
        if self.name in document:
            return Answer(1, b"", "internal:0:0-0: Error: Could not process rule: Invalid argument")
        return self.way.run(words, document)


# ---- attachment and persistence


def test_a_base_chain_of_the_site_is_enough_and_is_not_doubled(space: str) -> None:
    adapter, site = factory.open(config(space, attach="none")), TERMS.shop(SOURCES[0])
    reconcile(adapter, site)
    assert not any(adapter.read(EVERYTHING).attached.values())
    nft(space, adapter.attach_hint().split("'")[1])
    assert all(adapter.read(EVERYTHING).attached.values())
    eager = factory.open(config(space))
    outcome = eager.apply(planned(eager, site), FENCE)
    assert {key.kind for key in outcome.refused} == {Kind.ATTACHMENT}
    assert all(eager.read(EVERYTHING).attached.values())
    assert "hook/forward" not in ruleset(space)
    nft(space, "flush", "ruleset")


def test_a_mode_that_changes_puts_our_chain_up_and_takes_it_down(space: str) -> None:
    site = TERMS.shop(SOURCES[0])
    for attach, priority in (("none", 0), ("ifEmpty", 0), ("ifEmpty", 5), ("none", 0)):
        settings = config(space, attach=attach)
        adapter = factory.open(replace(settings, attach={"mode": attach, "priority": priority}))
        reconcile(adapter, site)
        assert ("hook/forward" in ruleset(space)) == (attach == "ifEmpty")
        attached = adapter.read(EVERYTHING).attached
        assert attached == dict.fromkeys(Tier, attach == "ifEmpty")
    nft(space, "flush", "ruleset")


def test_what_is_saved_is_what_is_loaded(space: str, tmp_path: Path) -> None:
    file = tmp_path / "bridge.nft"
    adapter, site = factory.open(config(space, persist=str(file))), TERMS.shop(SOURCES[0], lines=[line("l", log=True)])
    long = group_key("x" * 250, Scope.EXTERNAL)
    reconcile(adapter, site | objects(Group(long, frozenset({"192.0.2.1"}))))
    adapter.save()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = ruleset(space)
    for gone in ("delete table inet " + TABLE, f"delete chain inet {TABLE} hook/forward"):
        script(space, gone)
        nft(space, "-f", str(file))
        assert ruleset(space) == before
    assert planned(adapter, site | objects(Group(long, frozenset({"192.0.2.1"})))).empty
    assert adapter.read(EVERYTHING).fence.epoch == FENCE.epoch
    nft(space, "flush", "ruleset")


def test_other_tables_are_the_same_to_the_byte(adapter: NftablesAdapter, space: str) -> None:
    theirs = ("ip nat", "inet filter", f"inet {TABLE}x")
    script(
        space,
        "table ip nat { chain post { type nat hook postrouting priority 100 ; masquerade ; }",
        "}",
        "table inet filter { set hosts { type ipv4_addr ; flags interval ; auto-merge ; elements = { 10.0.0.0/8 } ; }",
        "chain forward { type filter hook forward priority 0 ; ip saddr @hosts accept ; }",
        "}",
        f"table inet {TABLE}x {{ chain enter {{ drop ; }}",
        "}",
    )
    before = ruleset(space, theirs)
    for site in (TERMS.shop(SOURCES[0]), TERMS.shop(SOURCES[1], lines=[line("x"), line("y")]), {}):
        reconcile(adapter, site)
    assert ruleset(space, theirs) == before
    assert {one.name for one in adapter.read(EVERYTHING).foreign} == {f"table {name}" for name in theirs}


def test_no_name_of_an_object_stands_among_the_words_of_a_command(space: str) -> None:
    """But that of our table, and of a chain that is read alone, which the grammar of names makes a plain word."""
    way = Watching("edge", 10, ("ip", "netns", "exec", space))
    adapter = NftablesAdapter(config(space), way)
    odd = TERMS.shop(SOURCES[0]) | objects(Group(group_key('a"; b\n-x $(y) ü', Scope.ANNOTATION), hosts(2)))
    reconcile(adapter, odd)
    reconcile(adapter, odd | TERMS.shop(SOURCES[0], lines=[line("more")]))
    reconcile(adapter, {})
    words = {word for each in way.seen for word in each}
    plain = {"nft", "-j", "-jn", "-f", "-", "-t", "list", "tables", "table", "chain", "inet", TABLE}
    assert words - plain == {"cat", "/etc/machine-id", Names("fb").name(LIST)}
    nft(space, "flush", "ruleset")


class Watching(Local):
    """A way that notes the words of each command."""

    def __init__(self, device: str, timeout: float, prefix: Sequence[str]) -> None:
        super().__init__(device, timeout, prefix)
        self.seen: list[Sequence[str]] = []

    def run(self, words: Sequence[str], document: bytes = b"") -> Answer:
        self.seen.append(words)
        return super().run(words, document)
