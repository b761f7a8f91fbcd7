"""A gateway in a network namespace of its own, on the real kernel, in the hands of the conformance suite."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from adapters.nftables import NftablesAdapter, NftablesFactory
from adapters.nftables.names import Names, untwinned
from adapters.nftables.scope import Scope
from adapters.nftables.transport import Answer, Local
from bridge.contract import DeviceConfig
from bridge.lab.device import Moment, Trouble
from bridge.model.capabilities import Form
from bridge.model.identity import ObjectKey
from bridge.policy.evaluate import Packet, Verdict
from tests.adapters.nftables.machine import enter, namespace, run
from tests.adapters.nftables.referee import Ruleset

OWNER = "fb"
TABLE = Names(OWNER).table

_SAYS = {
    Trouble.UNAUTHORIZED: "netlink: Error: cache initialization failed: Operation not permitted",
    Trouble.FORBIDDEN: "Operation not permitted (you must be root)",
    Trouble.MISSING: "internal:0:0-0: Error: Could not process rule: No such file or directory",
    Trouble.CONFLICT: "internal:0:0-0: Error: Could not process rule: File exists",
    Trouble.TOO_MANY: "internal:0:0-0: Error: Could not process rule: No buffer space available",
    Trouble.UNAVAILABLE: "internal:0:0-0: Error: Could not process rule: Cannot allocate memory",
    Trouble.ECHO: "internal:0:0-0: Error: syntax error, unexpected everything",
}


class NoSecrets:
    """The kernel asks for none."""

    def value(self, name: str) -> str:
        raise KeyError(name)


def config(
    namespace: str, owner: str = OWNER, *, attach: str = "ifEmpty", timeout: float = 10.0, **scope: object
) -> DeviceConfig:
    """Settings for a gateway that is a namespace of this machine."""
    given = {"networkNamespace": namespace, **scope}
    return DeviceConfig("edge", "nftables", "local://gw", owner, NoSecrets(), given, {"mode": attach}, timeout=timeout)


@dataclass
class Stood:
    """The table at one moment; read when it is asked about."""

    text: str

    @cached_property
    def ruleset(self) -> Ruleset:
        return Ruleset.of(self.text)

    def verdict(self, packet: Packet, at: float | None = None) -> Verdict:
        return self.ruleset.verdict(packet, at)

    def dangling(self) -> Sequence[str]:
        return self.ruleset.dangling()


@dataclass
class Fault:
    """What happens to the next calls."""

    trouble: Trouble
    skip: int
    times: int | None
    writes: bool
    hits: int = 0


@dataclass
class NftablesRig:
    """Counts the calls of every adapter, puts trouble in their way, and looks at the table after each that writes.

    `there` are threads that are in the namespace, and with them whatever they run: `ip netns exec`, as the settings would have it, starts a
    process more for each of thousands of commands.
    """

    name: str
    there: Executor
    form: Form = Form.TIERED
    troubles: frozenset[Trouble] = frozenset(Trouble)
    limits: Mapping[str, int] = field(default_factory=dict)
    sent: int = 0
    faults: list[Fault] = field(default_factory=list)
    seen: list[Moment] = field(default_factory=list)

    def config(self, *, owner: str = OWNER, batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        return config(self.name, owner, timeout=timeout, transactionSteps=batch or 50_000, form=self.form.value)

    def reset(self) -> None:
        self.faults.clear()
        self._nft("flush", "ruleset")
        self.seen = [Stood("")]

    def plant(self) -> Collection[str]:
        """The site's own firewall, a table of our name in another family, and one whose name begins with ours."""
        self._script(
            "table inet filter {\n set group { type ipv4_addr\n elements = { 10.0.0.1 }\n }",
            "chain forward {\n type filter hook forward priority 0; policy accept;\n ip saddr @group counter accept\n }\n}",
            f"table ip {TABLE} {{\n chain enter {{\n drop\n }}\n}}",
            f'table inet {TABLE}x {{\n comment "fb:{OWNER}:marks"\n chain enter {{\n accept\n }}\n}}',
        )
        return (f"table ip {TABLE}", f"table inet {TABLE}x")

    def contents(self) -> Mapping[str, bytes]:
        found: dict[str, object] = {}
        for item in _untwinned(json.loads(self._nft("-j", "list", "ruleset"))["nftables"]):
            for kind, one in item.items():
                if kind == "metainfo" or "hook/forward" in (one.get("name"), one.get("chain")):
                    continue
                plain = {name: value for name, value in one.items() if name not in ("handle", "packets", "bytes")}
                plain["elem"] = sorted(map(_text, plain.get("elem", [])))
                title = " ".join(filter(None, (kind, one["family"], one.get("table", ""), one.get("name", ""))))
                if kind == "rule":
                    title = f"chain {one['family']} {one['table']} {one['chain']}"
                    plain = {"rules": [*_rules(found.get(title)), _text(_plain(one["expr"])), one.get("comment", "")]}
                found[title] = {**_plain(found.get(title, {})), **plain} if kind == "rule" else plain
        return {title: _text(content).encode() for title, content in found.items()}

    def calls(self) -> int:
        return self.sent

    def moments(self) -> Sequence[Moment]:
        return list(self.seen)

    def disturb(self, trouble: Trouble, *, skip: int = 0, times: int | None = None, writes: bool = False) -> None:
        self.faults.append(Fault(trouble, skip, times, writes))

    def calm(self) -> int:
        hits = sum(fault.hits for fault in self.faults)
        self.faults.clear()
        return hits

    def narrow(self, limit: str) -> None:
        raise AssertionError(f"no limit {limit} is declared")

    def unmark(self, key: ObjectKey) -> str:
        names = Names(OWNER)
        name = names.name(key)
        self._script(
            f"delete element inet {TABLE} marks {{ {names.mark(name)[0]} }}",
            f"add element inet {TABLE} {name}.hosts4 {{ 192.0.2.97 }}",
        )
        return f"set inet {TABLE} {name}.hosts4"

    def tamper(self, key: ObjectKey) -> None:
        self._script(f"add element inet {TABLE} {Names(OWNER).name(key)}.hosts4 {{ 10.66.0.66 }}")

    def secrets(self) -> Collection[str]:
        return ()

    def _nft(self, *words: str, stdin: str = "") -> str:
        return self.there.submit(run, "nft", *words, stdin=stdin).result()

    def _script(self, *lines: str) -> None:
        self._nft("-f", "-", stdin="\n".join(lines) + "\n")

    # ---- the way of a call

    def pass_on(self, way: Local, words: Sequence[str], document: bytes) -> Answer:
        """One call, with what stands in its way."""
        self.sent += 1
        writes = "-f" in words and "-c" not in words
        fault = self._met(writes)
        if fault is not None and fault.trouble is not Trouble.LOST:
            return self._troubled(fault.trouble, way)
        answer = way.run(words, document)
        if writes and answer.code == 0:
            self.seen.append(Stood(run("nft", "-jn", "list", "table", "inet", TABLE, check=False)))
        return answer if fault is None else Answer(-9, b"", "")

    def _met(self, writes: bool) -> Fault | None:
        for fault in self.faults:
            if fault.writes and not writes:
                continue
            if fault.skip:
                fault.skip -= 1
            elif fault.times is None or fault.hits < fault.times:
                fault.hits += 1
                return fault
        return None

    def _troubled(self, trouble: Trouble, way: Local) -> Answer:
        if trouble is Trouble.HTML:
            return Answer(0, b"<html>Please log in.</html>", "")
        if trouble is Trouble.CUT:
            return Answer(-9, b"", "")
        if trouble is Trouble.SILENCE:
            return way.run(("sleep", "30"))
        return Answer(1, b"", _SAYS[trouble])


@dataclass
class RigTransport:
    """A way to the gateway on which the rig sits."""

    rig: NftablesRig
    way: Local
    calls: int = 0

    def run(self, words: Sequence[str], document: bytes = b"") -> Answer:
        self.calls += 1
        return self.rig.there.submit(self.rig.pass_on, self.way, words, document).result()


class RigFactory(NftablesFactory):
    """The adapter's factory, its adapters on the rig's transport."""

    rigs: dict[str, NftablesRig]

    def __init__(self) -> None:
        self.rigs = {}

    def open(self, config: DeviceConfig) -> NftablesAdapter:
        scope = Scope.of(config)
        return NftablesAdapter(
            config, RigTransport(self.rigs[scope.network_namespace], Local(config.name, config.timeout))
        )


rigged = RigFactory()


@contextmanager
def nftables_rig(form: Form = Form.TIERED) -> Iterator[NftablesRig]:
    """A rig around a namespace that lasts as long as the context."""
    with namespace() as name, ThreadPoolExecutor(4, initializer=enter, initargs=(name,)) as there:
        rigged.rigs[name] = rig = NftablesRig(name, there, form)
        rig.reset()
        yield rig


def flat_rig() -> AbstractContextManager[NftablesRig]:
    """The same, for a gateway whose policies stand in one list."""
    return nftables_rig(Form.FLAT)


def _rules(found: object) -> list[object]:
    return list(found.get("rules", [])) if isinstance(found, dict) else []


def _plain(content: object) -> dict[str, object]:
    return content if isinstance(content, dict) else {"content": content}


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


__all__ = ["NftablesRig", "NoSecrets", "config", "flat_rig", "nftables_rig", "rigged", "run"]


def _untwinned(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Which of two twins stands says only how often it was written anew; two that both stand remain two."""
    names = {one["name"] for item in listed for kind, one in item.items() if kind == "set"}
    text = json.dumps(listed)
    for name in names:
        plain = name.removesuffix("b") if name.endswith((".nets4b", ".nets6b")) else untwinned(name)
        if plain not in names:
            text = text.replace(f'{name}"', f'{plain}"')
    renamed: list[dict[str, Any]] = json.loads(text)
    return renamed
