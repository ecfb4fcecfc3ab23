"""A revision as people write it, for mypy: the typed functions know every argument and policy."""

from truing.online import ops


def upgrade() -> None:
    ops.convert_column_online(
        "profiles",
        "tenant_id",
        "uuid",
        references="tenants.id",
        nullable=False,
        dirty={"null": "sentinel", "orphan": "fail"},
    )
    ops.convert_column_online("profiles", "tenant_id", 3)  # type: ignore[arg-type]
    ops.add_foreign_key_online("a", ["b"], "c", ["d"], orphans="nonsense")  # type: ignore[arg-type]
    ops.set_not_null_online("a", "b", nulls={"value": "0"})
    ops.create_index_online("ix", "a")  # type: ignore[call-arg]


def downgrade() -> None:
    ops.revert_column_online("profiles", "tenant_id")
