"""Flags, their reviews, and the audit chain."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flag",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("turn_id", sa.String(length=40), nullable=True),
        sa.Column("tier", sa.String(length=40), nullable=False),
        sa.Column("category", sa.String(length=40), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("assignee_id", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["assignee_id"], ["user.id"], name="fk_flag_assignee_id_user"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_flag_conversation_id_conversation"),
        sa.ForeignKeyConstraint(["turn_id"], ["turn.id"], name="fk_flag_turn_id_turn"),
        sa.PrimaryKeyConstraint("id", name="pk_flag"),
    )
    op.create_index("ix_flag_assignee_id", "flag", ["assignee_id"])
    op.create_index("ix_flag_conversation_id", "flag", ["conversation_id"])
    op.create_index("ix_flag_state_due_at", "flag", ["state", "due_at"])
    op.create_index("ix_flag_turn_id", "flag", ["turn_id"])

    op.create_table(
        "review",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("flag_id", sa.String(length=40), nullable=False),
        sa.Column("operator_id", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["flag_id"], ["flag.id"], name="fk_review_flag_id_flag"),
        sa.ForeignKeyConstraint(["operator_id"], ["user.id"], name="fk_review_operator_id_user"),
        sa.PrimaryKeyConstraint("id", name="pk_review"),
    )
    op.create_index("ix_review_flag_id", "review", ["flag_id"])
    op.create_index("ix_review_operator_id", "review", ["operator_id"])

    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.String(length=2000), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )

    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])


def downgrade() -> None:
    op.drop_table("audit_head")
    op.drop_table("audit")
    op.drop_table("review")
    op.drop_table("flag")
