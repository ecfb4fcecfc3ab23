"""Invoices."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.create_table(
        "invoices",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), nullable=False),
        sa.Column(
            "state", sa.Enum("draft", "sent", "paid", name="invoice_state"), nullable=False, server_default="draft"
        ),
    )
    op.create_index("ix_invoices_customer_id", "invoices", ["customer_id"])


def downgrade():
    op.drop_table("invoices")
