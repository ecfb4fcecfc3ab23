"""The phone of a customer."""

import sqlalchemy as sa
from alembic import op

revision = "0002_phone"
down_revision = "0001"


def upgrade():
    op.add_column("customers", sa.Column("phone", sa.Text))


def downgrade():
    op.drop_column("customers", "phone")
