"""The tables, as SQLAlchemy sees them. `migrations/` makes the same ones step by step; a test keeps both equal.

What Postgres can guarantee at speed stands here as a constraint. Left to the statements instead: foreign keys of pods, leases and members
(thousands of rows a second; each would cost a lookup and a row lock), and the absence of overlap among closed leases.

Leases and members are history. The open ones live in a partition of their own, `t2` = infinity, where the primary key refuses a
second open one. Statements write to the partitions directly: moving a row between them by UPDATE would cost twice as much. What has
ended lies in `_closed`, itself partitioned by the month of its end, so that the oldest can be dropped as a whole.

JSON is kept as `json`, not `jsonb`: exactly as encoded, "\\u0000" included. `jsonb` appears only where the database itself merges.
"""

from bridge.state.tables.base import AUDIT_CHANNEL, CHANNEL, KEY, TIME, metadata
from bridge.state.tables.clusters import cluster, installation, observed, outage, pod
from bridge.state.tables.decisions import decision, stop
from bridge.state.tables.devices import device, device_object, held_plan
from bridge.state.tables.evidence import audit, audit_checkpoint, report, verified
from bridge.state.tables.freezes import frozen, handover
from bridge.state.tables.gates import GATE_CHANNEL, gate, gate_need
from bridge.state.tables.history import address_group, lease, member, name, name_address, version
from bridge.state.tables.policy import feedback, placement, policy_object
from bridge.state.tables.replicas import replica, replica_lease
from bridge.state.tables.stages import migration

__all__ = [
    "AUDIT_CHANNEL",
    "CHANNEL",
    "GATE_CHANNEL",
    "KEY",
    "TIME",
    "address_group",
    "audit",
    "audit_checkpoint",
    "cluster",
    "decision",
    "device",
    "device_object",
    "feedback",
    "frozen",
    "gate",
    "gate_need",
    "handover",
    "held_plan",
    "installation",
    "lease",
    "member",
    "metadata",
    "migration",
    "name",
    "name_address",
    "observed",
    "outage",
    "placement",
    "pod",
    "policy_object",
    "replica",
    "replica_lease",
    "report",
    "stop",
    "verified",
    "version",
]
