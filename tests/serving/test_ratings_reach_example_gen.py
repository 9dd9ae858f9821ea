"""What is rated over HTTP is in the data of the next training."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from recommender.data.source_report import SourceReport
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.release import Release

ROOT = Path(__file__).parents[2]


def marquee(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", *map(str, arguments)]
    variables = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=variables)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_ratings_given_over_http_are_exported_and_read_by_example_gen(
    client: TestClient, live_release: Release, tmp_path: Path, suffix: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    history = live_release.history_of(7)
    lines = zip(
        history.movie_ids.tolist(), history.ratings.tolist(), history.timestamps.tolist(), strict=True
    )
    (source / "ratings.csv").write_text(
        "user_id,movie_id,rating,timestamp\n"
        + "".join(f"7,{movie},{rating},{moment}\n" for movie, rating, moment in lines)
    )
    again, removed = history.movie_ids[:2].tolist()
    users: httpx.Client = client
    for user_id, movie_id in ((7, again), (4711, again), (4711, removed)):
        body = {"movie_id": movie_id, "rating": 0.5}
        assert users.post(f"/api/v1/users/{user_id}/ratings", json=body).status_code == 201
    assert users.delete(f"/api/v1/users/7/ratings/{removed}").status_code == 204
    assert users.delete(f"/api/v1/users/4711/ratings/{removed}").status_code == 204

    file = tmp_path / f"collected.{suffix}"
    done = marquee("data", "export-ratings", "--store", f"sqlite:///{tmp_path}/ratings.db", "--to", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"2 ratings and 2 removals of {tmp_path}/ratings.db in {file}\n"

    config = ExampleGenConfig(source="directory", path=str(source), collected=str(file))
    ingest(config, tmp_path / "examples", tmp_path / "downloads")
    rows = {
        (row["user_id"], row["movie_id"]): row["rating"]
        for row in pq.read_table(tmp_path / "examples/ratings.parquet").to_pylist()
    }
    expected = {
        (7, movie): rating
        for movie, rating in zip(history.movie_ids.tolist(), history.ratings.tolist(), strict=True)
        if movie != removed
    }
    assert rows == {**expected, (7, again): 0.5, (4711, again): 0.5}
    report = SourceReport.read(tmp_path / "examples").collected
    assert report is not None
    assert (report.n_ratings, report.n_replaced, report.n_removed) == (2, 1, 1)


def test_an_export_without_a_store_says_so_and_makes_none(tmp_path: Path) -> None:
    done = marquee(
        "data", "export-ratings", "--root", tmp_path, "--to", tmp_path / "a.csv", MARQUEE_RATINGS=""
    )
    assert done.returncode == 1
    assert f"{tmp_path}/ratings.db holds no ratings. Name the store that a service writes to." in done.stderr
    assert list(tmp_path.iterdir()) == []
