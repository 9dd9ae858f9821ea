"""The database that collected ratings are kept in: its tables, how it is opened, what can go wrong."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Double,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from recommender.errors import ConfigurationError, RatingStoreError, StoreFullError

SCHEMA_VERSION: Final = 1
LONGEST_KEY: Final = 128
"""Characters of an idempotency key."""

_METADATA: Final = MetaData()

_SCHEMA: Final = Table("rating_store_schema", _METADATA, Column("version", Integer, primary_key=True))

VERSIONS: Final = Table(
    "rating_versions",
    _METADATA,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""How often each user's ratings changed. Whoever changes them locks this row first."""

RATINGS: Final = Table(
    "collected_ratings",
    _METADATA,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("movie_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rating", Double),
    Column("timestamp", BigInteger, nullable=False),
    Column("removed", Boolean, nullable=False),
    CheckConstraint("rating IS NOT NULL OR removed", name="rated_or_removed"),
    sqlite_with_rowid=False,
)
"""The last word of each user on each movie. `rating` is missing where the movie was removed and not rated
since; `removed` stays, because what was removed never comes back from the data of a release."""

REQUESTS: Final = Table(
    "rating_requests",
    _METADATA,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("idempotency_key", String(LONGEST_KEY), primary_key=True),
    Column("movie_id", BigInteger, nullable=False),
    Column("asked_rating", Double, nullable=False),
    Column("asked_timestamp", BigInteger),
    Column("rating", Double, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What was asked for under each idempotency key, and what was answered."""

WAIT_S: Final = 5
"""How long anything here waits for its turn."""
_CONNECTIONS: Final = 8
_LOCK: Final = 0x4D415251
"""Any number: the lock under which PostgreSQL lets one process at a time make the tables."""
_CANNOT_BE_WRITTEN: Final = {
    "SQLITE_FULL",
    "SQLITE_IOERR_WRITE",
    "SQLITE_IOERR_SHMSIZE",
    "SQLITE_IOERR_FSYNC",
}
_DISK_FULL: Final = "53100"
_LONGEST_REASON: Final = 300


def open_database(url: str, *, must_exist: bool = False) -> Engine:
    """Open a database of ratings, and make its tables if it is new.

    Args:
        url: `sqlite:///relative/file.db`, `sqlite:////absolute/file.db`, or
            `postgresql+psycopg://user@host/database`.
        must_exist: Make no new tables.

    Raises:
        ConfigurationError: the address is not one of these, or psycopg is missing.
        RatingStoreError: the database cannot be reached or written, is damaged, or is something else.
    """
    parsed = parsed_url(url)
    engine = _engine(parsed)
    name = name_of(engine)
    if must_exist and engine.dialect.name == "sqlite" and not Path(name).is_file():
        raise _missing(name)
    try:
        with told_of(engine), engine.begin() as connection:
            _check(connection, name, must_exist=must_exist)
    except BaseException:
        engine.dispose()
        raise
    return engine


def parsed_url(url: str) -> URL:
    """The parts of a store's address.

    Raises:
        ConfigurationError: it is not an address of a database that can keep ratings.
    """
    # The address itself is not told: there may be a password in it.
    known = "Give sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"The address of the store of ratings cannot be read. {known}") from None
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg"}:
        raise ConfigurationError(f"Ratings cannot be kept in {parsed.drivername[:40]!r}. {known}")
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.database in {None, "", ":memory:"} or parsed.query:
        raise ConfigurationError(f"SQLite keeps ratings in a plain file only. {known}")
    return parsed


def name_of(engine: Engine) -> str:
    """What a person calls a database: its file, or its address without the password."""
    url = engine.url
    return str(url.database) if engine.dialect.name == "sqlite" else shown(url)


def shown(url: URL) -> str:
    """An address that may be read by others."""
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def told_of(engine: Engine) -> Iterator[None]:
    """Say which database it was that failed, and what to do.

    Raises:
        StoreFullError: something could not be written to disk.
        RatingStoreError: anything else that a database can have.
    """
    name = name_of(engine)
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        reason = str(cause).partition("\n")[0][:_LONGEST_REASON]
        code = getattr(cause, "sqlite_errorname", "")
        if code in _CANNOT_BE_WRITTEN or getattr(cause, "sqlstate", None) == _DISK_FULL:
            raise StoreFullError(
                f"{name}: nothing more can be written ({reason}). Make room on its disk; nothing was changed."
            ) from error
        if code in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
            raise _damaged(name, reason) from error
        raise RatingStoreError(
            f"{name}: the store of ratings did not answer ({reason}). Check that it is there, can be "
            "written to and is not kept busy by something else."
        ) from error
    except PoolTimeoutError as error:
        raise busy(engine) from error


def reader_of(engine: Engine) -> sqlite3.Connection | None:
    """A connection for reading, which any thread may use in its turn; None where a server has the ratings.

    It sees whatever is on disk when a statement begins.
    """
    if engine.dialect.name != "sqlite":
        return None
    connection = sqlite3.connect(name_of(engine), WAIT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def busy(engine: Engine) -> RatingStoreError:
    """What is said to whom it took too long until their turn came."""
    return RatingStoreError(
        f"{name_of(engine)}: too many requests wait for the store of ratings. Try again later."
    )


def _engine(url: URL) -> Engine:
    options: dict[str, Any] = {"pool_size": _CONNECTIONS, "max_overflow": 0, "pool_timeout": WAIT_S}
    if url.get_backend_name() == "sqlite":
        file = Path(str(url.database)).absolute()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RatingStoreError(
                f"{file} cannot be made: {error.strerror or error}. Name another file for the ratings."
            ) from error
        engine = create_engine(
            url.set(database=str(file)), connect_args={"timeout": WAIT_S}, hide_parameters=True, **options
        )
        event.listen(engine, "connect", _set_up_sqlite)
        return engine
    # A server that hangs is given up, whatever it hangs at.
    limits = {"connect_timeout": WAIT_S, "tcp_user_timeout": 1000 * WAIT_S}
    if "options" not in url.query:
        limits["options"] = f"-c statement_timeout={1000 * WAIT_S}"  # type: ignore[assignment]
    try:
        return create_engine(url, connect_args=limits, hide_parameters=True, pool_pre_ping=True, **options)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "Keeping ratings in PostgreSQL takes psycopg: pip install 'marquee[postgresql]'."
        ) from error


def _set_up_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    # Readers and a writer side by side; a commit returns once it is on disk.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _check(connection: Connection, name: str, *, must_exist: bool) -> None:
    """Make the tables of a new database, or make sure that they are those of this program."""
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if found != "ok":
            raise _damaged(name, " ".join(str(found).split())[:_LONGEST_REASON])
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        if connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "off":
            raise RatingStoreError(
                f"{name}: synchronous_commit is off, so that a rating could be acknowledged and then lost. "
                "Turn it on for this database or user (ALTER DATABASE ... SET synchronous_commit = on)."
            )
    tables = set(inspect(connection).get_table_names())
    own = tables & set(_METADATA.tables)
    if not own and not (is_sqlite and tables):
        if must_exist:
            raise _missing(name)
        _METADATA.create_all(connection)
        connection.execute(insert(_SCHEMA).values(version=SCHEMA_VERSION))
        return
    remedy = "Name another one for the ratings, or serve with the version of Marquee that wrote it."
    if _SCHEMA.name not in own:
        raise RatingStoreError(
            f"{name} holds other tables ({', '.join(sorted(tables)[:3])}), not ratings that Marquee "
            f"collected. {remedy}"
        )
    versions = connection.execute(select(_SCHEMA.c.version)).scalars().all()
    if list(versions) != [SCHEMA_VERSION]:
        raise RatingStoreError(
            f"{name} has ratings in version {', '.join(map(str, versions)) or 'none'} of the tables; this is "
            f"for version {SCHEMA_VERSION}. {remedy}"
        )
    for table in _METADATA.sorted_tables:
        columns = (
            [column["name"] for column in inspect(connection).get_columns(table.name)]
            if table.name in own
            else []
        )
        if columns != table.columns.keys():
            raise RatingStoreError(
                f"{name}: table {table.name} has the columns {', '.join(columns) or 'none'} instead of "
                f"{', '.join(table.columns.keys())}. {remedy}"
            )


def _missing(name: str) -> RatingStoreError:
    return RatingStoreError(f"{name} holds no ratings. Name the store that a service writes to.")


def _damaged(name: str, reason: str) -> RatingStoreError:
    return RatingStoreError(
        f"{name} is damaged or no database ({reason}). Put a copy of it back, or move it away: a new one is "
        "made then, without the ratings collected so far."
    )
