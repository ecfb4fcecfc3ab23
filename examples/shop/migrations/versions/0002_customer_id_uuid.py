"""Make orders.customer_id a uuid that refers to a customer."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.convert_column_online("orders", "customer_id", "uuid", references="customers.id", dirty="null")
    op.create_index_online("ix_orders_customer_id", "orders", ["customer_id"])
    op.add_foreign_key_online(
        "orders", ["customer_id"], "customers", ["id"], name="fk_orders_customer", ondelete="SET NULL", orphans="null"
    )


def downgrade():
    op.drop_foreign_key_online("orders", "fk_orders_customer")
    op.drop_index_online("ix_orders_customer_id", "orders")
    op.revert_column_online("orders", "customer_id")
