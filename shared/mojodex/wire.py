"""A pg8000 connection that runs a statement in one round trip instead of three.

pg8000 waits for PostgreSQL after each of Parse, Describe and Execute, and translates the placeholders of a
statement letter by letter at each run. Together, that took a third of a job's processor time.
Statements stay unnamed, because a named one would pin the connection behind RDS Proxy.

Other pg8000 connections in the same process are not affected.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pg8000 import legacy
from pg8000.converters import make_params
from pg8000.core import NULL_BYTE, SYNC_MSG, Context, _flush, _write

# More than the statements of any function.
STATEMENTS_KEPT = 256


@lru_cache(STATEMENTS_KEPT)
def numbered(statement: str) -> str:
    """Return the statement with `$1, $2, …` in place of each `%s`."""
    translated: str
    translated, _ = legacy.convert_paramstyle("format", statement, ())
    return translated


class Cursor(legacy.Cursor):  # type: ignore[misc]
    """A cursor that translates each statement once; placeholders are `%s`, as SQLAlchemy writes them."""

    def execute(self, operation: Any, args: Sequence[Any] = (), stream: Any = None) -> "Cursor":
        """Run one statement; arguments and errors are those of pg8000's cursor."""
        if args and stream is None:
            # pg8000's cursor translates only a statement with arguments. It passes this tuple on unchanged.
            operation, args = (numbered(operation), args, self._input_oids), ()
        super().execute(operation, args, stream)
        return self


class Connection(legacy.Connection):  # type: ignore[misc]
    """A connection that sends all messages of a statement at once.

    PostgreSQL allows it (protocol, extended query): after an error it skips messages until the Sync.
    """

    def cursor(self) -> Cursor:
        """Make a cursor."""
        return Cursor(self, paramstyle="format")

    def execute_simple(self, statement: Any) -> Context:
        """Run a statement without values, or a tuple from `Cursor`: statement, values, types."""
        if isinstance(statement, tuple):
            return self.execute_unnamed(*statement)
        return super().execute_simple(statement)

    def execute_unnamed(
        self, statement: str, vals: Sequence[Any] = (), oids: Sequence[int] = (), stream: Any = None
    ) -> Context:
        """Run one statement in one round trip."""
        context = Context(statement, stream=stream)
        self.send_PARSE(NULL_BYTE, statement, oids)
        self.send_DESCRIBE_STATEMENT(NULL_BYTE)
        self.send_BIND(NULL_BYTE, make_params(self.py_types, vals))
        self.send_EXECUTE()
        _write(self._sock, SYNC_MSG)
        _flush(self._sock)
        self.handle_messages(context)
        return context
