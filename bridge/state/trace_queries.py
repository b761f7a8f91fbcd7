"""The SQL of tracing. Each query looks up what one packet needs by key; none goes with the size of the cluster, but for the pods of one
namespace where a Service is asked about that nothing records the members of.
"""

from typing import LiteralString

from bridge.state.encoding import PodReader

_LEASE: LiteralString = """l.cluster, l.address, l.uid, l.namespace, l.pod, l.service_account, l.owner, l.node, l.t1, l.t1_since,
    nullif(l.t2, 'infinity'), l.t2_since, l.t2_inferred"""

WATCHED = """
SELECT name, kept_from, greatest(watched_at, changed_at), greatest(kept_from, versions_from) FROM cluster
WHERE %(cluster)s::text IS NULL OR name = %(cluster)s ORDER BY name
"""
# Those that a pod of that name held then, and where it is about now or shortly after an end, the last.
LEASES_OF_POD: LiteralString = f"""
SELECT {_LEASE} FROM lease l
WHERE hashtextextended(l.namespace || '/' || l.pod, 0) = hashtextextended(%(namespace)s || '/' || %(pod)s, 0)
AND l.namespace = %(namespace)s AND l.pod = %(pod)s AND l.cluster = %(cluster)s AND l.t2 >= %(since)s::timestamptz
ORDER BY l.t2 DESC, l.address LIMIT 100
"""  # noqa: S608 - no value in it
LEASES_AT: LiteralString = f"""
SELECT {_LEASE} FROM unnest(%(address)s::text[]::inet[]) x (address)
CROSS JOIN LATERAL (
    SELECT * FROM lease l WHERE l.cluster = %(cluster)s AND l.address = x.address AND l.t2 > %(at)s ORDER BY l.t2 LIMIT 1) l
WHERE l.t1 <= %(at)s ORDER BY l.address
"""  # noqa: S608
LEASES_OF_UIDS: LiteralString = f"""
SELECT {_LEASE} FROM unnest(%(uid)s::text[]) x (uid)
CROSS JOIN LATERAL (
    SELECT * FROM lease_open l WHERE hashtextextended(l.uid, 0) = hashtextextended(x.uid, 0) AND l.uid = x.uid
    AND l.cluster = %(cluster)s OFFSET 0) l
ORDER BY l.address
"""  # noqa: S608
PODS: LiteralString = f"""
SELECT {PodReader.COLUMNS} FROM pod WHERE cluster = %(cluster)s AND uid = ANY(%(uid)s::text[])
"""  # noqa: S608
PODS_WITH: LiteralString = f"""
SELECT {PodReader.COLUMNS} FROM pod WHERE cluster = %(cluster)s AND namespace = %(namespace)s AND NOT EXISTS (
    SELECT FROM unnest(%(label)s::text[], %(value)s::text[]) x (label, value) WHERE labels ->> x.label IS DISTINCT FROM x.value)
"""  # noqa: S608
OBSERVED = """
SELECT body::text FROM observed
WHERE cluster = %(cluster)s AND resource = %(resource)s AND namespace = %(namespace)s
AND (%(name)s::text[] IS NULL OR name = ANY(%(name)s::text[])) ORDER BY name
"""
# What else is judged than policy has no version of its own.
_POLICY: LiteralString = "kind <> ALL('{Pod,Service,Namespace,group}')"
_ACCEPTED: LiteralString = "SELECT kind, namespace, name, ok, reason, message, accepted::text FROM policy_object p"
_VERSIONS: LiteralString = "SELECT kind, namespace, name, true, '', '', body::text FROM version p"
_THEN: LiteralString = "p.t1 <= %(at)s AND (p.t2 IS NULL OR p.t2 > %(at)s)"
ACCEPTED: LiteralString = f"""
{_ACCEPTED} WHERE cluster = %(cluster)s AND namespace = ANY(ARRAY['', %(namespace)s]) AND {_POLICY}
ORDER BY kind, namespace, name
"""
VERSIONS: LiteralString = f"""
{_VERSIONS} WHERE cluster = %(cluster)s AND namespace = ANY(ARRAY['', %(namespace)s]) AND {_POLICY} AND {_THEN}
ORDER BY kind, namespace, name
"""
_REFS: LiteralString = """JOIN unnest(%(kind)s::text[], %(namespace)s::text[], %(name)s::text[]) x (kind, namespace, name)
    USING (kind, namespace, name) WHERE cluster = %(cluster)s"""
ACCEPTED_OF: LiteralString = f"{_ACCEPTED} {_REFS}"
VERSIONS_OF: LiteralString = f"{_VERSIONS} {_REFS} AND {_THEN}"
NAMESPACE = """
SELECT body::text FROM version
WHERE cluster = %(cluster)s AND namespace = '' AND kind = 'Namespace' AND name = %(name)s
AND t1 <= %(at)s AND (t2 IS NULL OR t2 > %(at)s)
"""
PLACEMENTS = """
SELECT p.kind, p.namespace, p.name, p.device, p.keys, p.tier, p.reason, p.message
FROM unnest(%(kind)s::text[], %(namespace)s::text[], %(name)s::text[]) x (kind, namespace, name)
CROSS JOIN LATERAL (
    SELECT * FROM placement p WHERE p.cluster = %(cluster)s AND p.kind = x.kind AND p.namespace = x.namespace
    AND p.name = x.name OFFSET 0) p
"""
OBJECTS = """
SELECT o.device, o.key, o.body::text, o.desired_generation <= o.applied_generation, o.applied_generation > 0, o.state, o.message,
    CASE WHEN o.desired_generation > o.applied_generation THEN o.waiting_since END,
    greatest(o.verified_at, d.last_verified), o.shards, o.members_of
FROM device_object o JOIN device d ON d.name = o.device WHERE o.key = ANY(%(key)s::text[]) AND NOT o.gone
"""
PENDING = "SELECT key FROM device_object WHERE device = %(device)s AND desired_generation > applied_generation"
DEVICES = "SELECT name, state, message, mode, attached, attach_by, last_read FROM device"
# Open ones for now; of the closed one that lasted then.
MEMBERS = """
SELECT g.key, m.address, m.t1 FROM address_group g
CROSS JOIN unnest(%(address)s::text[]::inet[]) x (address)
CROSS JOIN LATERAL (
    SELECT address, t1 FROM member m
    WHERE m.group_id = g.id AND m.address = x.address AND m.t2 > %(at)s ORDER BY m.t2 LIMIT 1) m
WHERE g.cluster = %(cluster)s AND g.key = ANY(%(key)s::text[]) AND m.t1 <= %(at)s
"""
GROUPS_THEN: LiteralString = f"""
SELECT name FROM version p WHERE cluster = %(cluster)s AND kind = 'group' AND namespace = ANY(%(namespace)s::text[])
AND name = ANY(%(key)s::text[]) AND {_THEN}
"""  # noqa: S608
GROUPS_NOW = """
SELECT key FROM address_group WHERE cluster = %(cluster)s AND key = ANY(%(key)s::text[]) AND NOT gone
"""
NAMES_NOW = """
SELECT n.name, n.answered, a.address FROM name n
LEFT JOIN name_address a ON a.cluster = n.cluster AND a.name = n.name AND a.t2 = 'infinity'
WHERE n.cluster = %(cluster)s AND n.name = ANY(%(name)s::text[])
"""
NAMES_THEN = """
SELECT name, true, address FROM name_address
WHERE cluster = %(cluster)s AND name = ANY(%(name)s::text[]) AND t1 <= %(at)s AND t2 > %(at)s
"""
MEMBERS_OF = """
SELECT m.address FROM address_group g JOIN member m ON m.group_id = g.id
WHERE g.cluster = %(cluster)s AND g.key = %(key)s AND m.t2 > %(at)s AND m.t1 <= %(at)s ORDER BY m.address
"""

_ROW: LiteralString = "a.number, a.at, a.before, a.after"
# Rows that tell of an object whole, or of one of the words among what came and went.
_TELLS: LiteralString = """(a.after = '-' OR a.after LIKE '{%%'
    OR EXISTS (SELECT FROM unnest(%(words)s::text[]) w WHERE strpos(a.after, w) > 0 OR strpos(a.before, w) > 0))"""
TOLD_BY: LiteralString = f"""
SELECT {_ROW} FROM audit a WHERE a.key = %(key)s AND a.device = %(device)s AND a.at <= %(at)s AND {_TELLS}
ORDER BY a.id DESC LIMIT %(limit)s
"""  # noqa: S608
TOLD_AFTER: LiteralString = f"""
SELECT {_ROW} FROM audit a WHERE a.key = %(key)s AND a.device = %(device)s AND a.at > %(at)s AND {_TELLS}
ORDER BY a.id LIMIT 1
"""  # noqa: S608
BEGINS = "SELECT number, at FROM audit WHERE device = %(device)s ORDER BY number LIMIT 1"
