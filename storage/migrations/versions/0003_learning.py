"""Nights, adapters, and what each adapter learned from."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "night",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("claimed_by", sa.String(length=200), nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat", sa.DateTime(timezone=True), nullable=True),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("data_summary", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("gate", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_night"),
        sa.UniqueConstraint("name", name="uq_night_name"),
    )

    op.create_table(
        "adapter",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("night_id", sa.String(length=40), nullable=True),
        sa.Column("path", sa.String(length=1000), nullable=False),
        sa.Column("parent_id", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("promoted", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["night_id"], ["night.id"], name="fk_adapter_night_id_night"),
        sa.ForeignKeyConstraint(["parent_id"], ["adapter.id"], name="fk_adapter_parent_id_adapter"),
        sa.PrimaryKeyConstraint("id", name="pk_adapter"),
        sa.UniqueConstraint("path", name="uq_adapter_path"),
    )
    op.create_index("ix_adapter_night_id", "adapter", ["night_id"])
    op.create_index("ix_adapter_parent_id", "adapter", ["parent_id"])
    op.create_index(
        "uq_adapter_live",
        "adapter",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'live'"),
        postgresql_where=sa.text("state = 'live'"),
    )

    op.create_table(
        "adapter_source",
        sa.Column("adapter_id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["adapter_id"], ["adapter.id"], name="fk_adapter_source_adapter_id_adapter"),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_adapter_source_conversation_id_conversation"
        ),
        sa.PrimaryKeyConstraint("adapter_id", "conversation_id", name="pk_adapter_source"),
    )
    op.create_index("ix_adapter_source_conversation_id", "adapter_source", ["conversation_id"])


def downgrade() -> None:
    op.drop_table("adapter_source")
    op.drop_table("adapter")
    op.drop_table("night")
