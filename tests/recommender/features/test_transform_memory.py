"""Transform goes on on disk where memory ends."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

N_USERS, N_RATINGS = 20_000, 200
WORK = """
import sys
from pathlib import Path
from recommender.data.engine import EngineConfig
from recommender.features.transform import TransformConfig, transform

examples, output, limit = sys.argv[1:]
transform(Path(examples), TransformConfig(), 42, Path(output), EngineConfig(memory_limit=limit, threads=1))
status = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_little_memory_is_enough_for_many_ratings(tmp_path):
    n_rows = N_USERS * N_RATINGS
    ratings = {
        "user_id": np.repeat(np.arange(N_USERS), N_RATINGS),
        "movie_id": np.tile(np.arange(N_RATINGS), N_USERS),
        "rating": np.random.default_rng(0).integers(1, 6, n_rows).astype(np.float32),
        "timestamp": np.arange(n_rows),
    }
    movies = {
        "movie_id": np.arange(N_RATINGS),
        "genres": [["Drama"]] * N_RATINGS,
        "release_year": np.full(N_RATINGS, 2000, np.int32),
    }
    pq.write_table(pa.table(ratings), tmp_path / "ratings.parquet")
    pq.write_table(pa.table(movies), tmp_path / "movies.parquet")

    # Sorting the training part alone takes 200 MB: 2.9 million rows of 70 bytes.
    command = [sys.executable, "-c", WORK, str(tmp_path), str(tmp_path / "out"), "60MB"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    assert done.returncode == 0, done.stderr
    rows = [pq.read_metadata(file).num_rows for file in (tmp_path / "out").glob("*_interactions.parquet")]
    assert sum(rows) == n_rows
    # 360 MB, most of it Python, its libraries and what is read for hashing; without a limit it is 450 MB.
    assert int(done.stdout) < 410_000
