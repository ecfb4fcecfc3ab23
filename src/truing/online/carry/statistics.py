"""How are extended statistics carried? A twin is made beforehand, so that ANALYZE fills it; the swap renames."""

from __future__ import annotations

from truing.catalog.model import Statistic
from truing.locks import LockMode
from truing.names import QualifiedName, ident, literal
from truing.online.carry import statements
from truing.online.carry.model import Carried, Part
from truing.online.carry.rewrite import Rewriter
from truing.online.carry.scope import Changed
from truing.online.carry.target import Target, comment_on
from truing.plan import Step


def carry_statistics(target: Target, statistic: Statistic, current_role: str) -> Part:
    """Carry an extended statistics object."""
    name = statistic.name
    old = QualifiedName(name.schema, target.old_name(name.name))
    new = QualifiedName(name.schema, target.new_name(name.name))

    def make(called: QualifiedName, rewriter: Rewriter, changed: Changed, which: str) -> Step:
        create = statements.statistics(
            rewriter, statistic.definition, table=target.table, name=called, column=target.column, changed=changed
        )
        about = [create, *comment_on(f"STATISTICS {called.sql}", statistic.comment)]
        if statistic.target is not None and statistic.target >= 0:
            about.append(f"ALTER STATISTICS {called.sql} SET STATISTICS {statistic.target}")
        if statistic.owner != current_role:
            about.append(f"ALTER STATISTICS {called.sql} OWNER TO {ident(statistic.owner)}")
        title = f"Make the statistics {name.name} on the {which} column"
        mode, probe = LockMode.SHARE_UPDATE_EXCLUSIVE, _exists(called)
        return target.locked(f"make-{called.name}", title, *about, mode=mode, probe=probe)

    drop = target.locked(
        f"drop-statistics-{new.name}",
        f"Drop the statistics {name.name} of the new column",
        f"DROP STATISTICS IF EXISTS {new.sql}",
        mode=LockMode.SHARE_UPDATE_EXCLUSIVE,
    )
    definition = new_definition(target, statistic, name, target.table)
    return Part(
        before=(make(new, target.before(), target.on_new, "new"),),
        swap=(_rename(name, old), _rename(new, name)),
        rebuild_old=(make(old, target.on_old(), target.on_old_column, "old"),),
        unswap=(_rename(name, new), _rename(old, name)),
        after_unswap=(drop,),
        carried=(
            Carried("statistics", name.sql, "a twin is made beforehand; the swap exchanges the names", definition),
        ),
    )


def new_definition(target: Target, statistic: Statistic, name: QualifiedName, table: QualifiedName) -> str:
    """Return how the statistics are defined after the swap, under a name and on a table."""
    return statements.statistics(
        target.after(),
        statistic.definition,
        table=target.table,
        name=name,
        column=target.column,
        changed=target.changed,
        on=table,
    )


def _rename(was: QualifiedName, becomes: QualifiedName) -> str:
    return f"ALTER STATISTICS {was.sql} RENAME TO {ident(becomes.name)}"


def _exists(name: QualifiedName) -> str:
    return (
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n"
        f" ON n.oid = s.stxnamespace WHERE s.stxname = {literal(name.name)} AND n.nspname = {literal(name.schema)})"
    )
