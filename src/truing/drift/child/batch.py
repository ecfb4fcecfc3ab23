"""How is a thousand tables created without waiting three thousand times? Many statements go to the server at once.

In: an engine whose connections are about to run DDL. Out: the same statements, in the same order and transaction; what
is no DDL, and so may look at what was made, waits until all before it has been run.

The statements travel inside a ``DO`` block and not just one after the other: at the end of every statement that a
client sends, the server goes through all the locks of the transaction, and a ``create_all`` holds one for each
relation. So 4,000 tables take half the time, and the time grows with their number and not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from sqlalchemy import Connection, event

from truing.names import literal

_MOST: Final = 200
"""How many statements travel together."""


@contextmanager
def batched(connection: Connection) -> Iterator[None]:
    """Send the DDL of a ``with`` block in batches; the last one goes at its end.

    Args:
        connection: in a transaction; nothing else uses its engine meanwhile.

    Raises:
        psycopg.Error: the server refuses a statement, at the latest at the end of the block.
        SQLAlchemyError: the same, where it is noticed within.
    """
    held: list[str] = []

    def send(cursor: Any) -> None:
        if held:
            statements = "\n;\n".join(held)  # a statement may end in a comment
            held.clear()
            cursor.execute(f"DO {literal(f'BEGIN EXECUTE {literal(statements)}; END')}")

    def hold(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        # A per cent sign is written twice for the driver, if there are parameters; let it see to that.
        if context.isddl and not parameters and "%" not in statement:
            held.append(statement)
            if len(held) >= _MOST:
                send(cursor)
            return True
        send(cursor)
        return False

    def hold_plain(cursor: Any, statement: str, context: Any) -> bool:
        return hold(cursor, statement, None, context)

    engine = connection.engine
    event.listen(engine, "do_execute", hold)
    event.listen(engine, "do_execute_no_params", hold_plain)
    try:
        yield
        with closing(connection.connection.cursor()) as cursor:
            send(cursor)
    finally:
        event.remove(engine, "do_execute", hold)
        event.remove(engine, "do_execute_no_params", hold_plain)
