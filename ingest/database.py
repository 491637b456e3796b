"""Where a manifest lives: a SQLite file, or a PostgreSQL database that many machines write.

Writing is done in transactions one after the other in both: SQLite takes its write lock at their beginning, and in
PostgreSQL a lock of the same meaning is taken. So what one of them reads no other changes before it is written.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Double,
    Engine,
    Executable,
    StaticPool,
    cast,
    create_engine,
    extract,
    func,
    literal,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, StatementError
from sqlalchemy.schema import CreateTable

from ingest.schema import COMPARED, COMPARED_VIDEOS, LEASES, MATCHES, TABLES

_SCHEMA_VERSION = 2
_YOUNGER = (COMPARED, LEASES, MATCHES, COMPARED_VIDEOS)
"""Tables that manifests of this version were made without."""
_LET_GO = "let what reads or writes it end, then run the same command again"
_DRIVER = "postgresql+pg8000"
_LOCK = 0x6F7068636C6970
"""Any number, the same for all who write manifests."""
_SERVER_FAULTS = ("08", "25006", "28", "3D", "53", "57", "58")
"""How codes of PostgreSQL begin that are not this program's fault: connection, read-only, login, no such database,
resources, operator, system."""


def is_address(place: Path | str) -> bool:
    """Whether a manifest lies in a database server and not in a file."""
    return isinstance(place, str) and "://" in place


def plain_address(address: str) -> str:
    """An address without its password. Raises ValueError in one line if it is none of PostgreSQL."""
    return _url(address)._replace(password=None).render_as_string()


def _url(address: str) -> URL:
    expected = f"manifest: {_DRIVER}://USER@HOST/DATABASE expected, its password in PGPASSWORD"
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise ValueError(f"{expected}, something else given") from error  # which may hold a password
    if url.drivername not in (_DRIVER, "postgresql") or "password" in url.query:
        raise ValueError(f"{expected}, {url.drivername} given")
    password = url.password or os.environ.get("PGPASSWORD")
    return url.set(drivername=_DRIVER, password=password)


class Database:
    """One open manifest, as statements see it. Errors are those of its driver; a server's fault is a ValueError."""

    def __init__(self, place: Path | str, *, read_only: bool = False) -> None:
        """Open or make it. Raises ValueError in one line if it is no manifest of this version."""
        self._server = is_address(place)
        self._name = plain_address(str(place)) if self._server else str(place)
        self._begin = f"SELECT pg_advisory_xact_lock({_LOCK})" if self._server else "BEGIN IMMEDIATE"
        self._engine = _server_engine(str(place), read_only) if self._server else _file_engine(Path(place), read_only)
        self._autocommit = (
            self._engine.execution_options(isolation_level="AUTOCOMMIT") if self._server else self._engine
        )
        try:
            if read_only:
                self._require_version()
            else:
                self._prepare()
        except Exception as error:
            self.close()
            if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.OperationalError):
                raise  # the disk's fault, not the file's
            raise ValueError(
                f"{place}: not usable as a manifest ({error}): move it away or choose another corpus"
            ) from error

    def close(self) -> None:
        """Close it; the write-ahead log of a file is folded in."""
        self._engine.dispose()

    def rows(self, query: Executable) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._driver_errors(), self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(query)]

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all that is done with the connection, or nothing where anything is raised."""
        with self._driver_errors(), self._engine.begin() as connection:
            connection.exec_driver_sql(self._begin)
            yield connection

    def wipe(self, deletions: Sequence[Executable]) -> None:
        """Delete so that none of the bytes are left in the tables, nor in the log of a file; a server keeps its own.

        Raises ValueError in one line if another process reads the file, so that its log cannot be emptied.
        """
        try:
            with self._driver_errors(), self._autocommit.connect() as connection:
                if not self._server:
                    connection.exec_driver_sql("PRAGMA secure_delete=ON")
            with self.writing() as connection:
                for statement in deletions:
                    connection.execute(statement)
            with self._driver_errors(), self._autocommit.connect() as connection:
                if self._server:
                    connection.exec_driver_sql("ROLLBACK")  # of what the pool asked to see whether it is alive
                connection.exec_driver_sql("VACUUM FULL" if self._server else "VACUUM")
                busy = 0 if self._server else connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar()
        except sqlite3.OperationalError as error:
            raise ValueError(f"{self._name}: cannot be emptied ({error}); {_LET_GO}") from error
        if busy:
            raise ValueError(f"{self._name}: in use by another process; {_LET_GO}")

    def now(self) -> ColumnElement[float]:
        """Seconds by the one clock that all who write it share: the server's, or this machine's."""
        if self._server:
            return cast(extract("epoch", func.clock_timestamp()), Double)
        return literal(time.time(), Double)

    def _prepare(self) -> None:
        if self._server:
            with self.writing() as connection:
                _make(connection)
                connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER)")
                given = text(
                    "INSERT INTO schema_version SELECT :version WHERE NOT EXISTS (SELECT 1 FROM schema_version)"
                )
                connection.execute(given, {"version": _SCHEMA_VERSION})
            self._require_version()
            return
        version = self._require_version(0)
        with self._driver_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("PRAGMA synchronous=FULL")
        if version == 0:
            with self.writing() as connection:
                _make(connection)
                connection.exec_driver_sql(f"PRAGMA user_version={_SCHEMA_VERSION}")
        with self._driver_errors(), self._engine.connect() as connection:
            for table in _YOUNGER:
                connection.execute(CreateTable(table, if_not_exists=True))

    def _require_version(self, *others: int) -> int:
        query = "SELECT version FROM schema_version" if self._server else "PRAGMA user_version"
        version = int(self.rows(text(query))[0][0])
        if version not in (_SCHEMA_VERSION, *others):
            raise ValueError(f"{self._name}: version {version} found, {_SCHEMA_VERSION} expected: make the corpus anew")
        return version

    @contextmanager
    def _driver_errors(self) -> Iterator[None]:
        try:
            yield
        except StatementError as error:
            if self._server and isinstance(error, DBAPIError) and _servers_fault(error):
                raise ValueError(
                    f"{self._name}: the manifest's server cannot be used ({_reason(error)}): mend that, then run the "
                    "same command again; what is done is kept"
                ) from None  # the driver's own words may hold what it was given
            raise error.orig or error from error


def _make(connection: Connection) -> None:
    for table in TABLES.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))


def _file_engine(path: Path, read_only: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        # Where no ingest keeps a log beside the file it does not change, and SQLite need not write there either.
        logged = path.with_name(f"{path.name}-wal").exists()
        reading = "mode=ro" if logged else "mode=ro&immutable=1"
        place = f"{path.absolute().as_uri()}?{reading}" if read_only else str(path)
        return sqlite3.connect(place, timeout=30.0, isolation_level=None, uri=read_only)

    return create_engine("sqlite://", creator=connect, poolclass=StaticPool)


def _server_engine(address: str, read_only: bool) -> Engine:
    options = {"postgresql_readonly": True} if read_only else {}
    try:
        return create_engine(_url(address), pool_pre_ping=True, execution_options=options, hide_parameters=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ValueError("manifest: pg8000 is not installed: pip install 'ophclip[postgres]'") from error


def _facts(error: DBAPIError) -> dict[str, str]:
    """What PostgreSQL said, by its letters; nothing if it said nothing."""
    said = error.orig.args[0] if error.orig is not None and error.orig.args else {}
    return said if isinstance(said, dict) else {}


def _servers_fault(error: DBAPIError) -> bool:
    return _facts(error).get("C", "08").startswith(_SERVER_FAULTS)


def _reason(error: DBAPIError) -> str:
    return _facts(error).get("M") or f"{type(error.orig).__name__}: {' '.join(str(error.orig).split())}"
