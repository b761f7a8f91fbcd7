"""The audit of a device as it is written: rows at the end of its chain, and with them what the device was last seen to hold."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bridge.model.identity import Kind, ObjectKey
from bridge.model.rendering import digest_in
from bridge.state.chain import Head, Link
from bridge.state.database import Connection
from bridge.state.desired import AuditEntry
from bridge.state.encoding import clean
from bridge.state.reported import Audited

_ROWS = """
INSERT INTO audit (device, at, plan_digest, key, op, cause, before, after, outcome, lag, number, hash)
SELECT %(device)b, %(at)b::timestamptz, %(plan)b, x.* FROM unnest(
    %(key)b::text[], %(op)b::text[], %(cause)b::text[], %(before)b::text[], %(after)b::text[], %(outcome)b::text[],
    %(lag)b::float8[], %(number)b::bigint[], %(hash)b::text[]) x
"""
_HEAD = "UPDATE device SET audit_number = %(number)b, audit_head = %(hash)b WHERE name = %(device)b"
_SEEN = """
INSERT INTO verified (device, key, digest) SELECT %(device)b, x.* FROM unnest(%(key)b::text[], %(digest)b::text[]) x
ON CONFLICT (device, key) DO UPDATE SET digest = excluded.digest
"""
_GONE = "DELETE FROM verified WHERE device = %(device)b AND key = ANY(%(key)b::text[])"
_VERIFIED = "SELECT key, digest FROM verified WHERE device = %s"


def append(
    connection: Connection, device: str, head: Head, entries: Sequence[AuditEntry], plan_digest: str, at: datetime
) -> Head:
    """Write these rows after `head`, which the caller has locked; returns the end of the chain from then on."""
    if not entries:
        return head
    linked = list(_linked(device, head, entries, plan_digest, at))
    links, hashes = [link for link, _ in linked], [each for _, each in linked]
    values = {
        "device": device,
        "at": at,
        "plan": plan_digest,
        "key": [one.key for one in links],
        "op": [one.op for one in links],
        "cause": [one.cause for one in links],
        "before": [one.before for one in links],
        "after": [one.after for one in links],
        "outcome": [one.outcome for one in links],
        "lag": [one.lag for one in links],
        "number": [one.number for one in links],
        "hash": hashes,
    }
    connection.execute(_ROWS, values)
    connection.execute(_HEAD, {"device": device, "number": links[-1].number, "hash": hashes[-1]})
    # `after` is always what the device holds then, whatever was asked of it.
    see(connection, device, {one.key: digest_in(one.after) for one in entries})
    return Head(links[-1].number, hashes[-1])


def verified(connection: Connection, device: str) -> dict[ObjectKey, str]:
    """The digest of every object that the device was last seen to hold."""
    return {ObjectKey.parse(key): digest for key, digest in connection.execute(_VERIFIED, [device])}


def see(connection: Connection, device: str, digests: Mapping[ObjectKey, str]) -> None:
    """Note what the device holds now of these objects; "" for nothing."""
    there = {str(key): digest for key, digest in digests.items() if digest and key.kind is not Kind.FENCE}
    gone = [str(key) for key, digest in digests.items() if not digest]
    if there:
        connection.execute(_SEEN, {"device": device, "key": list(there), "digest": list(there.values())})
    if gone:
        connection.execute(_GONE, {"device": device, "key": gone})


def _linked(
    device: str, head: Head, entries: Sequence[AuditEntry], plan_digest: str, at: datetime
) -> Iterator[tuple[Link, str]]:
    """The rows with their hashes, going on from the end of the chain."""
    last = head.hash
    for number, one in enumerate(entries, head.number + 1):
        link = Link(
            device=device,
            number=number,
            at=at,
            key=str(one.key),
            op=one.op,
            cause=clean(one.cause),
            before=clean(one.before),
            after=clean(one.after),
            plan_digest=plan_digest,
            outcome=clean(one.outcome),
            lag=one.lag,
        )
        last = link.hash_after(last)
        yield link, last


def audited(
    row: int,
    at: datetime,
    plan: str,
    number: int,
    digest: str,
    key: str,
    op: str,
    *rest: Any,  # noqa: ANN401 (columns)
) -> Audited:
    """A row as it is read: id, at, plan_digest, number, hash, key, op, cause, before, after, outcome, lag."""
    return Audited(row, at, plan, AuditEntry(ObjectKey.parse(key), op, *rest), number, digest)
