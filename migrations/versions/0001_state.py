"""The state: clusters, leases, groups, desired and applied objects, audit."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
stage = "pre"


def upgrade() -> None:
    """Make every table of the first version."""
    _tables()
    for table in ("lease", "member"):
        op.execute(f"CREATE TABLE {table}_open PARTITION OF {table} FOR VALUES FROM ('infinity') TO (MAXVALUE)")
        op.execute(f"CREATE TABLE {table}_closed PARTITION OF {table} FOR VALUES FROM (MINVALUE) TO ('infinity')")
        op.execute(f"CREATE INDEX ix_{table}_closed_t2 ON {table}_closed USING brin (t2)")


def _tables() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("device", sa.Text(collation="C"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"], postgresql_using="brin")
    op.create_index(op.f("ix_audit_device_id"), "audit", ["device", "id"])
    op.create_table(
        "cluster",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("uid", sa.Text(), server_default="", nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("synced", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("revision >= 0", name=op.f("ck_cluster_revision")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cluster")),
    )
    op.create_table(
        "device",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="not read yet", nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("look_alikes", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("attached", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("last_read", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_verified", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('ok', 'busy', 'denied', 'unreachable', 'stopped', 'not read yet')", name=op.f("ck_device_state")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_device")),
    )
    op.create_table(
        "installation",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.CheckConstraint("one", name=op.f("ck_installation_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_installation")),
    )
    op.create_table(
        "lease",
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("address", postgresql.INET(), nullable=False),
        sa.Column("t2", sa.DateTime(timezone=True), nullable=False),
        sa.Column("t1", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uid", sa.Text(collation="C"), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("pod", sa.Text(), nullable=False),
        sa.Column("service_account", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("t1_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("t2_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("t2_inferred", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("t1 <= t2", name=op.f("ck_lease_order")),
        sa.PrimaryKeyConstraint("cluster", "address", "t2", name=op.f("pk_lease")),
        postgresql_partition_by="RANGE (t2)",
    )
    op.create_table(
        "member",
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("address", postgresql.INET(), nullable=False),
        sa.Column("t2", sa.DateTime(timezone=True), nullable=False),
        sa.Column("t1", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("inferred", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("t1 <= t2", name=op.f("ck_member_order")),
        sa.PrimaryKeyConstraint("group_id", "address", "t2", name=op.f("pk_member")),
        postgresql_partition_by="RANGE (t2)",
    )
    op.create_index(op.f("ix_member_group_id_revision"), "member", ["group_id", "revision"])
    op.create_table(
        "pod",
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("uid", sa.Text(collation="C"), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("service_account", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("rest", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("cluster", "uid", name=op.f("pk_pod")),
    )
    op.create_table(
        "replica_lease",
        sa.Column("role", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('cluster', 'device')", name=op.f("ck_replica_lease_role")),
        sa.CheckConstraint("epoch > 0", name=op.f("ck_replica_lease_epoch")),
        sa.PrimaryKeyConstraint("role", "name", name=op.f("pk_replica_lease")),
    )
    op.create_table(
        "report",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
    )
    op.create_table(
        "address_group",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("gone", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_address_group_cluster")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_group")),
        sa.UniqueConstraint("cluster", "key", name=op.f("uq_address_group_cluster_key")),
    )
    op.create_table(
        "device_object",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("device", sa.Text(collation="C"), nullable=False),
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("desired_generation", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("desired_digest", sa.Text(), nullable=False),
        sa.Column("since_revision", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("gone", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("applied_generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("applied_digest", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="Pending", nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("shards", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('group', 'shard', 'ports', 'rules', 'policy', 'attachment')", name=op.f("ck_device_object_kind")
        ),
        sa.CheckConstraint(
            "state IN ('Pending', 'Programmed', 'Held', 'Quarantined', 'Withheld', 'AwaitingDeploy', 'Unsupported')",
            name=op.f("ck_device_object_state"),
        ),
        sa.CheckConstraint("NOT gone OR body IS NULL", name=op.f("ck_device_object_gone")),
        sa.CheckConstraint(
            "applied_generation BETWEEN 0 AND desired_generation", name=op.f("ck_device_object_generation")
        ),
        sa.CheckConstraint("shards >= 0", name=op.f("ck_device_object_shards")),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_device_object_cluster")),
        sa.ForeignKeyConstraint(["device"], ["device.name"], name=op.f("fk_device_object_device")),
        sa.PrimaryKeyConstraint("key", "device", name=op.f("pk_device_object")),
    )
    op.create_index(op.f("ix_device_object_device"), "device_object", ["device"])
    op.create_index(
        "ix_device_object_work",
        "device_object",
        ["device"],
        postgresql_where=sa.text("desired_generation > applied_generation"),
    )
    op.create_table(
        "held_plan",
        sa.Column("device", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.Text(collation="C"), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="held", nullable=False),
        sa.CheckConstraint("state IN ('held', 'released', 'rejected')", name=op.f("ck_held_plan_state")),
        sa.ForeignKeyConstraint(["device"], ["device.name"], name=op.f("fk_held_plan_device")),
        sa.PrimaryKeyConstraint("device", "digest", name=op.f("pk_held_plan")),
    )
    op.create_table(
        "observed",
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("resource", sa.Text(collation="C"), nullable=False),
        sa.Column("namespace", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("resource_version", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_observed_cluster")),
        sa.PrimaryKeyConstraint("cluster", "resource", "namespace", "name", name=op.f("pk_observed")),
    )
    op.create_table(
        "policy_object",
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("namespace", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("accepted", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_policy_object_cluster")),
        sa.PrimaryKeyConstraint("cluster", "kind", "namespace", "name", name=op.f("pk_policy_object")),
    )
