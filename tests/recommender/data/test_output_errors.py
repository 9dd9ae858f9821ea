import errno

import duckdb
import pytest

from recommender.data.output_errors import told_of_output
from recommender.errors import DataError


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def test_the_folder_that_is_nearest_to_what_failed_is_told(tmp_path):
    with (
        pytest.raises(DataError, match=r"inner cannot be written: No space left on device\. .*there is room"),
        told_of_output(tmp_path / "outer"),
        told_of_output(tmp_path / "inner"),
    ):
        raise full()


def test_a_file_that_the_system_names_is_told_instead_of_the_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.parquet").touch()
    with (
        pytest.raises(DataError, match=r"out/a\.parquet/b cannot be written: Not a directory"),
        told_of_output(tmp_path / "out"),
    ):
        (tmp_path / "out/a.parquet/b").touch()


def test_what_duckdb_cannot_write_is_told(tmp_path):
    with (
        pytest.raises(DataError, match=r"The tables for .*out cannot be written: IO Error: .*there is room"),
        told_of_output(tmp_path / "out"),
        duckdb.connect() as engine,
    ):
        engine.execute(f"COPY (SELECT 1) TO '{tmp_path / 'nowhere' / 'a.parquet'}'")


def test_a_query_that_is_wrong_is_no_matter_of_the_folder(tmp_path):
    with (
        pytest.raises(duckdb.ProgrammingError),
        told_of_output(tmp_path / "out"),
        duckdb.connect() as engine,
    ):
        engine.execute("SELECT none FROM nothing")
