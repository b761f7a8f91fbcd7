"""Names over time, by a clock of our own: when who is asked about, and what a name stands for."""

import heapq
import random
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from bridge.model.resolution import Resolution
from bridge.names.answer import Answer, Family, Unanswered
from bridge.names.book import Book
from bridge.names.forbidden import Forbidden
from bridge.names.settings import NamesSettings

NAME = "api.example.com"
SETTINGS = NamesSettings(shortest=5, longest=3600, grace=300, most=4, names=3)


def _middle(low: float, high: float) -> float:
    return (low + high) / 2


def _least(low: float, high: float) -> float:
    return low


@dataclass
class Zone:
    """Servers by word of mouth: what is asked is answered at once. `told` is what was last said of each name."""

    book: Book = field(default_factory=lambda: Book(SETTINGS, Forbidden(["10.0.0.0/8"]), {}, _least))
    addresses: dict[str, set[str]] = field(default_factory=dict)
    ttl: float = 60
    broken: set[Family] = field(default_factory=set)
    now: float = 1000.0
    asked: list[tuple[float, str]] = field(default_factory=list)
    told: dict[str, Resolution] = field(default_factory=dict)

    def want(self, *names: str, number: int = 1) -> None:
        self._tell(self.book.want(dict.fromkeys(names, number), self.now))

    def until(self, seconds: float) -> None:
        """Let so much time pass, from one thing to do to the next."""
        end = self.now + seconds
        while True:
            self._work()
            if self.book.next_at() > end:
                break
            self.now = max(self.now, self.book.next_at())
        self.now = end

    def _work(self) -> None:
        self._tell(self.book.expire(self.now))
        for name, number in self.book.due(self.now):
            self.asked.append((self.now, name))
            said = self.book.take(name, number, self._found(name), self.now)
            self._tell([said] if said else [])

    def _found(self, name: str) -> dict[Family, Answer | Unanswered]:
        known = self.addresses.get(name, set())
        return {
            family: Unanswered("SERVFAIL")
            if family in self.broken
            else Answer(frozenset(one for one in known if family.holds(one)), self.ttl)
            for family in Family
        }

    def _tell(self, said: list[Resolution]) -> None:
        self.told.update({one.name: one for one in said})

    def means(self, name: str = NAME) -> set[str]:
        return set(self.told[name].addresses)

    def times(self, name: str = NAME) -> list[float]:
        """When it was asked about, from the beginning."""
        return [at - 1000 for at, asked in self.asked if asked == name]


@pytest.fixture
def zone() -> Zone:
    made = Zone()
    made.addresses[NAME] = {"192.0.2.1"}
    made.want(NAME)
    return made


@pytest.mark.parametrize(("ttl", "wait"), [(60.0, 60), (0.0, 5), (1.0, 5), (2**31 - 1.0, 3600)])
def test_asked_again_when_the_answer_is_old(zone: Zone, ttl: float, wait: float) -> None:
    zone.ttl = ttl
    zone.until(wait * 3)
    assert zone.times() == [0, wait, 2 * wait, 3 * wait]


def test_late_by_chance_but_not_much() -> None:
    zone = Zone(Book(SETTINGS, Forbidden([]), {}, _middle), ttl=60)
    zone.want(NAME)
    zone.until(130)
    assert zone.times() == [0, 61.5, 123]


def test_an_address_that_is_answered_no_more_stays_for_a_while(zone: Zone) -> None:
    zone.until(10)
    zone.addresses[NAME] = {"192.0.2.2", "2001:db8::2"}
    zone.until(40)
    assert zone.means() == {"192.0.2.1"}, "the answer is still good"
    zone.until(30)
    assert zone.means() == {"192.0.2.1", "192.0.2.2", "2001:db8::2"}, "asked at 60, in force at once"
    zone.until(279)
    assert "192.0.2.1" in zone.means()
    zone.until(1)
    assert zone.means() == {"192.0.2.2", "2001:db8::2"}, (
        "300 after the first answer without it, whatever was answered last"
    )


def test_it_comes_back_before_it_went(zone: Zone) -> None:
    zone.until(10)
    zone.addresses[NAME] = {"192.0.2.2"}
    zone.until(200)
    zone.addresses[NAME] = {"192.0.2.1", "192.0.2.2"}
    zone.until(100)
    zone.addresses[NAME] = {"192.0.2.2"}
    zone.until(300)
    assert "192.0.2.1" in zone.means(), "its time begins anew"
    zone.until(60)
    assert zone.means() == {"192.0.2.2"}


def test_no_addresses_are_an_answer_too(zone: Zone) -> None:
    zone.until(10)
    zone.addresses[NAME] = set()
    zone.until(300)
    assert zone.told[NAME] == Resolution(NAME, ("192.0.2.1",))
    zone.until(60)
    assert zone.told[NAME] == Resolution(NAME, ())
    assert zone.told[NAME].means == ()


def test_servers_that_fail_take_nothing_away(zone: Zone) -> None:
    zone.until(10)
    zone.broken = set(Family)
    zone.until(100_000)
    assert zone.told[NAME] == Resolution(NAME, ("192.0.2.1",), problem="SERVFAIL")
    waits = [b - a for a, b in zip(zone.times()[1:], zone.times()[2:], strict=False)]
    assert waits[:10] == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600]
    assert set(waits[9:]) == {600}
    zone.broken, zone.addresses[NAME] = set(), {"192.0.2.9"}
    zone.until(zone.times()[-1] + 1600 - zone.now)
    assert zone.told[NAME] == Resolution(NAME, ("192.0.2.1", "192.0.2.9"))


def test_a_name_that_never_was_answered_is_not_a_name_without_addresses() -> None:
    zone = Zone(broken=set(Family))
    zone.want(NAME)
    zone.until(100)
    assert zone.told[NAME] == Resolution(NAME, answered=False, problem="SERVFAIL")
    assert zone.told[NAME].means is None


def test_one_failure_is_nobodys_news(zone: Zone) -> None:
    zone.until(59)
    zone.broken = set(Family)
    zone.until(1)
    assert zone.told[NAME].problem == ""
    zone.until(2)
    assert zone.told[NAME].problem == "SERVFAIL"


def test_a_family_that_fails_keeps_its_addresses_and_the_other_goes_on(zone: Zone) -> None:
    zone.addresses[NAME] = {"192.0.2.1", "2001:db8::1"}
    zone.until(10)
    zone.broken, zone.addresses[NAME] = {Family.IPV6}, {"192.0.2.2"}
    zone.until(1000)
    assert zone.told[NAME] == Resolution(NAME, ("192.0.2.2", "2001:db8::1"), problem="SERVFAIL")


def test_what_went_missing_before_the_servers_failed_goes(zone: Zone) -> None:
    zone.until(10)
    zone.addresses[NAME] = {"192.0.2.2"}
    zone.until(60)
    zone.broken = set(Family)
    zone.until(1000)
    assert zone.means() == {"192.0.2.2"}


def test_turns_add_up(zone: Zone) -> None:
    for number in range(20):
        zone.addresses[NAME] = {f"192.0.2.{1 + number % 3}"}
        zone.until(60)
    assert zone.means() == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}
    assert len(zone.told[NAME].warnings) == 0


def test_too_many_addresses_are_cut_and_told(zone: Zone) -> None:
    zone.addresses[NAME] = {f"192.0.2.{number}" for number in range(1, 100)}
    zone.until(10)
    assert zone.told[NAME].addresses == ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
    assert zone.told[NAME].cut
    zone.addresses[NAME] = {"192.0.2.4", "192.0.2.200", "192.0.2.201"}
    zone.until(60)
    assert {"192.0.2.4", "192.0.2.200", "192.0.2.201"} < zone.means(), "what is answered goes before what is missing"
    assert len(zone.means()) == 4
    zone.until(600)
    assert zone.told[NAME] == Resolution(NAME, ("192.0.2.4", "192.0.2.200", "192.0.2.201"))


def test_that_there_are_too_many_is_told_as_long_as_it_lasts(zone: Zone) -> None:
    """Answers that are good for longer than grace."""
    zone.ttl = 900
    zone.addresses[NAME] = {f"192.0.2.{number}" for number in range(1, 100)}
    zone.until(10)
    for _ in range(60):
        zone.until(20)
        assert zone.told[NAME].cut


def test_what_stands_already_is_not_pushed_out(zone: Zone) -> None:
    zone.addresses[NAME] = {"192.0.2.200"}
    zone.until(10)
    zone.addresses[NAME] |= {f"192.0.2.{number}" for number in range(1, 100)}
    zone.until(1000)
    assert "192.0.2.200" in zone.means()
    assert len(zone.means()) == 4


def test_answers_that_do_not_count_are_told_and_left_out(zone: Zone) -> None:
    zone.addresses[NAME] = {"192.0.2.1", "127.0.0.1", "10.1.2.3", "fe80::1"}
    zone.until(10)
    assert zone.told[NAME].addresses == ("192.0.2.1",)
    assert zone.told[NAME].warnings == (
        f"{NAME}: the answer 10.1.2.3 is left out: inside the cluster",
        f"{NAME}: the answer 127.0.0.1 is left out: loopback",
        f"{NAME}: the answer fe80::1 is left out: link-local",
    )
    zone.addresses[NAME] = {"192.0.2.1"}
    zone.until(1000)
    assert zone.told[NAME] == Resolution(NAME, ("192.0.2.1",))


def test_answers_that_do_not_count_push_nothing_out(zone: Zone) -> None:
    zone.addresses[NAME] = {f"127.0.0.{number}" for number in range(1, 100)} | {"192.0.2.1", "192.0.2.2"}
    zone.until(10)
    assert zone.means() == {"192.0.2.1", "192.0.2.2"}
    assert len(zone.told[NAME].dropped) == 4
    assert not zone.told[NAME].cut


def test_a_name_that_is_wanted_no_more_is_not_asked_about(zone: Zone) -> None:
    zone.until(10)
    zone.want()
    zone.until(1000)
    assert zone.times() == [0]
    assert zone.book.next_at() == float("inf")
    zone.want(NAME, number=2)
    zone.until(10)
    assert zone.times() == [0, 1010]


def test_a_name_that_is_wanted_anew_begins_anew(zone: Zone) -> None:
    zone.until(10)
    (late,) = [(NAME, 1)]
    zone.addresses[NAME] = {"192.0.2.2"}
    zone.want(NAME, number=2)
    assert zone.book.take(*late, {Family.IPV4: Answer(frozenset({"192.0.2.66"}), 60)}, zone.now) is None
    zone.until(1)
    assert zone.means() == {"192.0.2.2"}


def test_more_names_than_may_be(zone: Zone) -> None:
    zone.want(NAME, "a.example.com", "b.example.com", "c.example.com")
    assert zone.told["c.example.com"].problem.startswith("the cluster has more names")
    assert zone.told["c.example.com"].means is None
    zone.until(1)
    assert zone.told[NAME].problem == ""
    assert zone.book.figures(zone.now).failing == 1
    zone.want(NAME, "b.example.com", "c.example.com")
    zone.until(1)
    assert zone.told["c.example.com"] == Resolution("c.example.com", ())


def test_a_restart_goes_on_from_what_is_recorded() -> None:
    known = Resolution(NAME, ("192.0.2.1", "2001:db8::1"), (("127.0.0.1", "loopback"),))
    zone = Zone(Book(SETTINGS, Forbidden([]), {NAME: known}, _middle), broken=set(Family))
    zone.want(NAME, "new.example.com")
    zone.until(14)
    assert zone.times("new.example.com")[0] == 0, "nothing is known of it: at once"
    zone.until(200)
    assert zone.times()[0] == 15
    assert replace(zone.told[NAME], problem="") == known
    zone.broken, zone.addresses[NAME] = set(), {"192.0.2.1"}
    zone.until(100)
    assert zone.told[NAME] == known, "grace begins anew with the first answer"
    zone.until(400)
    assert zone.told[NAME] == Resolution(NAME, ("192.0.2.1",))


def test_known_names_are_spread_over_time_at_a_start() -> None:
    names = [f"n{number}.example.com" for number in range(1000)]
    known = {name: Resolution(name, ("192.0.2.1",)) for name in names}
    chance = random.Random(1)
    zone = Zone(Book(replace(SETTINGS, names=5000), Forbidden([]), known, chance.uniform), ttl=3600)
    zone.want(*names)
    zone.until(60)
    times = sorted(at - 1000 for at, _ in zone.asked)
    assert len(times) == 1000
    assert times[-1] <= 30
    assert max(sum(second <= at < second + 1 for at in times) for second in range(30)) < 60


def test_figures(zone: Zone) -> None:
    zone.until(10)
    assert zone.book.figures(zone.now).stale == 0
    zone.broken = set(Family)
    zone.until(150)
    figures = zone.book.figures(zone.now)
    assert (figures.names, figures.failing, figures.stale) == (1, 1, 100)


def test_nothing_is_kept_for_ever() -> None:
    """What is scheduled does not grow with time, however answers change."""
    zone = Zone(ttl=5)
    zone.want(NAME)
    for number in range(500):
        zone.addresses[NAME] = {f"192.0.2.{number % 7}"}
        zone.until(5)
    assert len(zone.book._ends) + sum(map(len, zone.book._questions.values())) < 5
    assert not zone.book._out


@dataclass
class Slow:
    """Servers that say nothing of the names in `silent`, for which a question takes `patience`; everything else is answered at once."""

    book: Book
    silent: set[str]
    half: set[str] = field(default_factory=set)  # of these, nothing of IPv6 at once
    patience: float = 8.0
    ttl: float = 60.0
    now: float = 0.0
    asked: list[tuple[float, str]] = field(default_factory=list)
    out: list[tuple[float, str, int]] = field(default_factory=list)
    most: int = 0

    def until(self, end: float) -> None:
        """From one thing to do to the next."""
        while True:
            for name, number in self.book.due(self.now):
                self.asked.append((self.now, name))
                heapq.heappush(self.out, (self.now + (self.patience if name in self.silent else 0), name, number))
            self.most = max(self.most, len(self.out))
            self.book.expire(self.now)
            following = min(self.book.next_at(), self.out[0][0] if self.out else float("inf"))
            if following > end:
                break
            self.now = max(self.now, following)
            while self.out and self.out[0][0] <= self.now:
                _, name, number = heapq.heappop(self.out)
                answer, none = Answer(frozenset({"192.0.2.1"}), self.ttl), Unanswered("no answer in time")
                found = dict.fromkeys(Family, none if name in self.silent else answer)
                self.book.take(
                    name, number, found | dict.fromkeys({Family.IPV6} if name in self.half else (), none), self.now
                )
        self.now = end

    def waits(self, name: str) -> list[float]:
        """Between questions about it."""
        times = [at for at, asked in self.asked if asked == name]
        return [b - a for a, b in pairwise(times)]


@pytest.mark.parametrize("threads", [2, 4, 5])
def test_names_of_which_servers_say_nothing_do_not_make_the_others_late(threads: int) -> None:
    settings = replace(SETTINGS, names=5000, threads=threads)
    silent = {f"dead-{number}.example.com" for number in range(300)}
    slow = Slow(Book(settings, Forbidden([]), {NAME: Resolution(NAME, ("192.0.2.1",))}, _least), silent)
    slow.book.want(dict.fromkeys([NAME, *silent], 1), slow.now)
    slow.until(7200)
    assert set(slow.waits(NAME)) == {60.0}
    assert {name for _, name in slow.asked} >= silent, "and those are not given up"


def test_names_that_fail_have_half_of_the_places_and_new_ones_do_not_wait_for_them() -> None:
    settings = replace(SETTINGS, names=5000, threads=4)
    silent = {f"dead-{number}.example.com" for number in range(300)}
    known = {name: Resolution(name, answered=False, problem="no answer in time") for name in silent}
    slow = Slow(Book(settings, Forbidden([]), known, _least), silent)
    slow.book.want(dict.fromkeys(silent, 1), slow.now)
    slow.until(100)
    assert slow.most == 2
    slow.book.want(dict.fromkeys([*silent, NAME], 1), slow.now)
    slow.until(100)
    assert (100, NAME) in slow.asked


def test_a_name_of_which_one_family_fails_does_not_wait_behind_those_that_fail_wholly() -> None:
    settings = replace(SETTINGS, names=5000, threads=4)
    silent = {f"dead-{number}.example.com" for number in range(300)}
    known = {name: Resolution(name, answered=False, problem="no answer in time") for name in silent}
    slow = Slow(Book(settings, Forbidden([]), known, _least), silent, half={NAME})
    slow.book.want(dict.fromkeys([NAME, *silent], 1), slow.now)
    slow.until(3600)
    assert set(slow.waits(NAME)[10:]) == {60.0}


def test_a_single_thread_serves_them_all() -> None:
    silent = {"dead.example.com"}
    slow = Slow(Book(replace(SETTINGS, threads=1), Forbidden([]), {}, _least), silent)
    slow.book.want(dict.fromkeys([NAME, *silent], 1), slow.now)
    slow.until(3600)
    assert slow.most == 1
    assert {name for _, name in slow.asked} == {NAME, *silent}
    assert max(slow.waits(NAME)) <= 60 + slow.patience
