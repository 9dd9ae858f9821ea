"""A Spark session, set up so that the project's expressions mean on it what they mean on DuckDB."""

import os
import shutil
from pathlib import Path
from typing import Any, Final

import ibis

from recommender.errors import DataError

_LOCAL_SHUFFLE_PARTITIONS: Final = 8
"""On one machine; Spark's own 200 are made for a cluster and cost more than small tables do."""


def connect_spark(master: str, memory_bytes: int, scratch: Path | None) -> Any:
    """An Ibis backend on a new Spark session.

    Args:
        master: Such as `local[2]` or `spark://host:7077`.
        memory_bytes: Heap of the driver, which under `local` does all the work. A Java process that this
            Python process has started before keeps the heap that it has.
        scratch: Folder for what does not fit in memory; Spark's own choice without it.

    Raises:
        DataError: pyspark or Java is missing, or Spark does not start.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise DataError(
            f"engine.kind=spark needs pyspark, which the plain installation leaves out ({error}): "
            "pip install 'ibis-framework[pyspark]', or set engine.kind=duckdb."
        ) from error
    _require_java()
    settings: dict[str, bool | float | int | str | None] = {
        "spark.driver.memory": f"{memory_bytes // 2**20}m",
        "spark.log.level": "ERROR",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if master.startswith("local"):
        settings |= {
            # Neither a host name that does not resolve nor a firewall shall be in the way.
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(_LOCAL_SHUFFLE_PARTITIONS),
        }
    if scratch is not None:
        settings |= {"spark.local.dir": str(scratch), "spark.sql.warehouse.dir": str(scratch / "warehouse")}
    try:
        session = (
            SparkSession.builder.master(master).appName("marquee").config(map={**settings}).getOrCreate()
        )
    except (PySparkException, OSError) as error:
        raise DataError(
            f"Spark did not start on engine.spark_master={master}: {error}. Check the address and that "
            "`java -version` is 17 or 21, or set engine.kind=duckdb."
        ) from error
    return ibis.pyspark.connect(session)


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java" if home is None else str(Path(home) / "bin" / "java"))
    if java is None:
        where = "on the PATH" if home is None else f"in JAVA_HOME ({home})"
        raise DataError(
            f"engine.kind=spark needs Java, and there is none {where}: install Java 17 or 21, point "
            "JAVA_HOME to it, or set engine.kind=duckdb."
        )
