"""Customers and their orders."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "customers",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("E-mail", sa.Text, nullable=False, unique=True),
        schema="Billing",
    )
    op.create_table(
        "order",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column(
            "customer_id", sa.BigInteger, sa.ForeignKey("Billing.customers.id", ondelete="CASCADE"), nullable=False
        ),
        schema="Billing",
    )
    op.create_index("ix_Billing_order_customer_id", "order", ["customer_id"], schema="Billing")


def downgrade():
    op.drop_table("order", schema="Billing")
    op.drop_table("customers", schema="Billing")
