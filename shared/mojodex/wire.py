"""pg8000's connection, with one round trip for a statement instead of three.

pg8000 waits for PostgreSQL after each of Parse, Describe and Execute, and walks over a statement's text
letter by letter each time that it runs. Together that was a third of the processor time of a job.
Statements stay unnamed: a named one would pin the connection behind RDS Proxy.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pg8000 import legacy
from pg8000.converters import make_params
from pg8000.core import NULL_BYTE, SYNC_MSG, Context, _flush, _write

# More than there are statements in one function.
STATEMENTS_KEPT = 256


@lru_cache(STATEMENTS_KEPT)
def _numbered(style: str, statement: str) -> str:
    numbered: str
    numbered, _ = _convert(style, statement, ())
    return numbered


def _convert_once(style: str, statement: str, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    # As SQLAlchemy writes them: %s for each value. Other styles sort the values, too.
    return (_numbered(style, statement), values) if style == "format" else _convert(style, statement, values)


_convert = legacy.convert_paramstyle
legacy.convert_paramstyle = _convert_once


class Connection(legacy.Connection):  # type: ignore[misc]
    """A connection of pg8000 that sends all messages of a statement at once (PostgreSQL, 54.2.3, extended
    query: after an error the server skips what follows until the Sync).
    """

    def execute_unnamed(
        self, statement: str, vals: Sequence[Any] = (), oids: Sequence[int] = (), stream: Any = None
    ) -> Context:
        """Run one statement; called by pg8000's cursor."""
        context = Context(statement, stream=stream)
        self.send_PARSE(NULL_BYTE, statement, oids)
        self.send_DESCRIBE_STATEMENT(NULL_BYTE)
        self.send_BIND(NULL_BYTE, make_params(self.py_types, vals))
        self.send_EXECUTE()
        _write(self._sock, SYNC_MSG)
        _flush(self._sock)
        self.handle_messages(context)
        return context
