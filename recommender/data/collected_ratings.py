"""Ratings that the service collected, on their way back into the data: exported, read, merged."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend
from ibis.expr import types as ir

from recommender.data.columns import Columns
from recommender.data.engine import read_table, stored
from recommender.data.files.parquet_files import is_parquet
from recommender.data.files.source_text import unreadable
from recommender.data.output_errors import told_of_output
from recommender.data.rating_database import parsed_url, shown
from recommender.data.rating_store import COLLECTED_SCHEMA, REMOVED, RatingStore
from recommender.data.source_report import CollectedReport
from recommender.errors import DataError

_PAIR: Final = (Columns.USER_ID, Columns.MOVIE_ID)
_LONGEST_REASON: Final = 300
_REMEDY: Final = "Export the ratings again with `marquee data export-ratings`."


def export_ratings(store: RatingStore, file: Path) -> tuple[int, int]:
    """Write everything a store has collected to a file, whole or not at all.

    The columns are `user_id`, `movie_id`, `rating`, `timestamp` and `removed`, the rows sorted by user,
    timestamp and movie. A movie that a user removed and has not rated since has no `rating`.

    Args:
        store: What to export.
        file: `.parquet` or `.csv`.

    Returns:
        How many ratings were written, and how many removals without one.

    Raises:
        DataError: the file has another suffix or cannot be written.
        RatingStoreError: the store did not answer.
    """
    if file.suffix not in {".parquet", ".csv"}:
        raise DataError(f"{file}: give a name that ends in .parquet or .csv.")
    file = file.absolute()
    n_rows = n_ratings = 0
    with told_of_output(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as scratch:
            beside = Path(scratch) / file.name
            with _writer(beside) as writer:
                for batch in store.export():
                    writer.write_batch(batch)
                    n_rows += batch.num_rows
                    n_ratings += batch.num_rows - batch.column(Columns.RATING).null_count
            beside.replace(file)
    return n_ratings, n_rows - n_ratings


@dataclass(frozen=True)
class CollectedRatings:
    """What is to be merged into the ratings of a source."""

    source: str
    """What a person calls it: a file, or an address without a password."""
    table: pa.Table
    """`COLLECTED_SCHEMA`, each pair of user and movie once."""
    sha256: str | None = None
    """Of the file; None for a store."""


def read_collected(collected: str) -> CollectedRatings:
    """Read what a service has collected.

    Args:
        collected: The address of a store, or a file that `export_ratings` wrote.

    Raises:
        DataError: the file cannot be read, or a value does not fit; names file, row, field and value.
        ConfigurationError: the address cannot be used.
        RatingStoreError: there is no such store, or it did not answer.
    """
    if _is_address(collected):
        store = RatingStore.open(collected, must_exist=True)
        try:
            table = pa.Table.from_batches(store.export(), schema=COLLECTED_SCHEMA)
        finally:
            store.close()
        return CollectedRatings(shown(parsed_url(collected)), table)
    file = Path(collected).expanduser().absolute()
    return CollectedRatings(file.name, _read_file(file), _file_sha256(file))


def _file_sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(file, error) from error


def collected_fingerprint(collected: str) -> str:
    """A hash that changes with what was collected.

    Raises:
        DataError: the file cannot be read.
        RatingStoreError: there is no such store, or it did not answer.
    """
    if not _is_address(collected):
        return _file_sha256(Path(collected).expanduser().absolute())
    digest = hashlib.sha256()
    store = RatingStore.open(collected, must_exist=True)
    try:
        for batch in store.export():
            digest.update(batch.serialize())
    finally:
        store.close()
    return digest.hexdigest()


def require_no_password(collected: str) -> None:
    """Refuse an address with a password, because a configuration is kept with every release.

    Raises:
        ConfigurationError: the address cannot be used.
        ValueError: there is a password in it.
    """
    if _is_address(collected):
        url = parsed_url(collected)
        if url.password is not None or "password" in url.query:
            raise ValueError(
                "there is a password in the address, and a configuration is kept with every release: put it "
                "into PGPASSWORD or ~/.pgpass"
            )


def merge_collected(
    engine: SQLBackend,
    ratings: ir.Table,
    collected: CollectedRatings,
    scratch: Path,
    *,
    source_file: int,
    has_timestamps: bool,
) -> tuple[ir.Table, CollectedReport]:
    """Put collected ratings among those of a source.

    Of two ratings of a movie by a user the later one counts, and at the same second, or where the source has
    no times, the collected one. What users removed is gone. Where the source says which part of the split
    ratings belong to, collected ones are of the training part.

    Args:
        engine: What computes.
        ratings: Canonical columns, `source_file`, `source_line` and perhaps `part`.
        collected: What to put among them.
        scratch: Folder for what is on the way.
        source_file: Position of what was collected in the report.
        has_timestamps: Whether the source says when ratings were given.

    Returns:
        The ratings, among which a later one of the source may still stand beside a collected one, and what
        was done.
    """
    staged = scratch / "collected.parquet"
    lines = pa.array(range(1, len(collected.table) + 1), pa.int64())
    pq.write_table(collected.table.append_column(Columns.SOURCE_LINE, lines), staged)
    table = read_table(engine, staged)
    said = table.select(
        said_by=table[Columns.USER_ID],
        said_of=table[Columns.MOVIE_ID],
        said_at=table[Columns.TIMESTAMP],
        is_rating=table[Columns.RATING].notnull(),
        removed=table[REMOVED],
    )
    is_replaced = [ratings[Columns.TIMESTAMP] <= said["said_at"]] if has_timestamps else []
    if Columns.PART in ratings.columns:
        # What a model is judged by stays as it is.
        is_replaced.append(ratings[Columns.PART] == "train")
    gives_way = [
        ratings[Columns.USER_ID] == said["said_by"],
        ratings[Columns.MOVIE_ID] == said["said_of"],
        said["removed"] | ibis.and_(*is_replaced),
    ]
    gone = ratings.inner_join(said, gives_way)
    counts = engine.execute(
        gone.aggregate(
            replaced=gone["is_rating"].sum().fill_null(0), removed=(~gone["is_rating"]).sum().fill_null(0)
        )
    ).iloc[0]
    added = table.filter(table[Columns.RATING].notnull()).mutate(
        **{Columns.SOURCE_FILE: ibis.literal(source_file)},
        **({} if has_timestamps else {Columns.TIMESTAMP: ibis.null("int64")}),
        **({Columns.PART: ibis.literal("train")} if Columns.PART in ratings.columns else {}),
    )
    merged = ratings.anti_join(said, gives_way).union(
        added.select(*ratings.columns).cast(dict(ratings.schema()))
    )
    n_removals = collected.table[Columns.RATING].null_count
    report = CollectedReport(
        source=collected.source,
        n_ratings=len(collected.table) - n_removals,
        n_removals=n_removals,
        n_replaced=int(counts["replaced"]),
        n_removed=int(counts["removed"]),
    )
    # Computed once: what comes next looks at the ratings several times.
    return stored(engine, merged, scratch / "merged"), report


def _is_address(collected: str) -> bool:
    return "://" in collected


def _writer(file: Path) -> Any:
    if file.suffix == ".csv":
        return pacsv.CSVWriter(file, COLLECTED_SCHEMA)
    return pq.ParquetWriter(file, COLLECTED_SCHEMA, compression="zstd")


def _read_file(file: Path) -> pa.Table:
    try:
        if is_parquet(file):
            read = pq.read_table(file, columns=COLLECTED_SCHEMA.names).select(COLLECTED_SCHEMA.names)
            table = read.cast(pa.schema([field.with_nullable(True) for field in COLLECTED_SCHEMA]))
        else:
            kinds = dict(zip(COLLECTED_SCHEMA.names, COLLECTED_SCHEMA.types, strict=True))
            options = pacsv.ConvertOptions(column_types=kinds, include_columns=COLLECTED_SCHEMA.names)
            table = pacsv.read_csv(file, convert_options=options)
    except (pa.ArrowException, KeyError, ValueError) as error:
        reason = str(error).partition("\n")[0][:_LONGEST_REASON]
        raise DataError(
            f"{file} cannot be read as {', '.join(COLLECTED_SCHEMA.names)}: {reason}. {_REMEDY}"
        ) from error
    except OSError as error:
        raise unreadable(file, error) from error
    user, movie, rating, timestamp, removed = table.columns
    _require(file, table, Columns.USER_ID, pc.greater_equal(user, 0), "a whole number from 0")
    _require(file, table, Columns.MOVIE_ID, pc.greater_equal(movie, 0), "a whole number from 0")
    _require(file, table, Columns.TIMESTAMP, pc.greater(timestamp, 0), "Unix seconds")
    _require(file, table, REMOVED, pc.is_valid(removed), "true or false")
    _require(
        file,
        table,
        Columns.RATING,
        pc.or_(pc.is_finite(rating.fill_null(0)), pc.is_null(rating)),
        "a finite number",
    )
    _require(file, table, Columns.RATING, pc.or_(pc.is_valid(rating), removed), "there, or removed is true")
    n_pairs = len(table.group_by(list(_PAIR)).aggregate([]))
    if n_pairs != len(table):
        raise DataError(f"{file} has {len(table) - n_pairs:,} pairs of user and movie twice. {_REMEDY}")
    return table.cast(COLLECTED_SCHEMA)


def _require(file: Path, table: pa.Table, field: str, fits: pa.ChunkedArray, allowed: str) -> None:
    row = pc.index(fits.fill_null(False), False).as_py()
    if row >= 0:
        value = table[field][row].as_py()
        raise DataError(f"{file}: row {row + 1}: {field} is {value}; it should be {allowed}. {_REMEDY}")
