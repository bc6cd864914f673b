"""People, conversations, turns with all that was weighed, and which keys wrote the text."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_key",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("emptied_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_data_key"),
    )

    op.create_table(
        "user",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("handle", sa.String(length=64), nullable=True),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("adult", sa.Boolean(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_user"),
        sa.UniqueConstraint("handle", name="uq_user_handle"),
    )

    op.create_table(
        "consent",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_consent_user_id_user"),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
    )
    op.create_index("ix_consent_user_id", "consent", ["user_id"])
    op.create_index(
        "uq_consent_in_force",
        "consent",
        ["user_id", "purpose"],
        unique=True,
        sqlite_where=sa.text("withdrawn_at IS NULL"),
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )

    op.create_table(
        "conversation",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("title", sa.LargeBinary(), nullable=True),
        sa.Column("persona", sa.LargeBinary(), nullable=True),
        sa.Column("scenario", sa.LargeBinary(), nullable=True),
        sa.Column("temporary", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_active", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_conversation_user_id_user"),
        sa.PrimaryKeyConstraint("id", name="pk_conversation"),
    )
    op.create_index("ix_conversation_last_active", "conversation", ["last_active"])
    op.create_index("ix_conversation_user_id_last_active", "conversation", ["user_id", "last_active"])

    op.create_table(
        "message",
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_message_conversation_id_conversation"
        ),
        sa.PrimaryKeyConstraint("conversation_id", "seq", name="pk_message"),
        sa.UniqueConstraint("id", name="uq_message_id"),
        sa.UniqueConstraint("conversation_id", "client_id", name="uq_message_conversation_id_client_id"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "turn",
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("reply_id", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("degraded", sa.String(length=200), nullable=True),
        sa.Column("chosen", sa.BigInteger(), nullable=True),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("timings", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_turn_conversation_id_conversation"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_turn_message_id_message"),
        sa.ForeignKeyConstraint(["reply_id"], ["message.id"], name="fk_turn_reply_id_message"),
        sa.PrimaryKeyConstraint("conversation_id", "id", name="pk_turn"),
        sa.UniqueConstraint("id", name="uq_turn_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_turn_message_id", "turn", ["message_id"])
    op.create_index(
        "ix_turn_pending",
        "turn",
        ["created"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )

    op.create_table(
        "candidate",
        sa.Column("turn_id", sa.String(length=40), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("analysis", sa.LargeBinary(), nullable=True),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("format_ok", sa.Boolean(), nullable=False),
        sa.Column("safety", sa.String(length=40), nullable=True),
        sa.Column("reward", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["turn_id"], ["turn.id"], name="fk_candidate_turn_id_turn"),
        sa.PrimaryKeyConstraint("turn_id", "index", name="pk_candidate"),
    )

    op.create_table(
        "judgement",
        sa.Column("turn_id", sa.String(length=40), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("perspective", sa.String(length=40), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("rationale", sa.LargeBinary(), nullable=True),
        sa.Column("judge", sa.String(length=100), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["turn_id", "index"], ["candidate.turn_id", "candidate.index"], name="fk_judgement_turn_id_index_candidate"
        ),
        sa.PrimaryKeyConstraint("turn_id", "index", "perspective", name="pk_judgement"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "feedback",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("turn_id", sa.String(length=40), nullable=True),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=True),
        sa.Column("text", sa.LargeBinary(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name="fk_feedback_conversation_id_conversation"
        ),
        sa.ForeignKeyConstraint(["turn_id"], ["turn.id"], name="fk_feedback_turn_id_turn"),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_feedback_user_id_user"),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_conversation_id", "feedback", ["conversation_id"])
    op.create_index("ix_feedback_turn_id", "feedback", ["turn_id"])
    op.create_index("ix_feedback_user_id", "feedback", ["user_id"])


def downgrade() -> None:
    op.drop_table("feedback")
    op.drop_table("judgement")
    op.drop_table("candidate")
    op.drop_table("turn")
    op.drop_table("message")
    op.drop_table("conversation")
    op.drop_table("consent")
    op.drop_table("user")
    op.drop_table("data_key")
