"""Evidence: placements, what was told to people, the audit chain, kept reports, history by the month."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
stage = "pre"


def upgrade() -> None:
    """Add what feedback, reports, attribution and audit need; nothing recorded is lost."""
    _told()
    _watched()
    _versions()
    _names()
    _audit()
    _reports()
    for table in ("lease", "member"):
        _by_month(table)
    for part in ("lease_open", "lease_closed"):
        op.execute(f"CREATE INDEX ix_{part}_pod ON {part} (hashtextextended(namespace || '/' || pod, 0), t2)")
        op.execute(f"CREATE INDEX ix_{part}_uid ON {part} (hashtextextended(uid, 0))")


def _told() -> None:
    op.add_column("cluster", sa.Column("policy_revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("device", sa.Column("mode", sa.Text(), server_default="apply", nullable=False))
    op.add_column("device", sa.Column("attach_by", sa.JSON(none_as_null=True), nullable=True))
    op.add_column(
        "device", sa.Column("standing_revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index(
        "ix_device_object_awaiting", "device_object", ["device"], postgresql_where=sa.text("state = 'AwaitingDeploy'")
    )
    op.create_check_constraint(op.f("ck_device_mode"), "device", "mode IN ('apply', 'plan')")
    op.create_table(
        "placement",
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("namespace", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("device", sa.Text(collation="C"), nullable=False),
        sa.Column("keys", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("tier", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_placement_cluster")),
        sa.PrimaryKeyConstraint("cluster", "kind", "namespace", "name", "device", name=op.f("pk_placement")),
    )
    op.create_table(
        "feedback",
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("namespace", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_feedback_cluster")),
        sa.PrimaryKeyConstraint("cluster", "kind", "namespace", "name", name=op.f("pk_feedback")),
    )


def _watched() -> None:
    op.add_column("cluster", sa.Column("watched_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cluster", sa.Column("kept_from", sa.DateTime(timezone=True), nullable=True))
    # What was pruned so far ended before anything that is left; where nothing has ended yet, nothing more can be told.
    op.execute("""
        UPDATE cluster SET watched_at = changed_at,
            kept_from = coalesce((SELECT min(t2) FROM lease_closed WHERE cluster = cluster.name), now())
        WHERE changed_at IS NOT NULL""")
    op.create_table(
        "outage",
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("t2", sa.DateTime(timezone=True), nullable=False),
        sa.Column("t1", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("t1 <= t2", name=op.f("ck_outage_order")),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_outage_cluster")),
        sa.PrimaryKeyConstraint("cluster", "t2", name=op.f("pk_outage")),
    )


def _versions() -> None:
    """What is in force now is known since it was judged, namespaces since the cluster was last heard of."""
    op.add_column("cluster", sa.Column("versions_from", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "version",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("namespace", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("t1", sa.DateTime(timezone=True), nullable=False),
        sa.Column("t2", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.CheckConstraint("t1 <= t2", name=op.f("ck_version_order")),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_version_cluster")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version")),
    )
    op.create_index(
        "ix_version_open",
        "version",
        ["cluster", "kind", "namespace", "name"],
        unique=True,
        postgresql_where=sa.text("t2 IS NULL"),
    )
    op.create_index(op.f("ix_version_cluster_namespace_t2"), "version", ["cluster", "namespace", "t2"])
    op.execute("""
        INSERT INTO version (cluster, kind, namespace, name, t1, body)
        SELECT cluster, kind, namespace, name, changed_at, accepted FROM policy_object WHERE accepted IS NOT NULL""")
    op.execute("""
        INSERT INTO version (cluster, kind, namespace, name, t1, body)
        SELECT o.cluster, 'Namespace', '', o.name, c.changed_at, o.body FROM observed o JOIN cluster c ON c.name = o.cluster
        WHERE o.resource = 'namespaces' AND c.changed_at IS NOT NULL""")
    op.execute("""
        INSERT INTO version (cluster, kind, namespace, name, t1, body)
        SELECT g.cluster, 'group', split_part(g.key, '/', 3), g.key, c.changed_at, 'true' FROM address_group g
        JOIN cluster c ON c.name = g.cluster WHERE NOT g.gone AND c.changed_at IS NOT NULL""")


def _names() -> None:
    op.create_table(
        "name",
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("cut", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("dropped", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_name_cluster")),
        sa.PrimaryKeyConstraint("cluster", "name", name=op.f("pk_name")),
    )
    op.create_table(
        "name_address",
        sa.Column("cluster", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("address", postgresql.INET(), nullable=False),
        sa.Column("t2", sa.DateTime(timezone=True), nullable=False),
        sa.Column("t1", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("t1 <= t2", name=op.f("ck_name_address_order")),
        sa.ForeignKeyConstraint(["cluster"], ["cluster.name"], name=op.f("fk_name_address_cluster")),
        sa.PrimaryKeyConstraint("cluster", "name", "address", "t2", name=op.f("pk_name_address")),
    )
    op.create_index(op.f("ix_name_address_address_t2"), "name_address", ["address", "t2"])
    op.create_index(op.f("ix_name_address_t2"), "name_address", ["t2"])


def _audit() -> None:
    op.add_column("device", sa.Column("audit_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("device", sa.Column("audit_head", sa.Text(), server_default="", nullable=False))
    op.add_column("audit", sa.Column("number", sa.BigInteger(), nullable=True))
    op.add_column("audit", sa.Column("hash", sa.Text(), server_default="", nullable=False))
    op.add_column("audit", sa.Column("lag", sa.Double(), nullable=True))
    op.create_table(
        "audit_checkpoint",
        sa.Column("device", sa.Text(collation="C"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("device", "number", name=op.f("pk_audit_checkpoint")),
    )
    op.create_table(
        "verified",
        sa.Column("device", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("device", "key", name=op.f("pk_verified")),
    )
    # Rows from before the chain keep their place; the chain begins after them.
    op.execute("""
        UPDATE audit SET number = x.number
        FROM (SELECT id, row_number() OVER (PARTITION BY device ORDER BY id) AS number FROM audit) x WHERE x.id = audit.id""")
    op.execute("""
        INSERT INTO audit_checkpoint (device, number, hash, until, at)
        SELECT device, max(number), '', max(at), now() FROM audit GROUP BY device""")
    op.execute("""
        UPDATE device SET audit_number = x.number FROM (SELECT device, max(number) AS number FROM audit GROUP BY device) x
        WHERE x.device = device.name""")
    op.alter_column("audit", "number", nullable=False)
    op.drop_index(op.f("ix_audit_device_id"), "audit")
    op.create_index(op.f("ix_audit_device_number"), "audit", ["device", "number"], unique=True)
    op.create_index(op.f("ix_audit_key_id"), "audit", ["key", "id"])


def _reports() -> None:
    op.add_column("report", sa.Column("origin", sa.Text(), server_default="asked", nullable=False))
    op.add_column("report", sa.Column("slot", sa.DateTime(timezone=True), nullable=True))
    op.add_column("report", sa.Column("summary", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    op.create_check_constraint(op.f("ck_report_origin"), "report", "origin IN ('asked', 'scheduled')")
    op.create_unique_constraint(op.f("uq_report_slot"), "report", ["slot"])
    op.create_index(op.f("ix_report_at"), "report", ["at"])


def _by_month(table: str) -> None:
    """What has ended is kept in a partition for each month. What ended until now stays where it is, as the first of them."""
    closed = f"{table}_closed"
    op.execute(f"ALTER TABLE {table} DETACH PARTITION {closed}")
    op.execute(f"DROP INDEX ix_{closed}_t2")
    op.execute(f"ALTER TABLE {closed} RENAME TO {closed}_before")
    for name in op.get_bind().execute(sa.text(_INDEXES), {"table": f"{closed}_before"}).scalars().all():
        op.execute(f"ALTER INDEX {name} RENAME TO {name}_before")
    op.execute(
        f"CREATE TABLE {closed} PARTITION OF {table} FOR VALUES FROM (MINVALUE) TO ('infinity') PARTITION BY RANGE (t2)"
    )
    op.execute(f"CREATE TABLE {closed}_rest PARTITION OF {closed} DEFAULT")
    if op.get_bind().execute(sa.text(f"SELECT FROM {closed}_before LIMIT 1")).first() is None:
        op.execute(f"DROP TABLE {closed}_before")
        return
    # Up to the end of the month of the last row: from then on there is a partition for each month. Months are counted in UTC, wherever
    # the database believes to be.
    month = "date_trunc('month', max(t2) AT TIME ZONE 'UTC')"
    until = op.get_bind().scalar(
        sa.text(f"SELECT ({month} + interval '1 month') AT TIME ZONE 'UTC' FROM {closed}_before")  # noqa: S608
    )
    op.execute(
        f"ALTER TABLE {closed} ATTACH PARTITION {closed}_before FOR VALUES FROM (MINVALUE) TO ('{until.isoformat()}')"
    )


_INDEXES = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = CAST(:table AS regclass)"
