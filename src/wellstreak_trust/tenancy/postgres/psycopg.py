"""BEGIN and the settings in one message, where psycopg would send two and wait twice.

psycopg sends its own BEGIN before the first statement, unless the session is in a transaction already. So the settings
travel behind a BEGIN of ours: one round trip of two. Where anything about the connection asks for another BEGIN than
the plain one, it is left to psycopg. `generators.execute` is not documented, but it is what psycopg itself waits with;
`Connection.pgconn` alone would block without heeding signals and cooperative schedulers. A test watches the wire.
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import Connection, generators
from psycopg.pq import Escaping, ExecStatus, PipelineStatus, TransactionStatus

__all__ = ["begun"]


def begun(driver: object, settings: Mapping[str, str]) -> bool:
    """Begins a transaction that holds `settings`; False, and nothing sent, where psycopg must begin it itself.

    Raises:
        psycopg.Error: the connection is lost, or a value cannot be sent.
    """
    if not isinstance(driver, Connection):
        return False
    server = driver.pgconn
    if any("\0" in value for value in settings.values()):
        return False  # libpq would cut the value there, and make one tenant of two; as a parameter it is refused
    special = (driver.isolation_level, driver.read_only, driver.deferrable) != (None, None, None)
    if special or server.transaction_status != TransactionStatus.IDLE or server.pipeline_status != PipelineStatus.OFF:
        return False
    encoding = driver.info.encoding
    escape = Escaping(server).escape_literal
    calls = [b"set_config(%s, %s, true)" % (escape(name.encode()), escape(value.encode(encoding)))
             for name, value in settings.items()]  # fmt: skip
    server.send_query(b"BEGIN; SELECT " + b", ".join(calls))
    results = driver.wait(generators.execute(server))
    return bool(results) and results[-1].status == ExecStatus.TUPLES_OK
