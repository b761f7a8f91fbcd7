"""The SQL that records one intake batch. Each statement takes any number of rows as arrays, sent in binary: the fastest way measured
that needs no temporary table.

To find rows, the arrays come first and each row is looked up by key: `CROSS JOIN LATERAL (… OFFSET 0)` leaves the planner no other
order, whatever it believes about the size of the tables. What is found is then met again by ctid, which is safe because the rows
have one writer (the owner of the cluster) or are locked.

Repeating a batch is harmless: what is already so is left as it is. Nothing here reads the clock; `at` is the time of the whole batch.
"""

PODS = """
INSERT INTO pod (cluster, uid, namespace, name, service_account, owner, node, phase, labels, rest)
SELECT %(cluster)b, x.* FROM unnest(
    %(uid)b::text[], %(namespace)b::text[], %(name)b::text[], %(service_account)b::text[], %(owner)b::text[], %(node)b::text[],
    %(phase)b::text[], %(labels)b::text[]::json[], %(rest)b::text[]::json[]) x
ON CONFLICT (cluster, uid) DO UPDATE SET
    namespace = excluded.namespace, name = excluded.name, service_account = excluded.service_account, owner = excluded.owner,
    node = excluded.node, phase = excluded.phase, labels = excluded.labels, rest = excluded.rest
"""
PODS_GONE = "DELETE FROM pod WHERE cluster = %(cluster)b AND uid = ANY(%(uid)b::text[])"

OBJECTS = """
INSERT INTO observed (cluster, resource, namespace, name, uid, resource_version, body)
SELECT %(cluster)b, x.* FROM unnest(
    %(resource)b::text[], %(namespace)b::text[], %(name)b::text[], %(uid)b::text[], %(version)b::text[],
    %(body)b::text[]::json[]) x
ON CONFLICT (cluster, resource, namespace, name) DO UPDATE SET
    uid = excluded.uid, resource_version = excluded.resource_version, body = excluded.body
"""
OBJECTS_GONE = """
DELETE FROM observed WHERE ctid = ANY(ARRAY(
    SELECT o.ctid FROM unnest(%(resource)b::text[], %(namespace)b::text[], %(name)b::text[]) x (resource, namespace, name)
    CROSS JOIN LATERAL (
        SELECT ctid FROM observed o
        WHERE o.cluster = %(cluster)b AND o.resource = x.resource AND o.namespace = x.namespace AND o.name = x.name OFFSET 0) o))
"""

LEASES_ENDED = """
WITH found AS MATERIALIZED (
    SELECT l.ctid AS place, x.since, x.inferred
    FROM unnest(%(address)b::text[]::inet[], %(uid)b::text[], %(inferred)b::bool[], %(since)b::timestamptz[])
        x (address, uid, inferred, since)
    CROSS JOIN LATERAL (
        SELECT ctid FROM lease_open l
        WHERE l.cluster = %(cluster)b AND l.address = x.address AND l.uid = x.uid OFFSET 0) l),
ended AS (
    DELETE FROM lease_open l USING found x WHERE l.ctid = x.place
    RETURNING l.address, l.t1, l.uid, l.namespace, l.pod, l.service_account, l.owner, l.node, l.t1_since, x.since, x.inferred)
INSERT INTO lease_closed
    (cluster, t2, address, t1, uid, namespace, pod, service_account, owner, node, t1_since, t2_since, t2_inferred)
SELECT %(cluster)b, %(at)b::timestamptz, ended.* FROM ended
ON CONFLICT DO NOTHING  -- only ever one that ended the moment it began
"""
LEASES = """
INSERT INTO lease_open (cluster, t2, t1, address, uid, namespace, pod, service_account, owner, node, t1_since)
SELECT %(cluster)b, 'infinity', %(at)b::timestamptz, x.* FROM unnest(
    %(address)b::text[]::inet[], %(uid)b::text[], %(namespace)b::text[], %(pod)b::text[], %(service_account)b::text[],
    %(owner)b::text[], %(node)b::text[], %(since)b::timestamptz[])
    x (address, uid, namespace, pod, service_account, owner, node, since)
WHERE x.uid IS DISTINCT FROM (SELECT l.uid FROM lease_open l WHERE l.cluster = %(cluster)b AND l.address = x.address)
"""

GROUPS = """
INSERT INTO address_group (cluster, key) SELECT %(cluster)b, unnest(%(key)b::text[])
ON CONFLICT (cluster, key) DO UPDATE SET gone = false WHERE address_group.gone
"""
GROUP_IDS = "SELECT key, id FROM address_group WHERE cluster = %(cluster)b AND key = ANY(%(key)b::text[])"
GROUPS_GONE = """
WITH groups AS (UPDATE address_group SET gone = true WHERE id = ANY(%(id)b::bigint[])),
ended AS (DELETE FROM member_open m WHERE m.group_id = ANY(%(id)b::bigint[]) RETURNING m.group_id, m.address, m.t1)
INSERT INTO member_closed (t2, revision, group_id, address, t1)
SELECT %(at)b::timestamptz, %(revision)b, ended.* FROM ended
ON CONFLICT (group_id, address, t2) DO UPDATE SET revision = excluded.revision
"""
# A group as a device keeps it begins with the members that the group has so far.
PARTED = """
INSERT INTO member_open (t2, t1, revision, group_id, address, unproven)
SELECT 'infinity', m.t1, %(revision)b, x.id, m.address, m.unproven FROM unnest(%(id)b::bigint[], %(origin)b::bigint[]) x (id, origin)
CROSS JOIN LATERAL (SELECT address, t1, unproven FROM member_open m WHERE m.group_id = x.origin OFFSET 0) m
ON CONFLICT DO NOTHING
"""
LEFT = """
WITH found AS MATERIALIZED (
    SELECT m.ctid AS place, x.inferred, x.unproven
    FROM unnest(%(id)b::bigint[], %(address)b::text[]::inet[], %(inferred)b::bool[], %(unproven)b::bool[])
        x (id, address, inferred, unproven)
    CROSS JOIN LATERAL (SELECT ctid FROM member_open m WHERE m.group_id = x.id AND m.address = x.address OFFSET 0) m),
ended AS (
    DELETE FROM member_open m USING found x WHERE m.ctid = x.place
    RETURNING m.group_id, m.address, m.t1, x.inferred, x.unproven)
INSERT INTO member_closed (t2, revision, group_id, address, t1, inferred, unproven)
SELECT %(at)b::timestamptz, %(revision)b, ended.* FROM ended
ON CONFLICT (group_id, address, t2) DO UPDATE SET
    revision = excluded.revision, inferred = excluded.inferred, unproven = excluded.unproven
"""
JOINED = """
INSERT INTO member_open (t2, t1, revision, group_id, address, unproven)
SELECT 'infinity', %(at)b::timestamptz, %(revision)b, x.*
FROM unnest(%(id)b::bigint[], %(address)b::text[]::inet[], %(unproven)b::bool[]) x
ON CONFLICT DO NOTHING
"""

# Delivery locks rows of its device in the same order, so neither ever waits for the other in a circle.
LOCK = """
SELECT FROM device_object WHERE key = ANY(%(key)b::text[]) ORDER BY key, device FOR UPDATE
"""
_WAITING = """CASE WHEN d.desired_generation > d.applied_generation THEN d.waiting_since ELSE %(at)b END"""
# Changes that a device has not taken yet are done together in the end: the newest first, as much as a line bears.
_CAUSE = """CASE WHEN d.desired_generation > d.applied_generation AND d.cause <> '' AND d.cause <> x.cause
    THEN left(x.cause || '; before: ' || d.cause, 400) ELSE x.cause END"""
MOVED = f"""
UPDATE device_object d SET
    desired_generation = d.desired_generation + 1, cause = {_CAUSE}, changed_at = %(at)b, waiting_since = {_WAITING}
FROM (
    SELECT o.ctid AS place, x.cause FROM unnest(%(key)b::text[], %(counted)b::text[], %(cause)b::text[]) x (key, counted, cause)
    CROSS JOIN LATERAL (
        SELECT ctid FROM device_object o
        WHERE o.key = x.key AND coalesce(o.members_of, o.key) = x.counted AND NOT o.gone OFFSET 0) o) x
WHERE d.ctid = x.place
"""  # noqa: S608 - no value in it
DESIRED_GONE = f"""
UPDATE device_object d SET
    gone = true, body = NULL, desired_generation = d.desired_generation + 1, desired_digest = '',
    cause = {_CAUSE}, changed_at = %(at)b, waiting_since = {_WAITING}
FROM (
    SELECT o.ctid AS place, x.cause FROM unnest(%(device)b::text[], %(key)b::text[], %(cause)b::text[]) x (device, key, cause)
    CROSS JOIN LATERAL (
        SELECT ctid FROM device_object o WHERE o.key = x.key AND o.device = x.device AND NOT o.gone OFFSET 0) o) x
WHERE d.ctid = x.place
"""  # noqa: S608 - no value in it
DESIRED = f"""
INSERT INTO device_object AS d
    (cluster, since_revision, changed_at, waiting_since, device, key, kind, body, desired_digest, cause, members_of)
SELECT %(cluster)b, %(revision)b, %(at)b, %(at)b, x.* FROM unnest(
    %(device)b::text[], %(key)b::text[], %(kind)b::text[], %(body)b::text[]::json[], %(digest)b::text[], %(cause)b::text[],
    %(members_of)b::text[]) x
ON CONFLICT (key, device) DO UPDATE SET
    cluster = excluded.cluster, body = excluded.body, members_of = excluded.members_of, desired_digest = excluded.desired_digest,
    cause = {_CAUSE.replace("x.cause", "excluded.cause")},
    desired_generation = d.desired_generation + 1, changed_at = %(at)b, waiting_since = {_WAITING}, gone = false,
    since_revision = CASE WHEN d.gone OR d.members_of IS DISTINCT FROM excluded.members_of THEN %(revision)b ELSE d.since_revision END
WHERE d.gone OR d.desired_digest <> excluded.desired_digest OR d.body::text IS DISTINCT FROM excluded.body::text
"""  # noqa: S608 - no value in it

VERDICTS = """
INSERT INTO policy_object (cluster, changed_at, kind, namespace, name, uid, generation, ok, reason, message, accepted)
SELECT %(cluster)b, %(at)b::timestamptz, x.* FROM unnest(
    %(kind)b::text[], %(namespace)b::text[], %(name)b::text[], %(uid)b::text[], %(generation)b::bigint[], %(ok)b::bool[],
    %(reason)b::text[], %(message)b::text[], %(accepted)b::text[]::json[]) x
ON CONFLICT (cluster, kind, namespace, name) DO UPDATE SET
    uid = excluded.uid, generation = excluded.generation, ok = excluded.ok, reason = excluded.reason,
    message = excluded.message, accepted = excluded.accepted, changed_at = excluded.changed_at
"""
VERDICTS_GONE = """
DELETE FROM policy_object WHERE ctid = ANY(ARRAY(
    SELECT p.ctid FROM unnest(%(kind)b::text[], %(namespace)b::text[], %(name)b::text[]) x (kind, namespace, name)
    CROSS JOIN LATERAL (
        SELECT ctid FROM policy_object p
        WHERE p.cluster = %(cluster)b AND p.kind = x.kind AND p.namespace = x.namespace AND p.name = x.name OFFSET 0) p))
"""
# A version ends when another takes its place, or none does (no body).
VERSIONS_ENDED = """
UPDATE version v SET t2 = %(at)b
FROM (
    SELECT o.ctid AS place FROM unnest(%(kind)b::text[], %(namespace)b::text[], %(name)b::text[], %(body)b::text[])
        x (kind, namespace, name, body)
    CROSS JOIN LATERAL (
        SELECT ctid FROM version o WHERE o.cluster = %(cluster)b AND o.kind = x.kind AND o.namespace = x.namespace
        AND o.name = x.name AND o.t2 IS NULL AND o.body::text IS DISTINCT FROM x.body OFFSET 0) o) x
WHERE v.ctid = x.place
"""
VERSIONS = """
INSERT INTO version (cluster, t1, kind, namespace, name, body)
SELECT %(cluster)b, %(at)b::timestamptz, x.kind, x.namespace, x.name, x.body::json
FROM unnest(%(kind)b::text[], %(namespace)b::text[], %(name)b::text[], %(body)b::text[]) x (kind, namespace, name, body)
WHERE x.body IS NOT NULL
ON CONFLICT (cluster, kind, namespace, name) WHERE t2 IS NULL DO NOTHING
"""
PLACEMENTS = """
INSERT INTO placement (cluster, kind, namespace, name, device, keys, tier, reason, message)
SELECT %(cluster)b, x.kind, x.namespace, x.name, x.device, string_to_array(x.keys, chr(10)), x.tier, x.reason, x.message
FROM unnest(
    %(kind)b::text[], %(namespace)b::text[], %(name)b::text[], %(device)b::text[], %(keys)b::text[], %(tier)b::text[],
    %(reason)b::text[], %(message)b::text[]) x (kind, namespace, name, device, keys, tier, reason, message)
ON CONFLICT (cluster, kind, namespace, name, device) DO UPDATE SET
    keys = excluded.keys, tier = excluded.tier, reason = excluded.reason, message = excluded.message
"""
PLACEMENTS_GONE = """
DELETE FROM placement WHERE ctid = ANY(ARRAY(
    SELECT p.ctid FROM unnest(%(kind)b::text[], %(namespace)b::text[], %(name)b::text[], %(device)b::text[])
        x (kind, namespace, name, device)
    CROSS JOIN LATERAL (
        SELECT ctid FROM placement p WHERE p.cluster = %(cluster)b AND p.kind = x.kind AND p.namespace = x.namespace
        AND p.name = x.name AND p.device = x.device OFFSET 0) p))
"""
POLICY_REVISION = "UPDATE cluster SET policy_revision = %(revision)b WHERE name = %(cluster)b"
SYNCED = "UPDATE cluster SET synced = synced || %(synced)b::text::jsonb WHERE name = %(cluster)b"
OUTAGE = """
INSERT INTO outage (cluster, t1, t2) SELECT %(cluster)b, %(since)b::timestamptz, %(at)b::timestamptz
WHERE %(since)b::timestamptz < %(at)b::timestamptz ON CONFLICT DO NOTHING
"""
NOTIFY = "SELECT pg_notify(%(channel)s, %(cluster)s)"
