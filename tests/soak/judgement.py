"""Whether a device does what it should: now with every packet, and at each moment on its way with those that may never get through."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from bridge.lab.device import Moment
from bridge.model.capabilities import Form
from bridge.policy.evaluate import Packet, Verdict
from tests.soak.meaning import Dweller, Reading, While, passes


def differences(
    form: Form,
    moment: Moment,
    packets: Iterable[Packet],
    reading: Reading,
    owners: Mapping[str, Dweller],
    *,
    narrower: bool = False,
) -> list[str]:
    """The packets that a device decides otherwise than it should. A `narrower` one may stop what should get through, and never more."""
    found = []
    for packet in packets:
        does, should = moment.verdict(packet), reading.decide(owners.get(packet.source), packet)
        if _same(form, does, should) or (narrower and not passes(form, does)):
            continue
        who = owners.get(packet.source)
        sender = f"{who.namespace}/{who.name} ({who.app})" if who else "nobody"
        found.append(f"{_words(packet)} of {sender}: {does.value}, not {should.value}")
    return found


@dataclass(frozen=True, slots=True)
class Leak:
    """What should not have been at a moment: of a packet that got through, or of a reference to nothing."""

    moment: Moment
    words: str
    packet: Packet | None = None


def leaks(
    form: Form, moments: Sequence[Moment], packets: Iterable[Packet], during: While, random: Random
) -> list[Leak]:
    """Packets that got through at some moment, although there was none at which they should have; and references to nothing."""
    stopped = [packet for packet in packets if not during.may_pass(form, packet)]
    found = []
    for number, moment in enumerate(moments):
        found += [Leak(moment, f"moment {number}: {line}") for line in moment.dangling()]
        for packet in random.sample(stopped, min(len(stopped), 60)):
            if passes(form, moment.verdict(packet)):
                words = f"moment {number}: {_words(packet)} got through: {moment.verdict(packet).value}"
                found.append(Leak(moment, words, packet))
    return found


def _same(form: Form, does: Verdict, should: Verdict) -> bool:
    return (does is Verdict.ALLOW) == (should is Verdict.ALLOW) if form is Form.ALLOW_ONLY else does is should


def _words(packet: Packet) -> str:
    return f"{packet.source} -> {packet.destination} {packet.protocol}/{packet.port}"
