"""Sessions of browsers, and what slows down who is not known."""

import pytest

from bridge.api.access import Forbidden, Person, Role, TooMany, Unknown
from bridge.api.authentication import sessions as module
from bridge.api.authentication.attempts import Attempts, Pace
from bridge.api.authentication.roles import Granted, Roles
from bridge.api.authentication.sessions import Sessions
from bridge.api.authentication.verifier import Remembered
from tests.cluster.scripted import FakeClock

SAM = Person("sam", Role.VIEWER)


def test_a_session_ends_when_it_is_idle_or_old() -> None:
    clock = FakeClock()
    sessions = Sessions(clock, idle=60, longest=150)
    shown = sessions.begin("a token")
    for _ in range(2):
        clock.advance(59)
        assert sessions.token(shown) == "a token"
    clock.advance(40)  # never idle, and too old now
    assert sessions.token(shown) is None
    assert len(sessions) == 0
    idle = sessions.begin("a token")
    clock.advance(61)
    assert sessions.token(idle) is None


def test_a_page_that_renews_itself_does_not_keep_a_session() -> None:
    clock = FakeClock()
    sessions = Sessions(clock, idle=60, longest=1000)
    shown = sessions.begin("a token")
    clock.advance(40)
    assert sessions.token(shown, used=False) == "a token"
    clock.advance(40)
    assert sessions.token(shown, used=False) is None


def test_sessions_are_bounded_and_end_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    sessions = Sessions(FakeClock(), 60, 60)
    first, second = sessions.begin("1"), sessions.begin("2")
    assert sessions.token(first) == "1"
    third = sessions.begin("3")  # the second was idle longest
    assert [sessions.token(one) for one in (first, second, third)] == ["1", None, "3"]
    sessions.end(first)
    sessions.end("never there")
    assert sessions.token(first) is None
    assert sessions.token("") is None


def test_nothing_prints_a_token() -> None:
    sessions = Sessions(FakeClock(), 60, 60)
    shown = sessions.begin("hunter2hunter2hunter2")
    held = [repr(one) for one in sessions._sessions.values()]
    assert "hunter2" not in "".join(held)
    assert shown not in repr(sessions._sessions)


class Counting:
    """Knows one token, for as long as it is told."""

    def __init__(self) -> None:
        self.asked = 0
        self.knows = True

    def verified(self, token: str) -> Person:
        self.asked += 1
        if token != "right" or not self.knows:
            raise Unknown("who?")
        return SAM


def test_who_is_known_is_asked_about_again_after_a_while() -> None:
    clock, asked = FakeClock(), Counting()
    remembered = Remembered(asked, clock, 30)
    assert not remembered.met("right")
    assert [remembered.verified("right") for _ in range(3)] == [SAM] * 3
    assert (asked.asked, remembered.met("right")) == (1, True)
    asked.knows = False
    clock.advance(29)
    assert remembered.verified("right") == SAM
    clock.advance(1)
    with pytest.raises(Unknown):
        remembered.verified("right")
    assert not remembered.met("right")
    for _ in range(2):  # who is not known is asked about each time
        with pytest.raises(Unknown):
            remembered.verified("wrong")
    assert asked.asked == 4


def test_nothing_is_remembered_for_no_time() -> None:
    asked = Counting()
    remembered = Remembered(asked, FakeClock(), 0)
    remembered.verified("right")
    remembered.verified("right")
    assert (asked.asked, remembered.met("right")) == (2, True)


def test_failed_attempts_become_slow_for_each_address() -> None:
    clock = FakeClock()
    attempts = Attempts(clock, each=Pace(3, 10), overall=Pace(100, 1))
    for _ in range(3):
        attempts.take("192.0.2.1")
    with pytest.raises(TooMany) as refused:
        attempts.take("192.0.2.1")
    assert refused.value.retry_after == 10
    attempts.take("192.0.2.2")
    clock.advance(10)
    attempts.take("192.0.2.1")
    with pytest.raises(TooMany):
        attempts.take("192.0.2.1")
    clock.advance(1000)
    for _ in range(3):
        attempts.take("192.0.2.1")


def test_who_is_let_in_may_come_as_often_as_he_likes() -> None:
    attempts = Attempts(FakeClock(), each=Pace(2, 10), overall=Pace(3, 10))
    for _ in range(10):
        attempts.take("192.0.2.1")
        attempts.give_back("192.0.2.1")
    attempts.take("192.0.2.1")
    attempts.take("192.0.2.1")
    with pytest.raises(TooMany):
        attempts.take("192.0.2.1")
    attempts.give_back("192.0.2.9")  # never taken


def test_a_whole_network_of_ipv6_is_one_address_and_all_together_are_bounded() -> None:
    attempts = Attempts(FakeClock(), each=Pace(1, 10), overall=Pace(4, 10))
    attempts.take("2001:db8::1")
    with pytest.raises(TooMany):
        attempts.take("2001:db8::2")
    attempts.take("2001:db8:0:1::1")
    attempts.take("192.0.2.1")
    attempts.take("192.0.2.2")
    with pytest.raises(TooMany):
        attempts.take("192.0.2.3")


def test_roles_by_name_and_by_group() -> None:
    roles = Roles(
        {
            Role.VIEWER: Granted(groups=frozenset({"staff"})),
            Role.OPERATOR: Granted(groups=frozenset({"platform"})),
            Role.SECURITY: Granted(names=frozenset({"sam"})),
        }
    )
    assert roles.person("kim", ["staff", "platform"]).role is Role.OPERATOR
    assert roles.person("sam", []).role is Role.SECURITY
    assert roles.person("lee", {"staff"}).role is Role.VIEWER
    with pytest.raises(Forbidden):
        roles.person("staff", ["nobody"])  # a group's name is nobody's
    for name in ("", "x" * 254, "sam\n", " sam", "s\u202eam"):
        with pytest.raises(Unknown):
            roles.person(name, ["staff"])
