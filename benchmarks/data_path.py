"""How fast the data path is, beside bare DuckDB and plain pandas, in one run.

    python -m benchmarks.data_path --rows 25000095 > result.json

One JSON object on standard output, progress on standard error. Synthetic ratings are made under `--data` if
they are not there. Each step runs in a process of its own, like in the pipeline; `seconds` are those of the
work, without starting Python, `peak_gb` is the most memory that a process had resident.
"""

import json
import logging
import shutil
import statistics as middle
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import duckdb
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer

from benchmarks.circumstances import circumstances
from benchmarks.own_process import in_own_process, peak_gb
from benchmarks.pandas_transform import transform_with_pandas
from recommender.data.columns import Columns
from recommender.data.engine import RATINGS_FILE, EngineConfig
from recommender.data.schema import infer_schema, read_schema, write_schema
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.data.statistics import Statistics, compute_statistics
from recommender.data.statistics_report import write_statistics
from recommender.data.synthetic import SyntheticConfig, generate
from recommender.data.validation import write_validated_examples
from recommender.features.transform import TransformConfig, transform

logger = logging.getLogger("recommender.benchmarks.data_path")

SEED: Final = 42
ML_25M_ROWS: Final = 25_000_095
ML_25M_USERS: Final = 162_541
ML_25M_RATED_MOVIES: Final = 59_047
SMALLER: Final = (1_000_000, 5_000_000)
"""How many ratings the smaller runs have, that show how time grows."""
PANDAS_SHARE: Final = 10
TOLERANCE: Final = 1e-9


def main(
    rows: Annotated[int, typer.Option(help="How many ratings.", min=1000)] = ML_25M_ROWS,
    engine: Annotated[
        Literal["duckdb", "spark"], typer.Option(help="spark: run on local[2], too, and compare.")
    ] = "duckdb",
    memory_limit: Annotated[str, typer.Option(help="Of the table engine.")] = EngineConfig().memory_limit,
    data: Annotated[Path, typer.Option(help="Synthetic ratings are kept here.")] = Path("var/benchmarks"),
    catalogue: Annotated[
        Path | None, typer.Option(help="Folder or zip with the movies.csv to rate; else they are made up.")
    ] = None,
) -> None:
    """Measure every step of the data path."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    config = EngineConfig(memory_limit=memory_limit)
    result: dict[str, Any] = {"rows": rows}
    with tempfile.TemporaryDirectory(dir=_made(data)) as scratch_name:
        scratch = Path(scratch_name)
        full, made_in = _ratings(rows, data, catalogue)
        if made_in is not None:
            result["synthesize_seconds"] = made_in
        bare = [_measured(_bare_duckdb, full, scratch / "bare.parquet")["seconds"]]
        steps = _data_path(full, scratch / "full", config)
        bare.append(_measured(_bare_duckdb, full, scratch / "bare.parquet")["seconds"])
        seconds = sum(step["seconds"] for step in steps.values())
        result |= {
            "seconds": seconds,
            "peak_gb": max(step["peak_gb"] for step in steps.values()),
            "rows_per_second": rows / seconds,
            "steps": steps,
            "duckdb_seconds": bare,
        }
        _tenth(scratch / "full" / "examples", scratch / "tenth")
        pandas = _measured(transform_with_pandas, scratch / "tenth", scratch / "pandas", SEED)
        bare.append(_measured(_bare_duckdb, full, scratch / "bare.parquet")["seconds"])
        ours = steps["transform"]
        result["pandas"] = {
            **pandas,
            "share": f"1/{PANDAS_SHARE} of the users",
            "scaled_seconds": pandas["seconds"] * PANDAS_SHARE,
            "scaled_peak_gb": pandas["start_gb"] + (pandas["peak_gb"] - pandas["start_gb"]) * PANDAS_SHARE,
        }
        result["ratios"] = {
            "over_duckdb": seconds / middle.median(bare),
            "pandas_speedup": result["pandas"]["scaled_seconds"] / ours["seconds"],
            "pandas_memory": ours["peak_gb"] / result["pandas"]["scaled_peak_gb"],
        }
        if engine == "spark":
            spark = EngineConfig(kind="spark", spark_master="local[2]", memory_limit=memory_limit)
            result["spark"] = _data_path(full, scratch / "spark", spark)
            result["differences"] = _differences(scratch / "full", scratch / "spark")
            result["equal"] = not result["differences"]
        shutil.rmtree(scratch / "full")
        result["scaling"] = [
            _scaling_row(size, data, catalogue, scratch / str(size), config)
            for size in SMALLER
            if size < rows
        ] + [{"rows": rows, "seconds": seconds, "rows_per_second": rows / seconds}]
    arguments = f"--rows {rows}" + (" --engine spark" if engine == "spark" else "")
    json.dump(result | circumstances("data_path", arguments), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _ratings(rows: int, data: Path, catalogue: Path | None) -> tuple[Path, float | None]:
    """The folder of a synthetic data set in the proportions of MovieLens 25M, and how long making it took."""
    folder = data / f"synthetic-{rows}{'-catalogue' if catalogue else ''}"
    if (folder / "ratings.csv").is_file():
        return folder, None
    began = time.perf_counter()
    config = SyntheticConfig(
        n_users=max(2, rows * ML_25M_USERS // ML_25M_ROWS),
        n_movies=min(ML_25M_RATED_MOVIES, max(200, rows // 20)),
        n_ratings=rows,
        catalogue=None if catalogue is None else str(catalogue),
    )
    generate(config, SEED, folder)
    return folder, time.perf_counter() - began


def _data_path(source: Path, folder: Path, engine: EngineConfig) -> dict[str, dict[str, float]]:
    """Every step from files to model input, each in a process of its own."""
    steps: dict[str, Callable[..., None]] = {
        "ingest": _ingest,
        "statistics": _statistics,
        "schema": _schema,
        "validation": _validation,
        "transform": _transform,
    }
    return {name: _measured(work, source, folder, engine) for name, work in steps.items()}


def _ingest(source: Path, folder: Path, engine: EngineConfig) -> None:
    ingest(
        ExampleGenConfig(source="directory", path=str(source)),
        folder / "examples",
        folder / "downloads",
        engine,
    )


def _statistics(_source: Path, folder: Path, engine: EngineConfig) -> None:
    write_statistics(compute_statistics(folder / "examples", engine), folder / "statistics")


def _schema(_source: Path, folder: Path, engine: EngineConfig) -> None:
    write_schema(infer_schema(folder / "examples", engine), folder / "schema")


def _validation(_source: Path, folder: Path, engine: EngineConfig) -> None:
    write_validated_examples(
        folder / "examples",
        read_schema(folder / "schema"),
        folder / "anomalies",
        folder / "validated",
        engine=engine,
        statistics=Statistics.read(folder / "statistics"),
    )


def _transform(_source: Path, folder: Path, engine: EngineConfig) -> None:
    transform(folder / "validated", TransformConfig(), SEED, folder / "transformed", engine)


def _bare_duckdb(source: Path, output: Path) -> None:
    """Read the csv and write it sorted: the least that anything must do, with DuckDB as it comes."""
    with duckdb.connect() as connection:
        # Its bar would stand in the result.
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            f"""COPY (
                SELECT * FROM read_csv('{source / "ratings.csv"}', header = true, columns = {{
                    'userId': 'BIGINT', 'movieId': 'BIGINT', 'rating': 'FLOAT', 'timestamp': 'BIGINT'}})
                ORDER BY userId, timestamp, movieId
            ) TO '{output}' (FORMAT parquet)"""
        )


def _tenth(folder: Path, tenth: Path) -> None:
    """Every tenth user, written for pandas."""
    tenth.mkdir()
    shutil.copy(folder / "movies.parquet", tenth)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            f"""COPY (SELECT * FROM '{folder / RATINGS_FILE}' WHERE user_id % {PANDAS_SHARE} = 0)
            TO '{tenth / RATINGS_FILE}' (FORMAT parquet)"""
        )


def _scaling_row(
    rows: int, data: Path, catalogue: Path | None, folder: Path, engine: EngineConfig
) -> dict[str, float]:
    source, _ = _ratings(rows, data, catalogue)
    seconds = sum(step["seconds"] for step in _data_path(source, folder, engine).values())
    shutil.rmtree(folder)
    return {"rows": rows, "seconds": seconds, "rows_per_second": rows / seconds}


def _measured(work: Callable[..., None], *arguments: Any) -> dict[str, float]:
    """Run in a fresh process: seconds of the work, and gigabytes resident before it and at most."""
    began = time.perf_counter()
    figures: dict[str, float] = in_own_process(_figures, work, arguments)
    figures["process_seconds"] = time.perf_counter() - began
    logger.info("%-16s %6.1f s  %5.2f GB", work.__name__.strip("_"), figures["seconds"], figures["peak_gb"])
    return figures


def _figures(work: Callable[..., None], arguments: tuple[Any, ...]) -> dict[str, float]:
    # What the steps say of the data is no part of a measurement; that they fail is.
    logging.getLogger().setLevel(logging.ERROR)
    start_gb = peak_gb()
    began = time.perf_counter()
    work(*arguments)
    return {"seconds": time.perf_counter() - began, "start_gb": start_gb, "peak_gb": peak_gb()}


def _differences(one: Path, other: Path) -> list[str]:
    """Where the results of two engines differ; numbers with a fraction may by 1e-9."""
    tables = {
        "examples/ratings.parquet": [Columns.USER_ID, Columns.MOVIE_ID, Columns.RATING, Columns.TIMESTAMP],
        "examples/movies.parquet": None,
        "transformed/user_features.parquet": None,
        "transformed/movie_features.parquet": None,
        **{f"transformed/{part}_interactions.parquet": None for part in ("train", "validation", "test")},
    }
    different = []
    for name, columns in tables.items():
        first, second = (pq.read_table(folder / name, columns=columns) for folder in (one, other))
        if first.num_rows != second.num_rows or first.column_names != second.column_names:
            different.append(f"{name}: rows or columns")
            continue
        different += [
            f"{name}: {column}"
            for column in first.column_names
            if not _equal(first.column(column).combine_chunks(), second.column(column).combine_chunks())
        ]
    documents = ("statistics/statistics.json", "anomalies/anomalies.json", "transformed/split.json")
    for name in documents:
        different += [
            f"{name}: {path}"
            for path in _unequal(*(json.loads((folder / name).read_text()) for folder in (one, other)))
        ]
    return different


def _equal(one: Any, other: Any) -> bool:
    if str(one.type).startswith(("float", "double")):
        left, right = (column.to_numpy(zero_copy_only=False).astype(np.float64) for column in (one, other))
        return bool(np.allclose(left, right, rtol=0, atol=TOLERANCE, equal_nan=True))
    if hasattr(one, "flatten") and hasattr(one, "value_lengths"):
        return bool(pc.all(pc.equal(one.value_lengths(), other.value_lengths())).as_py()) and _equal(
            one.flatten(), other.flatten()
        )
    return bool(one.equals(other.cast(one.type)))


def _unequal(one: Any, other: Any, path: str = "") -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for key in one for found in _unequal(one[key], other[key], f"{path}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for place, pair in pairs for found in _unequal(*pair, f"{path}/{place}")]
    if isinstance(one, float) and isinstance(other, float):
        return [] if abs(one - other) <= TOLERANCE else [path]
    return [] if one == other else [path]


if __name__ == "__main__":
    typer.run(main)
