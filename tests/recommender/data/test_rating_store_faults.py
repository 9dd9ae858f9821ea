"""Ratings that are kept for good while processes are killed and disks are full."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from recommender.data.rating_store import RatingStore
from recommender.errors import StoreFullError

ROOT = Path(__file__).parents[3]

RATE_UNTIL_KILLED = """
import itertools, sys, threading
from recommender.data.rating_store import RatingStore
store = RatingStore.open(sys.argv[1])
first = int(sys.argv[2])

def rate(user_id):
    for movie_id in itertools.count(first):
        store.rate(user_id, movie_id, 3.5, idempotency_key=str(movie_id))
        # One write, so that a line is whole or not there.
        sys.stdout.write(f"{user_id} {movie_id}\\n")
        sys.stdout.flush()

for user_id in range(3):
    threading.Thread(target=rate, args=(user_id,)).start()
"""

RATE_FIFTY = """
import sys
from recommender.data.rating_store import RatingStore
store = RatingStore.open(sys.argv[1])
me = int(sys.argv[2])
for movie_id in range(50):
    # Everybody rates movies of their own for user 1, and the same movies for user 2.
    store.rate(1, 1000 * me + movie_id, 3.5)
    store.rate(2, movie_id % 10, 0.5 * (1 + me), idempotency_key=f"{me} {movie_id}")
    if movie_id % 10 == 9:
        store.delete(1, 1000 * me + movie_id)
store.close()
"""

RATE_UNTIL_FULL = """
import resource, sys
from recommender.data.rating_store import RatingStore
from recommender.errors import StoreFullError
store = RatingStore.open(sys.argv[1])
if int(sys.argv[2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
n = 0
try:
    while True:
        store.rate(1, n, 3.5, idempotency_key=f"{n:0128d}")
        n += 1
except StoreFullError as error:
    print(n, error)
    # Reading goes on.
    assert store.version(1) == n
"""


def start(script: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-u", "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_what_was_acknowledged_before_a_kill_is_there_once(url: str):
    acknowledged: list[tuple[int, int]] = []
    for attempt in range(6):
        process = start(RATE_UNTIL_KILLED, url, 100_000 * attempt)
        lines = [process.stdout.readline() for _ in range(40)]
        process.kill()
        lines += process.communicate()[0].splitlines(keepends=True)
        acknowledged += [tuple(map(int, line.split())) for line in lines if line.endswith("\n")]
    assert len(acknowledged) >= 6 * 40
    store = RatingStore.open(url)
    found = Counter(
        (row["user_id"], row["movie_id"]) for batch in store.export() for row in batch.to_pylist()
    )
    assert not set(acknowledged) - set(found)
    assert set(found.values()) == {1}
    # Sent again with the same key, nothing changes, not even for one that was on disk but not acknowledged.
    versions = [store.version(user_id) for user_id in range(3)]
    assert sum(versions) == len(found)
    assert not [pair for pair in found if store.rate(*pair, 3.5, idempotency_key=str(pair[1]))[1]]
    assert [store.version(user_id) for user_id in range(3)] == versions
    store.close()


def test_processes_that_rate_at_once_lose_nothing(url: str):
    processes = [start(RATE_FIFTY, url, me) for me in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    for process in processes:
        process.stdout.close()
    store = RatingStore.open(url)
    # 50 ratings and 5 removals from each.
    assert (store.version(1), store.version(2)) == (4 * 55, 4 * 50)
    changes = store.ratings_of(1)
    assert changes.movie_ids.tolist() == [1000 * me + movie_id for me in range(4) for movie_id in range(50)]
    assert changes.removed.sum() == 20
    assert store.ratings_of(2).movie_ids.tolist() == list(range(10))
    store.close()


def rate_many(store: RatingStore, movie_ids: range) -> None:
    for movie_id in movie_ids:
        store.rate(1, movie_id, 3.5, idempotency_key=f"{movie_id:0128d}")


def check_full(process: "subprocess.Popen[str]", file: Path) -> None:
    said, _ = process.communicate()
    assert process.returncode == 0
    count, message = said.split(maxsplit=1)
    assert int(count) > 10
    assert f"{file}: nothing more can be written" in message
    assert "Make room on its disk" in message


def test_a_file_that_may_not_grow_is_told_and_what_was_kept_stays(tmp_path: Path):
    file = tmp_path / "ratings.db"
    process = start(RATE_UNTIL_FULL, f"sqlite:///{file}", 400_000)
    check_full(process, file)
    store = RatingStore.open(f"sqlite:///{file}")
    n = store.version(1)
    assert store.ratings_of(1).movie_ids.tolist() == list(range(n))
    assert store.rate(1, n, 3.5)[0].version == n + 1
    store.close()


def test_a_disk_that_is_full_is_told_and_goes_on_when_there_is_room(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk takes root")
    try:
        file = disk / "ratings.db"
        check_full(start(RATE_UNTIL_FULL, f"sqlite:///{file}", 0), file)
        store = RatingStore.open(f"sqlite:///{file}")
        n = store.version(1)
        with pytest.raises(StoreFullError):
            rate_many(store, range(n, n + 1_000))
        subprocess.run(["mount", "-o", "remount,size=4M", str(disk)], check=True)
        before = store.version(1)
        assert store.rate(1, 10**6, 3.5)[0].version == before + 1
        store.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
