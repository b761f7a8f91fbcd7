"""One name, asked about over a real socket: what is an answer, and what is none."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest
from pydantic import TypeAdapter

from bridge.names.answer import Answer, Family, Unanswered
from bridge.names.resolver import Resolver
from bridge.names.servers import Server, SystemServers, server
from bridge.names.settings import NamesSettings
from bridge.settings.fields import NameServer as NameServerField
from tests.names.server import NameServer, Reply, failing, response, saying, silent

NAME = "api.example.com"
QUICK = NamesSettings(timeout=0.3, attempts=1)


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    with NameServer() as found:
        yield found


@pytest.fixture(autouse=True)
def _fresh(names: NameServer) -> None:
    names.records.clear()
    names.replies.clear()
    names.asked.clear()


def _ask(names: NameServer, *others: Server, attempts: int = 1, name: str = NAME) -> dict[Family, Answer | Unanswered]:
    servers = (*others, names.server)
    return Resolver(lambda: servers, NamesSettings(timeout=0.3, attempts=attempts)).resolve(name)


def _ipv4(names: NameServer, *others: Server, attempts: int = 1) -> tuple[set[str], float] | str:
    found = _ask(names, *others, attempts=attempts)[Family.IPV4]
    return (set(found.addresses), found.ttl) if isinstance(found, Answer) else found.problem


def test_both_families_each_with_its_time(names: NameServer) -> None:
    names.behave(NAME, saying((NAME, 60, "A", ["192.0.2.1", "192.0.2.2"]), (NAME, 30, "AAAA", ["2001:db8::0001"])))
    assert _ask(names) == {
        Family.IPV4: Answer(frozenset({"192.0.2.1", "192.0.2.2"}), 60),
        Family.IPV6: Answer(frozenset({"2001:db8::1"}), 30),
    }
    assert {one.name for one in names.asked} == {NAME}, "no search domain is tried"


def test_a_name_that_does_not_exist_or_has_no_address_is_an_answer(names: NameServer) -> None:
    names.behave(NAME, saying(rcode=dns.rcode.NXDOMAIN, soa=("example.com", 7)))
    assert _ipv4(names) == (set(), 7)
    names.behave(NAME, saying(soa=("example.com", 9)))
    assert _ipv4(names) == (set(), 9)


def test_one_family_can_fail_alone(names: NameServer) -> None:
    def reply(question: dns.message.Message, tcp: bool) -> bytes | None:
        if question.question[0].rdtype == dns.rdatatype.AAAA:
            return failing()(question, tcp)
        return saying((NAME, 60, "A", ["192.0.2.1"]))(question, tcp)

    names.behave(NAME, reply)
    found = _ask(names)
    assert found[Family.IPV4] == Answer(frozenset({"192.0.2.1"}), 60)
    assert found[Family.IPV6] == Unanswered(f"{names.server}: SERVFAIL")


def _garbage(question: dns.message.Message, tcp: bool) -> bytes:
    return question.to_wire()[:2] + os.urandom(60)


def _wrong_id(question: dns.message.Message, tcp: bool) -> bytes:
    made = response(question, [(NAME, 60, "A", ["192.0.2.66"])])
    made.id = question.id ^ 1
    return made.to_wire()


def _wrong_question(question: dns.message.Message, tcp: bool) -> bytes:
    other = dns.message.make_query("other.example.com", "A", id=question.id)
    return response(other, [("other.example.com", 60, "A", ["192.0.2.66"])]).to_wire()


def _echo(question: dns.message.Message, tcp: bool) -> bytes:
    return question.to_wire()


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (failing(), "SERVFAIL"),
        (failing(dns.rcode.REFUSED), "REFUSED"),
        (failing(dns.rcode.NOTIMP), "NOTIMP"),
        (silent, "no answer in time"),
        (_garbage, "no answer in time"),
        (_wrong_id, "no answer in time"),
        (_wrong_question, "no answer in time"),
        (_echo, "no answer in time"),
        (saying(flags=0), "it knows nothing of the name and asks nobody"),
    ],
)
def test_what_is_no_answer(names: NameServer, reply: Reply, problem: str) -> None:
    names.behave(NAME, reply)
    assert _ipv4(names) == f"{names.server}: {problem}"


def test_a_lie_before_the_truth_is_not_listened_to(names: NameServer) -> None:
    def reply(question: dns.message.Message, tcp: bool) -> bytes | None:
        sent.append(question)
        return _wrong_id(question, tcp) if len(sent) == 1 else saying((NAME, 60, "A", ["192.0.2.1"]))(question, tcp)

    sent: list[dns.message.Message] = []
    names.behave(NAME, reply)
    assert _ipv4(names, attempts=2) == ({"192.0.2.1"}, 60), "the second time"


def _truncated(then: Reply) -> Reply:
    def reply(question: dns.message.Message, tcp: bool) -> bytes | None:
        return then(question, tcp) if tcp else response(question, flags=dns.flags.RA | dns.flags.TC).to_wire()

    return reply


def test_what_does_not_fit_comes_over_tcp(names: NameServer) -> None:
    many = [f"198.51.{high}.{low}" for high in range(8) for low in range(250)]
    names.behave(NAME, _truncated(saying((NAME, 60, "A", many))))
    assert _ipv4(names) == (set(many), 60)
    assert [one.tcp for one in names.asked if one.kind == "A"] == [False, True]


def test_tcp_that_is_cut_or_silent_or_garbage_is_no_answer(names: NameServer) -> None:
    names.behave(NAME, _truncated(silent))
    assert _ipv4(names) == f"{names.server}: the connection was cut"
    names.behave(NAME, _truncated(_garbage))
    assert "makes no sense" in str(_ipv4(names))
    names.behave(NAME, _truncated(_wrong_id))
    assert "makes no sense" in str(_ipv4(names))


def test_the_least_time_of_a_chain_counts(names: NameServer) -> None:
    chain = [(NAME, 300, "CNAME", ["a.example.net."]), ("a.example.net", 20, "CNAME", ["b.example.net."])]
    names.behave(NAME, saying(*chain, ("b.example.net", 200, "A", ["192.0.2.1"])))
    assert _ipv4(names) == ({"192.0.2.1"}, 20)


def test_a_chain_that_stops_is_followed(names: NameServer) -> None:
    names.behave(NAME, saying((NAME, 40, "CNAME", ["b.example.net."])))
    names.put("b.example.net", "192.0.2.2", ttl=50)
    assert _ipv4(names) == ({"192.0.2.2"}, 40)
    names.behave(NAME, saying((NAME, 40, "CNAME", ["b.example.net."]), soa=("example.net", 10)))
    names.asked.clear()
    assert _ipv4(names) == (set(), 10), "the end of it is said to have no address"
    assert "b.example.net" not in {one.name for one in names.asked}
    names.behave(NAME, saying((NAME, 40, "CNAME", ["b.example.net."]), rcode=dns.rcode.NXDOMAIN))
    assert _ipv4(names) == (set(), 30)


@pytest.mark.parametrize(
    "records",
    [
        [(NAME, 5, "CNAME", [f"{NAME}."])],
        [(NAME, 5, "CNAME", ["b.example.com."]), ("b.example.com", 5, "CNAME", [f"{NAME}."])],
        [(NAME, 5, "CNAME", ["n0.example.com."])]
        + [(f"n{number}.example.com", 5, "CNAME", [f"n{number + 1}.example.com."]) for number in range(40)],
    ],
)
def test_chains_without_end(names: NameServer, records: list[tuple[str, int, str, list[str]]]) -> None:
    names.behave(NAME, saying(*records))
    assert _ipv4(names) in (f"{names.server}: its aliases lead nowhere", "its aliases lead nowhere")


def test_a_loop_over_several_answers(names: NameServer) -> None:
    names.behave(NAME, saying((NAME, 5, "CNAME", ["b.example.com."])))
    names.behave("b.example.com", saying(("b.example.com", 5, "CNAME", [f"{NAME}."])))
    assert _ipv4(names) == "its aliases lead nowhere"
    assert len(names.asked) == 4, "each name once for each family"


def test_an_answer_that_contradicts_itself(names: NameServer) -> None:
    names.behave(NAME, saying((NAME, 60, "A", ["192.0.2.1"]), rcode=dns.rcode.NXDOMAIN))
    assert "makes no sense" in str(_ipv4(names))


def test_records_about_other_names_are_not_taken(names: NameServer) -> None:
    names.behave(NAME, saying(("evil.example.org", 60, "A", ["192.0.2.66"]), soa=("example.com", 9)))
    assert _ipv4(names) == (set(), 9)


def test_the_next_server_is_asked(names: NameServer) -> None:
    names.put(NAME, "192.0.2.1")
    with NameServer() as broken:
        broken.behave(NAME, failing())
        assert _ipv4(names, broken.server) == ({"192.0.2.1"}, 60)
        names.behave(NAME, failing(dns.rcode.REFUSED))
        assert _ipv4(names, broken.server) == f"{broken.server}: SERVFAIL; {names.server}: REFUSED"
        assert broken.times_asked(NAME) == 2


def test_a_server_of_old_is_asked_without_extensions(names: NameServer) -> None:
    def reply(question: dns.message.Message, tcp: bool) -> bytes | None:
        if question.edns >= 0:
            return response(question, rcode=dns.rcode.FORMERR).to_wire()
        return saying((NAME, 60, "A", ["192.0.2.1"]))(question, tcp)

    names.behave(NAME, reply)
    assert _ipv4(names) == ({"192.0.2.1"}, 60)


def test_nobody_listens_and_nobody_is_known() -> None:
    with NameServer() as gone:
        nobody = gone.server
    found = Resolver(lambda: (nobody,), QUICK).resolve(NAME)[Family.IPV4]
    assert isinstance(found, Unanswered)
    assert found.problem.startswith(f"{nobody}: ")
    assert Resolver(tuple, QUICK).resolve(NAME)[Family.IPV4] == Unanswered("no name server is known")


def test_a_closed_resolver_asks_nobody(names: NameServer) -> None:
    names.put(NAME, "192.0.2.1")
    resolver = Resolver(lambda: (names.server,), QUICK)
    resolver.close()
    assert resolver.resolve(NAME)[Family.IPV4] == Unanswered("the bridge stops")
    assert not names.asked


def test_the_servers_of_the_system(tmp_path: Path) -> None:
    file, now = tmp_path / "resolv.conf", [0.0]
    servers = SystemServers(lambda: now[0], file)
    assert servers() == ()
    file.write_text(
        "# old\nsearch corp.example.com\nnameserver 192.0.2.53\nnameserver 2001:DB8::53\nnameserver what\nnameserver\n"
    )
    assert servers() == (), "not at every question"
    now[0] = 31.0
    assert [str(one) for one in servers()] == ["192.0.2.53", "2001:db8::53"]
    file.unlink()
    now[0] = 62.0
    assert servers() == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.53", Server("192.0.2.53")),
        ("192.0.2.53:5353", Server("192.0.2.53", 5353)),
        ("[2001:DB8::53]:5353", Server("2001:db8::53", 5353)),
        ("[2001:db8::53]", Server("2001:db8::53")),
        ("2001:db8::53", Server("2001:db8::53")),
    ],
)
def test_a_server_as_it_is_written(text: str, expected: Server) -> None:
    """The settings let exactly that through which is understood here."""
    assert server(TypeAdapter(NameServerField).validate_python(text)) == expected
    assert server(str(expected)) == expected


def test_time_is_bounded(names: NameServer) -> None:
    names.behave(NAME, silent)
    began = time.monotonic()
    assert _ipv4(names, attempts=2) == f"{names.server}: no answer in time"
    assert names.times_asked(NAME) == 2
    assert time.monotonic() - began < 30
