"""A device that answers nearly right: no crash, nothing of others touched, and once it speaks clearly again all is as wanted."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from adapters.bigip.transport import Transport
from adapters.conformance.site import SOURCES, Terms
from adapters.conformance.site import line as listed
from adapters.nftables import NftablesAdapter
from adapters.nftables import factory as nftables
from adapters.nftables.transport import Answer, Local
from bridge.errors import DeviceError
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import ObjectKey
from bridge.model.intent import EVERYTHING, DeviceObject, Intent, Objects
from bridge.model.policy import Action
from bridge.policy.diff import diff, plan
from tests.acceptance.mutation import mutated
from tests.adapters.bigip.site import FENCE, WEB, line, open_adapter, reconcile, shop, wanted
from tests.adapters.nftables.machine import kernel, namespace, nft, script
from tests.adapters.nftables.rig import config as nftables_config

SEED = int(os.environ["BRIDGE_TEST_SEED"])
ROUNDS = 25
LINE = "trust: fuzz: whatever a device answers, nothing crashes and nothing wrong is written"
LIST = "security/firewall/address-list"


def _intents() -> list[dict[ObjectKey, DeviceObject]]:
    return [
        shop("10.0.0.1", lines=[line("a"), line("b")]),
        shop("10.0.0.2", "10.0.0.3", lines=[line("b", WEB), line("new"), line("a")]),
        shop("10.0.0.9", lines=[line("only")]),
    ]


@pytest.mark.acceptance(LINE)
@pytest.mark.parametrize("part", range(4))
def test_whatever_it_answers(part: int) -> None:
    random = Random(f"{SEED}/{part}")
    send = Transport.send

    def disturbed(self: Transport, *words: Any, **named: Any) -> httpx.Response:  # noqa: ANN401
        answer = send(self, *words, **named)
        if random.random() < 0.25:
            content = mutated(random, answer.content)
            status = random.choice((answer.status_code,) * 6 + (200, 202, 404, 409, 500))
            return httpx.Response(
                status, headers=dict(answer.headers) | {"content-length": str(len(content))}, content=content
            )
        return answer

    with Bigip(tls=False) as device:
        for name in ("of_others", "acme_looks_like_ours"):
            device.put_object(LIST, {"name": name, "partition": "Common", "addresses": [{"name": "10.1.1.1"}]})
        foreign = {path: body for path, body in device.objects(LIST).items() if path.count("/") == 2}
        adapter = open_adapter(device, timeout=2.0)
        reconcile(adapter, _intents()[0])
        for number in range(ROUNDS):
            intent = _intents()[number % 3]
            with patch.object(Transport, "send", disturbed):
                for _ in range(3):
                    try:
                        reconcile(adapter, intent)
                    except DeviceError:
                        continue
            now = {path: body for path, body in device.objects(LIST).items() if path.count("/") == 2}
            assert now == foreign, f"seed {SEED}, part {part}, round {number}"
            for _ in range(3):
                try:
                    reconcile(adapter, intent)
                    break
                except DeviceError:
                    continue
            held = adapter.read(EVERYTHING).objects
            assert held == wanted(adapter, intent), f"seed {SEED}, part {part}, round {number}"
        adapter.close()


@kernel
@pytest.mark.acceptance(LINE)
def test_whatever_the_kernel_seems_to_answer() -> None:
    random, run = Random(SEED), Local.run

    def disturbed(self: Local, words: Sequence[str], document: bytes = b"") -> Answer:
        answer = run(self, words, document)
        return replace(answer, output=mutated(random, answer.output)) if random.random() < 0.25 else answer

    terms = Terms.of(nftables.capabilities(nftables_config("none")))
    more = (listed("stop", action=Action.DENY), listed("pay"))
    intents = [terms.shop(*SOURCES[:number], lines=more[: number + 1]) for number in range(3)]
    with namespace() as space:
        script(space, "add table inet of_others", "add set inet of_others theirs { type ipv4_addr ; }")
        theirs = nft(space, "list", "table", "inet", "of_others")
        adapter = nftables.open(nftables_config(space))
        adapter.raise_fence(FENCE)
        for number in range(ROUNDS):
            with patch.object(Local, "run", disturbed):
                for _ in range(3):
                    with suppress(DeviceError):
                        _bring_about(adapter, intents[number % 3])
            assert nft(space, "list", "table", "inet", "of_others") == theirs, f"seed {SEED}, round {number}"
            for _ in range(3):
                with suppress(DeviceError):
                    _bring_about(adapter, intents[number % 3])
            held = adapter.read(EVERYTHING).objects
            assert held == adapter.normalize(Intent("edge", intents[number % 3])), f"seed {SEED}, round {number}"
        adapter.close()


def _bring_about(adapter: NftablesAdapter, site: Objects) -> None:
    have = adapter.read(EVERYTHING).objects
    want = Intent("edge", adapter.normalize(Intent("edge", site)))
    adapter.apply(plan("edge", diff(have, want), have, adapter.capabilities, adapter.limits), FENCE)
