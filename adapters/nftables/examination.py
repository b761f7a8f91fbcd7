"""A look at a Linux gateway before it is written to: nft and its version, and what we may there.

Each command is one that the adapter runs anyway, asks for a version, or is `uname`, `id` or `test`; nothing is changed. nft 1.0.6 is the
version whose behaviour this adapter was built on and is tested against.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from adapters.nftables import ends
from adapters.nftables.client import Client
from adapters.nftables.scope import Scope
from adapters.nftables.transport import Transport
from bridge.model.examination import Finding, doubtful, fine, wrong

OLDEST = (1, 0, 6)
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def examine(client: Client, way: Transport, scope: Scope, table: str) -> Iterator[Finding]:
    """One finding after the other. Raises Busy, Denied where no command can be run."""
    yield _version(way, scope.program)
    yield fine("kernel", _said(way, "uname", "-sr") or "it does not say which")
    yield fine("reading", f"{len(client.tables())} tables can be listed")
    yield _writing(client, table)
    yield _ending(client, table)
    yield _breadth(way, scope)
    yield _flows(way, scope.conntrack)
    if scope.persist:
        yield _persistence(way, scope.persist)


def _version(way: Transport, program: str) -> Finding:
    text = _said(way, program, "--version")
    found = _VERSION.search(text)
    if found is None:
        return doubtful("version", f"{program} does not say which it is")
    told, numbers = found[0].removeprefix("v"), tuple(map(int, found.groups()))
    if numbers < OLDEST:
        return wrong("version", f"nft {told}; {'.'.join(map(str, OLDEST))} is the oldest that can be served")
    return fine("version", f"nft {told}")


def _writing(client: Client, table: str) -> Finding:
    """The kernel is asked what it would say to our table, and does nothing."""
    objection = client.objection([{"add": {"table": {"family": "inet", "name": table}}}])
    if objection:
        return wrong("writing", f"the kernel would refuse table inet {table}: {objection}")
    return fine("writing", f"the kernel would take table inet {table}")


def _ending(client: Client, table: str) -> Finding:
    """The same of a rule that looks at the clock; kernels before 5.4 have no such rule."""
    named = {"family": "inet", "table": table}
    objection = client.objection(
        [
            {"add": {"table": {"family": "inet", "name": table}}},
            {"add": {"chain": {**named, "name": "examination"}}},
            {"add": {"rule": {**named, "chain": "examination", "expr": [ends.before(ends.LAST)]}}},
        ]
    )
    if objection:
        return wrong("schedules", f"the kernel would refuse a rule that ends by itself: {objection}; 5.4 takes it")
    return fine("schedules", "the kernel would take a rule that ends by itself")


def _breadth(way: Transport, scope: Scope) -> Finding:
    user = _said(way, "id", "-u")
    if scope.sudo:
        return fine("rights", "through sudo; what else sudoers lets this account do is not seen from here")
    if user == "0":
        return doubtful("rights", "root: far more than the bridge needs; an account that may run nft by sudo is enough")
    return fine("rights", f"user {user or 'unknown'}, without sudo")


def _flows(way: Transport, program: str) -> Finding:
    told = _said(way, program, "--version")
    if not told:
        return doubtful("flows", f"{program} is not there, or not for us: no flow can be closed")
    return fine("flows", told.splitlines()[0])


def _persistence(way: Transport, path: str) -> Finding:
    folder = str(PurePosixPath(path).parent)
    if way.run(("test", "-w", folder)).code != 0:
        return wrong("persist", f"{folder} cannot be written: what is kept for the next start would not be")
    return fine("persist", f"{folder} can be written")


def _said(way: Transport, *words: str) -> str:
    answer = way.run(words)
    return answer.output.decode(errors="replace").strip() if answer.code == 0 else ""
