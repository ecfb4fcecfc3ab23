"""A customer may have no address yet."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade():
    op.alter_column("customers", "email", server_default="nobody")


def downgrade():
    pass
