"""A device that answers nearly right: no crash, nothing of others touched, and once it speaks clearly again all is as wanted."""

import os
from random import Random
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from adapters.bigip.transport import Transport
from bridge.errors import DeviceError
from bridge.lab.devices.bigip import Bigip
from bridge.model.identity import ObjectKey
from bridge.model.intent import EVERYTHING, DeviceObject
from tests.acceptance.mutation import mutated
from tests.adapters.bigip.site import WEB, line, open_adapter, reconcile, shop, wanted

SEED = int(os.environ["BRIDGE_TEST_SEED"])
ROUNDS = 25
LIST = "security/firewall/address-list"


def _intents() -> list[dict[ObjectKey, DeviceObject]]:
    return [
        shop("10.0.0.1", lines=[line("a"), line("b")]),
        shop("10.0.0.2", "10.0.0.3", lines=[line("b", WEB), line("new"), line("a")]),
        shop("10.0.0.9", lines=[line("only")]),
    ]


@pytest.mark.acceptance("trust: fuzz: whatever a device answers, nothing crashes and nothing wrong is written")
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
