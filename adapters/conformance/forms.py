"""Whatever form a value is written in, one thing is meant; what the device cannot express is named, and nothing is ever widened."""

from dataclasses import replace

import pytest

from adapters.conformance.bench import Bench, needs
from adapters.conformance.site import BANK, CART, HTTPS, LATE, LATER, SOURCES, WEB, Site, line, objects
from bridge.errors import Unsupported
from bridge.model.identity import Kind
from bridge.model.intent import DeviceObject, Group, Intent, Ports, RuleEntry, RuleList, Schedule
from bridge.model.policy import Action, IcmpType, PortRange, Protocol
from bridge.policy.evaluate import Packet, Verdict

_ODD = {"10.0.0.1/32", "10.0.0.1", "10.0.0.3", "10.0.0.2-10.0.0.2", "10.2.0.0-10.2.255.255", "10.2.0.0/16"}
_PLAIN = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.2.0.0/16"}
_ODD_V6 = {"2001:DB8:0:0::1", "2001:db8::1/128", "2001:0db8::1", "2001:db8:7::-2001:db8:7:ffff:ffff:ffff:ffff:ffff"}
_PLAIN_V6 = {"2001:db8::1", "2001:db8:7::/48"}
_ODD_PORTS = (PortRange(8000, 8010), PortRange(443, 443), PortRange(8000, 8010))
_NAME = "pay.example.com"
_ECHO = replace(line("pay", protocol=Protocol.ICMP), icmp=(IcmpType(8, 0), IcmpType(13)))
_GRE = replace(line("pay", protocol=Protocol.OTHER), number=47)


class Forms(Bench):
    """Spelling, order, and what is not said in so many words."""

    def test_a_member_is_the_same_in_every_form(self) -> None:
        self._check_same(_ODD, _PLAIN)
        verdicts = [self._verdict(Packet(source, "198.51.100.1", Protocol.TCP, 443)) for source in SOURCES]
        assert verdicts == [Verdict.ALLOW] * 3
        assert self._verdict(Packet("10.0.0.4", "198.51.100.1", Protocol.TCP, 443)) is Verdict.UNMATCHED

    @needs("ipv6")
    def test_so_is_one_of_ipv6(self) -> None:
        self._check_same(_ODD_V6, _PLAIN_V6)
        self.reconcile(self.adapter, self._lone(_ODD_V6) | objects(Group(BANK, frozenset({"2001:db8:f::/48"}))))
        for source, expected in (
            ("2001:db8::1", Verdict.ALLOW),
            ("2001:db8:7::9", Verdict.ALLOW),
            ("2001:db8::2", None),
        ):
            verdict = self._verdict(Packet(source, "2001:db8:f::1", Protocol.TCP, 443))
            assert verdict is (expected or Verdict.UNMATCHED)
        assert self._verdict(Packet(SOURCES[0], "198.51.100.1", Protocol.TCP, 443)) is Verdict.UNMATCHED

    @needs("icmp_types")
    def test_a_type_of_icmp_is_that_type_alone(self) -> None:
        self.reconcile(self.adapter, self.terms.shop(*SOURCES, lines=[_ECHO]))
        allowed = [
            kind for kind in ((8, 0), (8, 1), (13, 0), (3, 0)) if self._passes(Protocol.ICMP, icmp=IcmpType(*kind))
        ]
        assert allowed == [(8, 0), (13, 0)]
        assert not self._passes(Protocol.TCP, port=8)

    @needs("protocols")
    def test_a_protocol_by_number_is_that_protocol_alone(self) -> None:
        self.reconcile(self.adapter, self.terms.shop(*SOURCES, lines=[_GRE]))
        assert [number for number in (4, 47, 89) if self._passes(Protocol.OTHER, number=number)] == [47]
        assert not self._passes(Protocol.TCP, port=47)

    @needs("schedules")
    def test_a_line_ends_by_itself_and_no_other_does(self) -> None:
        """To the second: what is over lets nothing through, though nobody comes to take it away."""
        lines = [_until(LATE, "pay"), line("look", WEB, protocol=Protocol.TCP)]
        site = self.terms.shop(*SOURCES[:2], lines=lines, more=[LATE])
        self.reconcile(self.adapter, site)
        self.check_holds(self.adapter, site)
        packets = [Packet(source, "198.51.100.1", Protocol.TCP, 443) for source in SOURCES]
        end = LATE.until.timestamp()
        passing = {at: [self._verdict(packet, end + at) for packet in packets] for at in (-86_400, -1, 0, 86_400)}
        both, one = [Verdict.ALLOW] * 3, [Verdict.UNMATCHED] * 2 + [Verdict.ALLOW]
        assert passing == {-86_400: both, -1: both, 0: one, 86_400: one}

    @needs("schedules")
    def test_an_end_is_put_off_brought_forward_and_taken_away(self) -> None:
        packet = Packet(SOURCES[0], "198.51.100.1", Protocol.TCP, 443)
        for ends in (LATE, LATER, LATE, None, LATER):
            self.reconcile(self.adapter, self._ending(ends))
            self.check_holds(self.adapter, self._ending(ends))
            assert self.planned(self.adapter, self._ending(ends)).empty
            moments = [LATE.until.timestamp(), LATER.until.timestamp()]
            passes = [self._verdict(packet, at) is Verdict.ALLOW for at in moments]
            assert passes == [ends is not LATE, ends is None]

    def test_order_and_repetition_say_nothing(self) -> None:
        site = self.terms.shop(*SOURCES)
        expected = self.built(site)
        entry = replace(line("pay", protocol=Protocol.TCP, ports=HTTPS), sources=(CART, CART))
        odd = self.terms.shop(*SOURCES, lines=[entry]) | objects(Ports(HTTPS, _ODD_PORTS))
        assert self.planned(self.adapter, odd).empty
        assert self.built(odd) == expected
        two, swapped = replace(entry, sources=(CART, WEB)), replace(entry, sources=(WEB, CART, WEB))
        self.reconcile(self.adapter, self.terms.shop(*SOURCES, lines=[two]))
        assert self.planned(self.adapter, self.terms.shop(*SOURCES, lines=[swapped])).empty

    @pytest.mark.parametrize(
        "what", ["deny", "reject", "log", "fqdn", "ipv6", "icmp_types", "protocols", "bandwidth", "schedules"]
    )
    def test_what_is_declared_is_taken_and_what_is_not_is_named(self, what: str) -> None:
        """A device without Reject may drop instead, one without logs may be silent; else what it lacks is Unsupported."""
        plain, changed = self.terms.shop(SOURCES[0]), self._asking_for(what)
        site = plain | objects(changed)
        if self.declares(what):
            site |= objects(LATE) if what == "schedules" else {}
            self.reconcile(self.adapter, site)
            self.check_holds(self.adapter, site)
            wanted = self.wanted(self.adapter, site)[changed.key]
            assert wanted != self.wanted(self.adapter, plain)[changed.key]
            return
        instead = {"reject": self._asking_for("deny"), "log": plain[changed.key]}
        if what in instead and self._taken(site):
            assert self.wanted(self.adapter, site) == self.wanted(self.adapter, plain | objects(instead[what]))
            return
        with self.refused(Unsupported) as caught:
            self.wanted(self.adapter, site)
        assert set(caught.value.objects) == {str(changed.key)}  # type: ignore[attr-defined]

    @pytest.mark.parametrize("what", ["no source", "no destination", "no ports", "host bits", "no address"])
    def test_what_could_match_too_much_is_refused_by_name(self, what: str) -> None:
        plain = self.terms.shop(SOURCES[0])
        rules = next(one for one in plain.values() if isinstance(one, RuleList))
        entry = rules.entries[0]
        wrong: dict[str, DeviceObject] = {
            "no source": replace(rules, entries=(replace(entry, sources=()),)),
            "no destination": replace(rules, entries=(replace(entry, destinations=()),)),
            "no ports": Ports(HTTPS, ()),
            "host bits": Group(CART, frozenset({"10.0.0.1/8"})),
            "no address": Group(CART, frozenset({"any"})),
        }
        with self.refused(Unsupported) as caught:
            self.adapter.normalize(Intent("edge", plain | objects(wrong[what])))
        assert set(caught.value.objects) == {str(wrong[what].key)}  # type: ignore[attr-defined]

    def _taken(self, site: Site) -> bool:
        try:
            self.wanted(self.adapter, site)
        except Unsupported:
            return False
        return True

    def _check_same(self, odd: set[str], plain: set[str]) -> None:
        group = self.wanted(self.adapter, self._lone(odd))[CART]
        assert group == self.wanted(self.adapter, self._lone(plain))[CART]
        expected = self.built(self._lone(plain))
        assert self.planned(self.adapter, self._lone(odd)).empty
        assert self.built(self._lone(odd)) == expected

    def _lone(self, members: set[str]) -> Site:
        return self.terms.shop(*members, lines=[line("pay")])

    def _asking_for(self, what: str) -> DeviceObject:
        rules = next(one for key, one in self.terms.shop().items() if key.kind is Kind.RULE_LIST)
        assert isinstance(rules, RuleList)
        entry = rules.entries[0]
        asked: dict[str, DeviceObject] = {
            "deny": replace(rules, entries=(replace(entry, action=Action.DENY),)),
            "reject": replace(rules, entries=(replace(entry, action=Action.REJECT),)),
            "log": replace(rules, entries=(replace(entry, log=True),)),
            "bandwidth": replace(rules, entries=(replace(entry, bandwidth=(*self.terms.can.bandwidth, "nobody")[0]),)),
            "schedules": replace(rules, entries=(replace(entry, schedule=LATE.key),)),
            "icmp_types": replace(rules, entries=(_ECHO,)),
            "protocols": replace(rules, entries=(_GRE,)),
            "fqdn": Group(BANK, frozenset({"198.51.100.0/24"}), frozenset({_NAME})),
            "ipv6": Group(CART, frozenset({SOURCES[0], "2001:db8::1"})),
        }
        return asked[what]

    def _ending(self, schedule: Schedule | None) -> Site:
        lines = [_until(schedule, "pay") if schedule else line("pay", protocol=Protocol.TCP)]
        return self.terms.shop(SOURCES[0], lines=lines, more=[schedule] if schedule else [])

    def _passes(self, protocol: Protocol, port: int = 0, icmp: IcmpType | None = None, number: int = 0) -> bool:
        packet = Packet(SOURCES[0], "198.51.100.1", protocol, port, icmp, number)
        return self._verdict(packet) is Verdict.ALLOW

    def _verdict(self, packet: Packet, at: float | None = None) -> Verdict:
        return self.device.moments()[-1].verdict(packet, at)


def _until(schedule: Schedule, name: str) -> RuleEntry:
    return line(name, protocol=Protocol.TCP, schedule=schedule.key)
