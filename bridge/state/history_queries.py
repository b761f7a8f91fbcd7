"""The SQL of history. Each query walks an index from the newest on and stops after `limit` rows, whatever there is besides.

A page goes on behind the last row of the one before: rows of the same time follow by cluster and address.
"""

from typing import LiteralString

HOLDERS = 3  # workloads named for one membership
LOOKED_AT = 1_000  # rows that one page looks through for those that speak of one rule

_LEASE: LiteralString = """l.cluster, l.address, l.uid, l.namespace, l.pod, l.service_account, l.owner, l.node, l.t1, l.t1_since,
    nullif(l.t2, 'infinity'), l.t2_since, l.t2_inferred"""

CLUSTERS = """
SELECT name, kept_from, greatest(watched_at, changed_at) FROM cluster
WHERE %(cluster)s::text IS NULL OR name = %(cluster)s ORDER BY name
"""

AFTER: LiteralString = f"""
SELECT {_LEASE} FROM lease l WHERE l.cluster = %(cluster)s AND l.address = %(address)s::inet AND l.t2 > %(at)s ORDER BY l.t2 LIMIT 4
"""  # noqa: S608 - no value in it
BEFORE: LiteralString = f"""
SELECT {_LEASE} FROM lease_closed l WHERE l.cluster = %(cluster)s AND l.address = %(address)s::inet AND l.t2 <= %(at)s
ORDER BY l.t2 DESC LIMIT 1
"""  # noqa: S608
OUTAGE = "SELECT t1, t2 FROM outage WHERE cluster = %(cluster)s AND t2 > %(at)s ORDER BY t2 LIMIT 1"

LEASES_OF_ADDRESS: LiteralString = f"""
SELECT {_LEASE} FROM lease l
WHERE l.cluster = %(cluster)s AND l.address = %(address)s::inet
AND l.t2 >= %(since)s::timestamptz AND l.t2 <= %(t2)s::timestamptz
AND (l.t2 < %(t2)s::timestamptz OR l.cluster > %(last_cluster)s) ORDER BY l.t2 DESC LIMIT %(limit)s
"""  # noqa: S608
LEASES_OF_POD: LiteralString = f"""
SELECT {_LEASE} FROM lease l
WHERE hashtextextended(l.namespace || '/' || l.pod, 0) = hashtextextended(%(namespace)s || '/' || %(pod)s, 0)
AND l.namespace = %(namespace)s AND l.pod = %(pod)s AND (%(cluster)s::text IS NULL OR l.cluster = %(cluster)s)
AND l.t2 >= %(since)s::timestamptz AND l.t2 <= %(t2)s::timestamptz
AND (l.t2 < %(t2)s::timestamptz OR (l.cluster, l.address) > (%(last_cluster)s COLLATE "C", %(last_address)s::inet))
ORDER BY l.t2 DESC, l.cluster, l.address LIMIT %(limit)s
"""  # noqa: S608
LEASES_OF_UID: LiteralString = f"""
SELECT {_LEASE} FROM lease l
WHERE hashtextextended(l.uid, 0) = hashtextextended(%(uid)s, 0) AND l.uid = %(uid)s
ORDER BY l.t2 DESC, l.cluster, l.address LIMIT %(limit)s
"""  # noqa: S608

# The groups of a namespace lie side by side: each that could select the address is asked for it.
_GROUPS: LiteralString = """
FROM unnest(%(low)s::text[], %(high)s::text[]) x (low, high)
CROSS JOIN LATERAL (
    SELECT id, key FROM address_group g WHERE g.cluster = %(cluster)s AND g.key >= x.low AND g.key < x.high OFFSET 0) g
"""
GROUPS_AT: LiteralString = f"""
SELECT g.key, m.address, m.t1, nullif(m.t2, 'infinity'), m.inferred {_GROUPS}
CROSS JOIN LATERAL (
    SELECT address, t1, t2, inferred FROM member m
    WHERE m.group_id = g.id AND m.address = %(address)s::inet AND m.t2 > %(at)s ORDER BY m.t2 LIMIT 1) m
WHERE m.t1 <= %(at)s ORDER BY g.key
"""  # noqa: S608
MEMBERSHIPS_OF_ADDRESS: LiteralString = f"""
SELECT g.key, m.address, m.t1, nullif(m.t2, 'infinity'), m.inferred {_GROUPS}
CROSS JOIN LATERAL (
    SELECT address, t1, t2, inferred FROM member m
    WHERE m.group_id = g.id AND m.address = %(address)s::inet AND m.t2 > %(first)s AND m.t1 <= %(last)s
    ORDER BY m.t2 DESC LIMIT %(limit)s) m
ORDER BY m.t2 DESC, g.key
"""  # noqa: S608
# By the revision of its last change: when it joined, or once it left, when it left.
MEMBERSHIPS_OF_GROUP: LiteralString = f"""
WITH page AS MATERIALIZED (
    SELECT m.address, m.t1, m.t2, m.inferred, m.revision
    FROM address_group g CROSS JOIN LATERAL (
        SELECT * FROM member m WHERE m.group_id = g.id AND m.revision <= %(revision)s
        AND (m.revision < %(revision)s OR m.address > %(last_address)s::inet)
        ORDER BY m.revision DESC, m.address LIMIT %(limit)s) m
    WHERE g.cluster = %(cluster)s AND g.key = %(key)s)
SELECT p.revision, p.address, p.t1, nullif(p.t2, 'infinity'), p.inferred, {_LEASE}
FROM page p LEFT JOIN LATERAL (
    SELECT * FROM lease l WHERE l.cluster = %(cluster)s AND l.address = p.address AND l.t2 > p.t1 AND l.t1 < p.t2
    ORDER BY l.t2 LIMIT {HOLDERS + 1}) l ON true
ORDER BY p.revision DESC, p.address, l.t2
"""  # noqa: S608

_CHANGE: LiteralString = (
    "a.device, a.number, a.at, a.key, a.op, a.cause, a.before, a.after, a.outcome, a.plan_digest, a.id"
)
CHANGES_OF_DEVICE: LiteralString = f"""
SELECT {_CHANGE} FROM audit a WHERE a.device = %(device)s AND a.number < %(last)s ORDER BY a.number DESC LIMIT %(limit)s
"""  # noqa: S608
CHANGES_OF_OBJECTS: LiteralString = f"""
SELECT {_CHANGE} FROM unnest(%(keys)s::text[]) x (key)
CROSS JOIN LATERAL (SELECT * FROM audit a WHERE a.key = x.key AND a.id < %(last)s ORDER BY a.id DESC LIMIT %(limit)s) a
ORDER BY a.id DESC LIMIT %(limit)s
"""  # noqa: S608

# Of these objects' last rows, those that speak of something.
CHANGES_THAT_SAY: LiteralString = f"""
SELECT {_CHANGE} FROM unnest(%(keys)s::text[]) x (key)
CROSS JOIN LATERAL (
    SELECT * FROM audit a
    WHERE a.key = x.key AND a.id < %(last)s AND a.id >= %(reached)s AND (a.before ~ %(pattern)s OR a.after ~ %(pattern)s)
    ORDER BY a.id DESC LIMIT %(limit)s) a
ORDER BY a.id DESC LIMIT %(limit)s
"""  # noqa: S608
# How far back so many of their rows reach; no row when there are fewer.
REACHED: LiteralString = f"""
SELECT a.id, a.at FROM unnest(%(keys)s::text[]) x (key)
CROSS JOIN LATERAL (
    SELECT id, at FROM audit a WHERE a.key = x.key AND a.id < %(last)s ORDER BY a.id DESC LIMIT {LOOKED_AT}) a
ORDER BY a.id DESC OFFSET {LOOKED_AT - 1} LIMIT 1
"""  # noqa: S608

DEVICE = (
    "SELECT EXISTS (SELECT FROM device WHERE name = %(name)s) OR EXISTS (SELECT FROM audit WHERE device = %(name)s)"
)
GROUP = "SELECT FROM address_group WHERE cluster = %(cluster)s AND key = %(key)s"
VERDICTS = """
SELECT cluster, kind, ok, reason, message, changed_at FROM policy_object
WHERE kind = ANY(%(kinds)s) AND namespace = %(namespace)s AND name = %(name)s AND (%(cluster)s::text IS NULL OR cluster = %(cluster)s)
ORDER BY cluster, kind
"""
NODE = """
SELECT name FROM observed
WHERE cluster = %(cluster)s AND resource = 'nodes'
AND EXISTS (SELECT FROM json_array_elements_text(body -> 'addresses') x (address) WHERE x.address = %(address)s) ORDER BY name LIMIT 1
"""
GROUPS = "SELECT key FROM address_group WHERE cluster = %(cluster)s ORDER BY key"
