"""The release folder, with tiny parts and invented movies."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.errors import ReleaseError
from recommender.release import (
    HISTORY_SCHEMA,
    MOVIES_SCHEMA,
    PARTS,
    USERS_SCHEMA,
    Release,
    list_releases,
    live_version,
    positions_of,
    promote,
    rollback,
    verify_release,
    write_release,
)
from recommender.release.arrays import ReleaseArrays

MANIFEST: dict[str, Any] = {
    "dataset": "invented",
    "config": {"dimension": 2},
    "seed": 1,
    "git_commit": None,
    "libraries": {},
    "data": {},
    "counts": {"users": 2, "movies": 3, "ratings": 4},
    "dimension": 2,
    "metrics": {"protocol": "P-random", "retrieval": {"ndcg@10": 0.5}, "baselines": {}},
}
MOVIES = {
    "movie_id": [10, 20, 30],
    "title": ["Alpha (1990)", "Beta", "Gamma (2001)"],
    "genres": [["Drama"], [], ["Comedy", "Crime"]],
    "release_year": [1990, None, 2001],
    "tags": [["slow burn", "lisbon"], [], None],
    "rating_count": [1, 2, 2],
    "rating_mean": [4.0, 3.0, None],
    "embedding": [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]],
}
USERS = {"user_id": [1, 7], "rating_count": [3, 1], "embedding": [[1.0, 0.0], [0.0, 1.0]]}
HISTORY = {
    "user_id": [1, 1, 1, 7],
    "movie_id": [20, 10, 30, 20],
    "rating": [3.0, 4.0, 2.5, 3.5],
    "timestamp": [100, 200, 300, 50],
}


def write_tables(folder: Path, movies: Any = MOVIES, users: Any = USERS, history: Any = HISTORY) -> None:
    pq.write_table(pa.table(movies, schema=MOVIES_SCHEMA), folder / "movies.parquet")
    pq.write_table(pa.table(users, schema=USERS_SCHEMA), folder / "users.parquet")
    pq.write_table(pa.table(history, schema=HISTORY_SCHEMA), folder / "history.parquet")


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    work = tmp_path / "parts"
    work.mkdir()
    write_tables(work)
    for name in ("user_tower", "movie_tower", "ranker", "index"):
        (work / name / "variables").mkdir(parents=True)
        (work / name / "variables" / "data").write_bytes(name.encode())
        (work / name / "empty").mkdir()
    return {name: work / name for name in PARTS}


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    return tmp_path / "releases with a space"


@pytest.fixture
def folder(releases: Path, parts: dict[str, Path]) -> Path:
    return releases / write_release(releases, parts, MANIFEST)


def other(seed: int) -> dict[str, Any]:
    return {**MANIFEST, "seed": seed}


def test_a_release_is_complete_and_says_where_it_came_from(folder: Path) -> None:
    manifest = verify_release(folder)
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", manifest.version)
    assert manifest.version == folder.name
    assert manifest.version.endswith(manifest.content_digest[:8])
    assert manifest.format == 2
    assert manifest.created_at.endswith("Z")
    assert manifest.metrics == MANIFEST["metrics"]
    assert set(manifest.files) == {
        "movies.parquet", "users.parquet", "history.parquet", "user_tower/variables/data",
        "movie_tower/variables/data", "ranker/variables/data", "index/variables/data",
        *(f"arrays/{field.name}.npy" for field in fields(ReleaseArrays)),
    }  # fmt: skip


def test_the_same_content_twice_gives_the_same_version(
    releases: Path, folder: Path, parts: dict[str, Path]
) -> None:
    assert write_release(releases, parts, MANIFEST) == folder.name
    assert [entry.name for entry in releases.iterdir()] == [folder.name]


@pytest.mark.parametrize("key", ["git_commit", "run_fingerprint"])
def test_other_code_makes_no_other_release(
    key: str, releases: Path, folder: Path, parts: dict[str, Path]
) -> None:
    assert write_release(releases, parts, {**MANIFEST, key: "0" * 40}) == folder.name


def test_other_content_gives_another_and_later_version(
    releases: Path, folder: Path, parts: dict[str, Path]
) -> None:
    second = write_release(releases, parts, other(2))
    (parts["ranker"] / "variables" / "data").write_bytes(b"trained again")
    third = write_release(releases, parts, other(2))
    assert list_releases(releases) == [folder.name, second, third]


def test_an_altered_release_is_written_anew(releases: Path, folder: Path, parts: dict[str, Path]) -> None:
    (folder / "users.parquet").write_bytes(b"")
    version = write_release(releases, parts, MANIFEST)
    assert version != folder.name
    assert verify_release(releases / version).version == version


@pytest.mark.parametrize("part", PARTS)
def test_a_release_with_a_missing_part_is_refused(releases: Path, parts: dict[str, Path], part: str) -> None:
    del parts[part]
    with pytest.raises(ReleaseError, match=part):
        write_release(releases, parts, MANIFEST)
    assert list_releases(releases) == []


def test_a_part_that_is_not_there_or_empty_is_refused(releases: Path, parts: dict[str, Path]) -> None:
    parts["index"] = parts["index"] / "empty"
    parts["ranker"] = parts["ranker"] / "nowhere"
    with pytest.raises(ReleaseError, match=r"ranker.*is not there.*index.*holds no file"):
        write_release(releases, parts, MANIFEST)


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden", "manifest.json"])
def test_parts_with_odd_names_are_refused(releases: Path, parts: dict[str, Path], name: str) -> None:
    with pytest.raises(ReleaseError, match="plain names"):
        write_release(releases, {**parts, name: parts["ranker"]}, MANIFEST)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "mine"}, "version"),
        ({"seed": "one"}, "seed"),
        ({"surprise": 1}, "surprise"),
        ({"metrics": {"ndcg@10": float("nan")}}, "JSON"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    releases: Path, parts: dict[str, Path], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ReleaseError, match=said):
        write_release(releases, parts, {**MANIFEST, **change})
    assert list_releases(releases) == []


def test_an_altered_file_is_named(folder: Path) -> None:
    path = folder / "index" / "variables" / "data"
    path.write_bytes(b"Index")
    with pytest.raises(ReleaseError, match=f"{re.escape(str(path))} was altered.*Write the release again"):
        verify_release(folder)


def test_parts_that_may_be_there_are_verified_like_the_others(
    releases: Path, folder: Path, parts: dict[str, Path]
) -> None:
    assert (Release.load(folder).online_folder, Release.load(folder).re_ranker_folder) == (None, None)
    more = {**parts, "online": parts["ranker"], "re_ranker": parts["ranker"]}
    release = Release.load(releases / write_release(releases, more, MANIFEST))
    assert release.online_folder == release.folder / "online"
    assert release.re_ranker_folder == release.folder / "re_ranker"
    (release.folder / "re_ranker" / "variables" / "data").write_bytes(b"another")
    with pytest.raises(ReleaseError, match="re_ranker/variables/data was altered"):
        verify_release(release.folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "users.parquet").unlink()
    with pytest.raises(ReleaseError, match=r"users\.parquet is missing"):
        verify_release(folder)


def test_an_extra_file_is_named(folder: Path) -> None:
    (folder / "ranker" / "note.txt").write_text("hello")
    with pytest.raises(ReleaseError, match=r"ranker/note\.txt is not in the manifest"):
        verify_release(folder)


def test_every_problem_is_told_at_once(folder: Path) -> None:
    (folder / "users.parquet").unlink()
    (folder / "movies.parquet").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"movies\.parquet was altered; .*users\.parquet is missing"):
        verify_release(folder)


def test_a_link_is_no_part_of_a_release(folder: Path, tmp_path: Path) -> None:
    path = folder / "users.parquet"
    path.rename(tmp_path / "elsewhere.parquet")
    path.symlink_to(tmp_path / "elsewhere.parquet")
    with pytest.raises(ReleaseError, match=r"users\.parquet is a link"):
        verify_release(folder)


def test_a_truncated_manifest_is_named(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ReleaseError, match=r"manifest\.json is not whole"):
        verify_release(folder)


def test_a_folder_without_manifest_is_no_release(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(ReleaseError, match=r"manifest\.json is missing"):
        verify_release(folder)
    with pytest.raises(ReleaseError, match="no release at"):
        verify_release(folder / "nowhere")


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_an_altered_metric_is_found(folder: Path) -> None:
    change_manifest(folder, lambda manifest: manifest["metrics"]["retrieval"].update({"ndcg@10": 0.9}))
    with pytest.raises(ReleaseError, match=r"manifest\.json was altered"):
        verify_release(folder)


@pytest.mark.parametrize(
    ("key", "value"), [("version", "20990101T000000Z-deadbeef"), ("created_at", "yesterday")]
)
def test_a_release_that_is_given_another_name_or_age_is_refused(folder: Path, key: str, value: str) -> None:
    change_manifest(folder, lambda manifest: manifest.update({key: value}))
    with pytest.raises(ReleaseError, match="version and created_at do not fit"):
        verify_release(folder)


def test_another_format_is_refused(folder: Path) -> None:
    change_manifest(folder, lambda manifest: manifest.update(format=3))
    with pytest.raises(ReleaseError, match="does not fit format 2"):
        verify_release(folder)


@pytest.mark.parametrize(
    "path", ["../../secret", "/etc/passwd", "index/../../secret", "a\\..\\b", "./users.parquet", ""]
)
def test_a_path_out_of_the_release_is_refused(folder: Path, path: str) -> None:
    change_manifest(folder, lambda manifest: manifest["files"].update({path: "0" * 64}))
    with pytest.raises(ReleaseError, match="outside the release"):
        verify_release(folder)


def test_a_manifest_that_lists_no_index_is_refused(folder: Path) -> None:
    change_manifest(folder, lambda manifest: manifest["files"].pop("index/variables/data"))
    with pytest.raises(ReleaseError, match="lists no index"):
        verify_release(folder)


KILLED = """
import json, os, pathlib, signal, sys
from recommender.release import writing
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[4] == "copying":
    copies = []
    copy = writing.copy_sparse
    writing.copy_sparse = lambda *names: die() if len(copies) > 3 else copies.append(copy(*names))
else:
    pathlib.Path.rename = die
parts = {name: pathlib.Path(path) for name, path in json.loads(sys.argv[2]).items()}
writing.write_release(pathlib.Path(sys.argv[1]), parts, json.loads(sys.argv[3]))
"""


@pytest.mark.parametrize("moment", ["copying", "renaming"])
def test_a_killed_writer_leaves_no_release(releases: Path, parts: dict[str, Path], moment: str) -> None:
    names = json.dumps({name: str(path) for name, path in parts.items()})
    arguments = [sys.executable, "-c", KILLED, str(releases), names, json.dumps(MANIFEST), moment]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    assert list_releases(releases) == []
    leftovers = list(releases.glob(".staging-*"))
    assert len(leftovers) == 1

    write_release(releases, parts, MANIFEST)
    assert leftovers[0].exists(), "a younger one may belong to a living writer"
    os.utime(leftovers[0], (0, 0))
    version = write_release(releases, parts, MANIFEST)
    assert not leftovers[0].exists()
    promote(releases, version)
    assert live_version(releases) == version


def test_a_writer_that_fails_leaves_nothing(
    releases: Path, parts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("recommender.release.writing.copy_sparse", full)
    with pytest.raises(OSError, match="No space"):
        write_release(releases, parts, MANIFEST)
    assert list(releases.iterdir()) == []


def test_nothing_is_live_before_a_release_is_promoted(releases: Path, folder: Path) -> None:
    assert live_version(releases) is None
    with pytest.raises(ReleaseError, match=folder.name):
        Release.open_live(releases)
    promote(releases, folder.name)
    assert live_version(releases) == folder.name
    assert (releases / "current").read_text().strip() == folder.name
    assert Release.open_live(releases).version == folder.name


def test_an_altered_release_is_not_promoted(releases: Path, folder: Path, parts: dict[str, Path]) -> None:
    promote(releases, folder.name)
    second = write_release(releases, parts, other(2))
    (releases / second / "users.parquet").unlink()
    with pytest.raises(ReleaseError, match=r"users\.parquet"):
        promote(releases, second)
    assert live_version(releases) == folder.name


@pytest.mark.parametrize("version", ["../elsewhere", "20200101T000000Z-00000000", ""])
def test_only_a_release_that_is_there_is_promoted(releases: Path, folder: Path, version: str) -> None:
    with pytest.raises(ReleaseError, match=folder.name):
        promote(releases, version)


def test_a_broken_pointer_is_told(releases: Path, folder: Path) -> None:
    (releases / "current").write_text("../../elsewhere")
    with pytest.raises(ReleaseError, match="marquee releases promote"):
        live_version(releases)


def test_rolling_back_makes_the_release_before_live(
    releases: Path, folder: Path, parts: dict[str, Path]
) -> None:
    second, third = (write_release(releases, parts, other(seed)) for seed in (2, 3))
    promote(releases, third)
    assert rollback(releases) == second
    assert rollback(releases) == folder.name == live_version(releases)
    with pytest.raises(ReleaseError, match="oldest"):
        rollback(releases)


def test_nothing_to_roll_back_is_told(releases: Path) -> None:
    assert list_releases(releases) == []
    with pytest.raises(ReleaseError, match="nothing to roll back"):
        rollback(releases)


def test_a_loaded_release_knows_its_movies_and_users(folder: Path) -> None:
    release = Release.load(folder)
    np.testing.assert_array_equal(release.movie_ids, [10, 20, 30])
    np.testing.assert_array_equal(release.movie_vectors, np.float32([[1, 0], [0, 1], [0.6, 0.8]]))
    np.testing.assert_array_equal(release.user_vectors, np.float32([[1, 0], [0, 1]]))
    assert release.movie_vectors.dtype == release.user_vectors.dtype == np.float32
    assert release.highest_rating == 4.0
    # 20 and 30 have two ratings each, 10 has one.
    np.testing.assert_array_equal(release.popular_movie_ids, [20, 30, 10])
    movie = release.movie(30)
    assert (movie.title, movie.genres, movie.release_year, movie.rating_mean) == (
        "Gamma (2001)", ("Comedy", "Crime"), 2001, None,
    )  # fmt: skip
    assert release.movie(20).release_year is None
    assert [release.tags(movie_id) for movie_id in (10, 20, 30)] == [("slow burn", "lisbon"), (), ()]
    for look_up in (release.movie, release.tags):
        with pytest.raises(KeyError):
            look_up(25)


def test_tables_without_tags_make_a_release_without(parts: dict[str, Path], releases: Path) -> None:
    movies = parts["movies.parquet"]
    pq.write_table(pq.read_table(movies).drop_columns("tags"), movies)
    release = Release.load(releases / write_release(releases, parts, MANIFEST))
    assert release.tags(10) == ()


def test_history_is_what_a_user_rated_oldest_first(folder: Path) -> None:
    release = Release.load(folder)
    first, last, nobody = (release.history_of(user_id) for user_id in (1, 7, 5))
    np.testing.assert_array_equal(first.movie_ids, [20, 10, 30])
    np.testing.assert_array_equal(first.ratings, [3.0, 4.0, 2.5])
    np.testing.assert_array_equal(last.timestamps, [50])
    assert len(nobody.movie_ids) == 0


def rewritten(releases: Path, parts: dict[str, Path], counts: Any = None, **tables: Any) -> Path:
    write_tables(parts["movies.parquet"].parent, **tables)
    manifest = {**MANIFEST, "counts": counts or MANIFEST["counts"]}
    return releases / write_release(releases, parts, manifest)


def test_ratings_of_somebody_without_a_vector_are_kept(releases: Path, parts: dict[str, Path]) -> None:
    release = Release.load(rewritten(releases, parts, history={**HISTORY, "user_id": [1, 1, 4, 7]}))
    assert release.user_position(4) is None
    np.testing.assert_array_equal(release.history_of(4).movie_ids, [30])


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"movies": {**MOVIES, "embedding": [[1.0, 0.0], [1.0], [0.0, 1.0]]}}, r"lengths, \[1, 2\]"),
        ({"movies": {**MOVIES, "embedding": [[1.0, 0.0], [1.0, float("nan")], [0.0, 1.0]]}}, "not finite"),
        ({"movies": {**MOVIES, "embedding": [[1.0, 0.0], None, [0.0, 1.0]]}}, "vectors"),
        ({"movies": {**MOVIES, "movie_id": [10, 30, 20]}}, "not sorted"),
        ({"movies": {**MOVIES, "movie_id": [10, 20, 20]}}, "twice"),
        ({"users": {**USERS, "user_id": [1, None]}}, "lacks 1 values"),
        ({"history": {**HISTORY, "user_id": [7, 1, 1, 1]}}, "not sorted"),
        ({"history": {**HISTORY, "movie_id": [20, 10, 20, 20]}}, "two ratings of movie 20 by user 1"),
        ({"history": {**HISTORY, "movie_id": [20, 25, 30, 20]}}, r"movie 25 \(row 1\)"),
        ({"counts": {"users": 2, "movies": 3, "ratings": 5}}, r"shape \(4,\) where the manifest says \(5,\)"),
    ],
)
def test_tables_that_do_not_agree_are_refused(
    releases: Path, parts: dict[str, Path], tables: dict[str, Any], said: str
) -> None:
    with pytest.raises(ReleaseError, match=said):
        rewritten(releases, parts, **tables)
    assert list(releases.iterdir()) == []


def test_a_table_that_is_no_parquet_is_refused(releases: Path, parts: dict[str, Path]) -> None:
    parts["users.parquet"].write_bytes(b"user_id,embedding\n")
    with pytest.raises(ReleaseError, match=r"users\.parquet cannot be read"):
        write_release(releases, parts, MANIFEST)


LOADED = """
import hashlib, pathlib, sys
from recommender.release import Release
release = Release.load(pathlib.Path(sys.argv[1]))
assert "tensorflow" not in sys.modules
print(release.version, hashlib.sha256(release.movie_vectors.tobytes()).hexdigest())
"""


def test_a_fresh_process_reads_the_same_without_tensorflow(folder: Path) -> None:
    import hashlib

    answer = subprocess.run(
        [sys.executable, "-c", LOADED, str(folder)], check=True, capture_output=True, text=True
    )
    digest = hashlib.sha256(Release.load(folder).movie_vectors.tobytes()).hexdigest()
    assert answer.stdout.split() == [folder.name, digest]


def test_positions_are_found_in_ascending_numbers() -> None:
    ascending = np.array([2, 5, 9])
    np.testing.assert_array_equal(positions_of(np.array([9, 1, 5, 10]), ascending), [2, -1, 1, -1])
    np.testing.assert_array_equal(positions_of(np.array([3]), np.empty(0, dtype=np.int64)), [-1])
