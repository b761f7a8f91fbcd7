"""Asks name servers for the addresses of one name, over UDP, and over TCP where an answer does not fit."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype

from bridge.names.answer import Answer, Family, Found, Unanswered
from bridge.names.servers import Server
from bridge.names.settings import NamesSettings

_LONGEST_CHAIN = 12  # questions on the way to the end of a chain of aliases; each answer may hold several
_UNSAID = 30.0  # seconds for which a name has no addresses, where the server does not say
_PAYLOAD = 1232  # bytes of an answer over UDP that no network on the way cuts in pieces (DNS flag day 2020)
_TYPES = {Family.IPV4: dns.rdatatype.A, Family.IPV6: dns.rdatatype.AAAA}
_ANSWERS = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
_OLD_FASHIONED = (dns.rcode.FORMERR, dns.rcode.NOTIMP)  # said by servers that do not know EDNS


class _Failed(Exception):
    """A server gave no answer that counts; the message says why."""


class Resolver:
    """Asks servers in their order until one answers. Keeps nothing; safe to use from several threads.

    Names are absolute: no search domain is ever tried. A name without addresses, and one that does not exist, are answers. SERVFAIL,
    refusal, silence and whatever cannot be understood are none. What is not an answer to the question asked is not listened to.
    """

    def __init__(self, servers: Callable[[], Sequence[Server]], settings: NamesSettings) -> None:
        self._servers = servers
        self._settings = settings
        self._closed = False

    def close(self) -> None:
        """Ask nobody else: what is going on ends with the question that is out."""
        self._closed = True

    def resolve(self, name: str) -> Found:
        """Both families of the name, one after the other."""
        return {family: self._family(name, family) for family in Family}

    def _family(self, name: str, family: Family) -> Answer | Unanswered:
        try:
            return self._follow(dns.name.from_text(name), family)
        except _Failed as error:
            return Unanswered(str(error))
        except dns.exception.DNSException as error:
            return Unanswered(_words(error))

    def _follow(self, name: dns.name.Name, family: Family) -> Answer:
        """Ask on for as long as answers end in an alias, of which nothing more is said."""
        asked = {name}
        ttl = float("inf")
        for _ in range(_LONGEST_CHAIN):
            response = self._ask(name, family)
            chain = response.resolve_chaining()
            if chain.answer is not None:
                found = frozenset(str(ip_address(record.address)) for record in chain.answer)
                return Answer(found, min(ttl, chain.minimum_ttl))
            negative = _is_negative(response)
            if not chain.cnames or response.rcode() == dns.rcode.NXDOMAIN or negative:
                return Answer(frozenset(), min(ttl, chain.minimum_ttl, float("inf") if negative else _UNSAID))
            ttl = min(ttl, *(one.ttl for one in chain.cnames))
            name = chain.canonical_name
            if name in asked:
                break
            asked.add(name)
        raise _Failed("its aliases lead nowhere")

    def _ask(self, name: dns.name.Name, family: Family) -> dns.message.QueryMessage:
        """The first answer that counts. Each server is asked several times, in turn."""
        problems: dict[Server, str] = {}
        servers = self._servers()
        for _ in range(self._settings.attempts):
            for server in servers:
                if self._closed:
                    raise _Failed("the bridge stops")
                try:
                    return self._ask_server(name, family, server)
                except _Failed as error:
                    problems[server] = str(error)
        raise _Failed(
            "; ".join(f"{server}: {words}" for server, words in problems.items()) or "no name server is known"
        )

    def _ask_server(self, name: dns.name.Name, family: Family, server: Server) -> dns.message.QueryMessage:
        response = self._exchange(name, family, server, edns=True)
        if response.rcode() in _OLD_FASHIONED:
            response = self._exchange(name, family, server, edns=False)
        if response.rcode() not in _ANSWERS:
            raise _Failed(dns.rcode.to_text(response.rcode()))
        if not response.answer and not response.flags & (dns.flags.AA | dns.flags.RA):
            raise _Failed("it knows nothing of the name and asks nobody")
        return response

    def _exchange(self, name: dns.name.Name, family: Family, server: Server, *, edns: bool) -> dns.message.QueryMessage:
        question = dns.message.make_query(name, _TYPES[family], use_edns=0 if edns else False, payload=_PAYLOAD)
        try:
            response, _ = dns.query.udp_with_fallback(
                question,
                server.address,
                self._settings.timeout,
                server.port,
                ignore_unexpected=True,
                ignore_errors=True,
            )
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise _Failed(_words(error)) from None
        if not isinstance(response, dns.message.QueryMessage):
            raise _Failed("it answers another kind of question")
        return response


def _is_negative(response: dns.message.Message) -> bool:
    """Whether the server says that the end of the chain has no such address, rather than nothing about it."""
    return any(one.rdtype == dns.rdatatype.SOA for one in response.authority)


def _words(error: Exception) -> str:
    """Short, and the same for the same trouble: neither times nor numbers of the question."""
    if isinstance(error, dns.exception.Timeout):
        return "no answer in time"
    if isinstance(error, dns.message.ChainTooLong):
        return "its aliases lead nowhere"
    if isinstance(error, EOFError):
        return "the connection was cut"
    if isinstance(error, OSError):
        return error.strerror or "cannot be reached"
    return f"the answer makes no sense ({type(error).__name__})"
