"""Made-up ratings: exact, deterministic, like the real ones, learnable, in constant memory."""

import io
import logging
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from recommender.data import synthetic
from recommender.data.synthetic import SyntheticConfig, generate
from recommender.errors import DataError
from recommender.evaluation.baselines import ease, most_popular
from recommender.evaluation.evaluator import evaluate_ranking
from recommender.features.transformed_examples import History, Interactions

SHARED = Path(__file__).parents[4] / "shared" / "data"
CATALOGUE = {
    "movies.csv": "movieId,title,genres\r\n"
    '1,"Late, Too (2021)",Drama\r\n'
    "5,Old (1930),Drama|War\r\n"
    "7,Undated,(no genres listed)\r\n"
    + "".join(f"{movie},Movie {movie} ({1990 + movie // 10}),Comedy\r\n" for movie in range(10, 110, 2)),
    "links.csv": "movieId,imdbId,tmdbId\r\n1,0114709,862\r\n",
}
FOR_CATALOGUE = {"n_users": 30, "n_movies": 52, "n_ratings": 500}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    generate(SyntheticConfig(), 7, folder)
    return folder


@pytest.fixture(scope="module")
def ratings(folder):
    return pd.read_csv(folder / "ratings.csv")


@pytest.fixture(scope="module")
def larger_folder(tmp_path_factory):
    """As many ratings a user as in MovieLens 25M."""
    folder = tmp_path_factory.mktemp("larger")
    generate(SyntheticConfig(n_users=2_000, n_movies=9_000, n_ratings=307_600), 7, folder)
    return folder


@pytest.fixture(scope="module")
def larger(larger_folder):
    return pd.read_csv(larger_folder / "ratings.csv")


@pytest.fixture(params=["folder", "zip", "zip with a folder"])
def catalogue(request, tmp_path):
    place = tmp_path / "catalogue"
    place.mkdir()
    for name, content in CATALOGUE.items():
        (place / name).write_bytes(content.encode())
    if request.param == "folder":
        return place
    inside = "" if request.param == "zip" else "ml-25m/"
    with zipfile.ZipFile(tmp_path / "catalogue.zip", "w") as archive:
        for name in CATALOGUE:
            archive.write(place / name, inside + name)
    return tmp_path / "catalogue.zip"


def gini(counts):
    """Half the mean difference of all pairs, relative to the mean."""
    counts = np.sort(counts)
    n = len(counts)
    return float((2 * np.arange(1, n + 1) - n - 1) @ counts / (n * counts.sum()))


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=False,
    )


# Layout and counts.


def test_the_files_look_like_those_of_movielens(folder):
    ratings = (folder / "ratings.csv").read_bytes().decode().split("\r\n")
    movies = (folder / "movies.csv").read_bytes().decode().split("\r\n")
    assert (ratings[0], ratings[-1]) == ("userId,movieId,rating,timestamp", "")
    assert (movies[0], movies[-1]) == ("movieId,title,genres", "")
    assert pd.Series(ratings[1:-1]).str.fullmatch(r"\d+,\d+,[0-5]\.[05],\d{9,10}").all()
    assert pd.Series(movies[1:-1]).str.fullmatch(r"\d+,The \w+ \w+ \((19|20)\d\d\),[\w|-]+").all()
    assert sorted(path.name for path in folder.iterdir()) == ["movies.csv", "ratings.csv"]


def test_counts_are_as_asked_and_no_pair_comes_twice(ratings, folder):
    assert len(ratings) == 8_000
    assert ratings["userId"].unique().tolist() == list(range(1, 201))
    assert ratings["movieId"].nunique() == 300
    assert len(pd.read_csv(folder / "movies.csv")) == 300
    assert not ratings.duplicated(["userId", "movieId"]).any()


@pytest.mark.parametrize(
    ("n_users", "n_movies", "n_ratings"),
    [(1, 1, 1), (3, 2, 3), (5, 2_500, 6_000), (50, 20, 500), (500, 20_000, 20_000)],
)
def test_odd_sizes_come_out_exactly(tmp_path, n_users, n_movies, n_ratings):
    generate(SyntheticConfig(n_users=n_users, n_movies=n_movies, n_ratings=n_ratings), 1, tmp_path)
    ratings = pd.read_csv(tmp_path / "ratings.csv")
    movies = pd.read_csv(tmp_path / "movies.csv")
    assert (len(ratings), ratings["userId"].nunique(), len(movies)) == (n_ratings, n_users, n_movies)
    assert not ratings.duplicated(["userId", "movieId"]).any()
    assert ratings["movieId"].isin(movies["movieId"]).all()
    assert not movies["title"].duplicated().any()


@pytest.mark.parametrize("name", ["ratings", "larger"])
def test_ratings_are_sorted_by_user_and_movie(request, name):
    ratings = request.getfixturevalue(name)
    assert ratings.equals(ratings.sort_values(["userId", "movieId"], ignore_index=True))


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValidationError, match=r"n_ratings is 100: 5 users and 10 movies take from 5 to 25"):
        SyntheticConfig(n_users=5, n_movies=10, n_ratings=100)


# Determinism.


def test_the_same_seed_gives_the_same_files_and_another_gives_others(folder, tmp_path):
    generate(SyntheticConfig(), 7, tmp_path / "same")
    generate(SyntheticConfig(), 8, tmp_path / "other")
    for name in ("ratings.csv", "movies.csv"):
        assert (tmp_path / "same" / name).read_bytes() == (folder / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_the_number_of_cores_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "_RATINGS_A_BLOCK", 500)
    for n_cores in (1, 7):
        monkeypatch.setattr("os.cpu_count", lambda n_cores=n_cores: n_cores)
        generate(SyntheticConfig(), 7, tmp_path / str(n_cores))
    one, seven = ((tmp_path / name / "ratings.csv").read_bytes() for name in ("1", "7"))
    assert one == seven
    assert one.count(b"\r\n") == 8_001


# Likeness to MovieLens.


def test_stars_are_given_as_often_as_in_movielens_25m(larger):
    found = 100 * larger["rating"].value_counts(normalize=True).sort_index()
    real = [1.57, 3.10, 1.60, 6.56, 5.05, 19.6, 12.7, 26.6, 8.8, 14.5]
    assert found.index.tolist() == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
    assert found.to_numpy() == pytest.approx(real, abs=0.5)
    assert (larger["rating"].mean(), larger["rating"].std()) == pytest.approx((3.53, 1.06), abs=0.02)


def test_activity_is_distributed_as_in_movielens_25m(larger):
    counts = larger["userId"].value_counts()
    assert counts.min() == 20
    assert counts.median() == pytest.approx(71, rel=0.1)
    assert gini(counts) == pytest.approx(0.6, abs=0.04)


def test_popularity_has_a_long_tail(larger):
    counts = larger["movieId"].value_counts()
    assert counts.max() == pytest.approx(0.5 * 2_000, rel=0.2)
    # MovieLens 1M has 0.63, its small data set 0.72.
    assert 0.6 < gini(counts) < 0.8


def test_even_the_smallest_set_has_long_tails(ratings):
    for column in ("userId", "movieId"):
        counts = ratings[column].value_counts()
        assert counts.head(len(counts) // 5).sum() > 0.35 * len(ratings)


def test_users_rate_many_movies_in_a_few_sessions(larger):
    moments = larger.groupby("userId")["timestamp"]
    days = (moments.max() - moments.min()) / 86_400
    assert 0.45 < (days < 1).mean() < 0.7
    assert (days > 365).mean() > 0.05
    gaps = larger.sort_values(["userId", "timestamp"]).groupby("userId")["timestamp"].diff()
    assert gaps.median() < 60


def test_timestamps_are_of_the_time_of_movielens_25m(larger):
    assert larger["timestamp"].between(789_652_009, 1_574_327_703).all()
    assert pd.to_datetime(larger["timestamp"], unit="s").dt.year.nunique() >= 24


def test_there_are_only_whole_stars_before_half_stars_came(larger):
    early = larger["timestamp"] < pd.Timestamp("2003-02-12").timestamp()
    assert 0.15 < early.mean() < 0.35
    assert (larger.loc[early, "rating"] % 1 == 0).all()
    assert (larger.loc[~early, "rating"] % 1 != 0).mean() > 0.3


@pytest.mark.parametrize("name", ["", "larger_"])
def test_nobody_rates_a_movie_before_it_was_made(request, name):
    folder = request.getfixturevalue(f"{name}folder")
    ratings, movies = pd.read_csv(folder / "ratings.csv"), pd.read_csv(folder / "movies.csv")
    made = movies.set_index("movieId")["title"].str.extract(r"\((\d{4})\)")[0].astype(int)
    rated = pd.to_datetime(ratings["timestamp"], unit="s").dt.year
    assert (made > 1996).any()
    assert (ratings["movieId"].map(made) <= rated).all()


def test_the_size_of_the_small_movielens_looks_like_it(tmp_path):
    archive = SHARED / "ml-latest-small.zip"
    if not archive.is_file():
        pytest.skip("../shared/data/ml-latest-small.zip is absent")
    with zipfile.ZipFile(archive) as opened:
        real_bytes = opened.read("ml-latest-small/ratings.csv")
    generate(SyntheticConfig(n_users=610, n_movies=9_724, n_ratings=100_836), 0, tmp_path)
    made_bytes = (tmp_path / "ratings.csv").read_bytes()
    line = rb"\d+,\d+,[0-5]\.[05],\d{9,10}\r\n"
    for content in (real_bytes, made_bytes):
        assert re.fullmatch(rb"userId,movieId,rating,timestamp\r\n(?:%b){100836}" % line, content)
    real, made = (pd.read_csv(io.BytesIO(content)) for content in (real_bytes, made_bytes))
    for column in ("userId", "movieId"):
        made_counts, real_counts = (frame[column].value_counts() for frame in (made, real))
        assert gini(made_counts) == pytest.approx(gini(real_counts), abs=0.05)
        assert made_counts.median() == pytest.approx(real_counts.median(), rel=0.4)
        assert made_counts.max() == pytest.approx(real_counts.max(), rel=0.7)
    for frame in (made, real):
        assert frame.groupby("userId")["rating"].mean().std() == pytest.approx(0.5, abs=0.05)


# What can be learned.


@pytest.mark.parametrize(("name", "regularization"), [("ratings", 100), ("larger", 300)])
def test_taste_can_be_learned(request, name, regularization):
    """EASE finds what was held out, among the 1,000 best known movies, far better than popularity does."""
    ratings = request.getfixturevalue(name)
    ratings = ratings[ratings["movieId"].isin(ratings["movieId"].value_counts().index[:1_000])]
    user_index = (ratings["userId"].to_numpy() - 1).astype(np.int32)
    movies, movie_index = np.unique(ratings["movieId"], return_inverse=True)
    held_out = np.random.default_rng(0).random(len(ratings)) < 0.2

    def history(part):
        interactions = Interactions(
            user_index[part],
            movie_index[part].astype(np.int32),
            ratings["rating"].to_numpy(np.float32)[part],
            ratings["timestamp"].to_numpy()[part],
        )
        return History.of(interactions, int(user_index.max()) + 1)

    seen, relevant = history(~held_out), history(held_out)
    learned, popular = (
        evaluate_ranking(
            scorer, seen=seen, relevant=relevant, n_movies=len(movies), ks=(10,), intervals=False
        ).means["ndcg@10"]
        for scorer in (ease(seen, len(movies), regularization), most_popular(seen, len(movies)))
    )
    assert learned > 1.3 * popular


def test_stars_follow_users_and_movies(larger):
    """Half of the ratings of a movie foretell the other half, and so it is with users."""
    for column in ("userId", "movieId"):
        means = larger.groupby([column, larger.index % 2])["rating"].agg(["mean", "size"]).unstack()
        known = means[means["size"].min(axis=1) >= 20]["mean"]
        assert np.corrcoef(known.T)[0, 1] > 0.6


# Catalogues.


def test_a_catalogue_is_rated_and_copied(catalogue, tmp_path):
    generate(SyntheticConfig(**FOR_CATALOGUE, catalogue=str(catalogue)), 0, tmp_path / "out")
    for name, content in CATALOGUE.items():
        assert (tmp_path / "out" / name).read_bytes() == content.encode()
    ratings = pd.read_csv(tmp_path / "out" / "ratings.csv")
    # All but the movie from after the last rating.
    assert sorted(ratings["movieId"].unique()) == [5, 7, *range(10, 110, 2)]
    assert len(ratings) == 500


def test_a_relative_path_will_do(catalogue, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for out, path in (("absolute", catalogue), ("relative", catalogue.relative_to(tmp_path))):
        generate(SyntheticConfig(**FOR_CATALOGUE, catalogue=str(path)), 0, tmp_path / out)
    absolute, relative = ((tmp_path / out / "ratings.csv").read_bytes() for out in ("absolute", "relative"))
    assert absolute == relative


def test_links_of_an_earlier_catalogue_do_not_stay(catalogue, tmp_path):
    generate(SyntheticConfig(**FOR_CATALOGUE, catalogue=str(catalogue)), 0, tmp_path / "out")
    generate(SyntheticConfig(), 0, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["movies.csv", "ratings.csv"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "catalogue is not there. Set catalogue to a folder or a .zip"),
        ({}, "has 0 files movies.csv"),
        ({"a/movies.csv": b"", "b/movies.csv": b""}, "has 2 files movies.csv"),
        ({"movies.csv": b"movieId,title,genres\nx,A (1990),War\n"}, "line 2, movieId: 'x'"),
        ({"movies.csv": b"movieId,title,genres\n1,A (1990),War\n"}, "has 1 movies that can be rated"),
    ],
)
def test_a_catalogue_that_cannot_be_used_is_refused(tmp_path, files, message):
    for name, content in (files or {}).items():
        (tmp_path / "catalogue" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "catalogue" / name).write_bytes(content)
    if files == {}:
        (tmp_path / "catalogue").mkdir()
    with pytest.raises(DataError, match=message):
        generate(SyntheticConfig(catalogue=str(tmp_path / "catalogue")), 0, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_an_archive_that_cannot_be_used_is_refused_by_its_name(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"broken\.zip is not a zip archive"):
        generate(SyntheticConfig(catalogue=str(tmp_path / "broken.zip")), 0, tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "wrong.zip", "w") as archive:
        archive.writestr("movies.csv", "movieId,title\n1,A\n")
    with pytest.raises(DataError, match=r"wrong\.zip/movies\.csv, line 1: the header lacks genres"):
        generate(SyntheticConfig(catalogue=str(tmp_path / "wrong.zip")), 0, tmp_path / "out")


def test_the_real_catalogue_can_be_rated(tmp_path):
    archive = SHARED / "ml-25m-catalogue.zip"
    if not archive.is_file():
        pytest.skip("../shared/data/ml-25m-catalogue.zip is absent")
    config = SyntheticConfig(n_users=300, n_movies=5_000, n_ratings=40_000, catalogue=str(archive))
    generate(config, 0, tmp_path)
    rated = pd.read_csv(tmp_path / "ratings.csv")["movieId"]
    assert rated.isin(pd.read_csv(tmp_path / "movies.csv")["movieId"]).all()
    # MovieLens lists what many ask for first.
    assert rated.median() < 5_000


# Memory, progress, interruption.

GENERATE = """
import logging, os, resource, signal, sys
from pathlib import Path
from recommender.data import synthetic

def generate(n_users, n_movies, n_ratings, folder):
    config = synthetic.SyntheticConfig(n_users=n_users, n_movies=n_movies, n_ratings=n_ratings)
    synthetic.generate(config, 0, Path(folder))
"""


def test_memory_does_not_grow_with_ratings(tmp_path):
    script = (
        f"{GENERATE}\n"
        "synthetic._MOST_THREADS, synthetic._RATINGS_A_BLOCK = 1, 2**16\n"
        "generate(2_500, 4_000, int(sys.argv[1]), sys.argv[2])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    sizes = (100_000, 1_000_000)
    small, large = (int(run(script, size, tmp_path / str(size)).stdout) / 1024 for size in sizes)
    # As a table of four columns of 8 bytes the larger one's rows would take 31 MiB, as text 24 more.
    assert large - small < 30, (small, large)


def test_progress_is_told(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(synthetic, "_RATINGS_A_BLOCK", 2_000)
    monkeypatch.setattr(synthetic, "_SECONDS_BETWEEN_REPORTS", 0)
    with caplog.at_level(logging.INFO):
        generate(SyntheticConfig(), 0, tmp_path)
    assert "of 8000 ratings (100 %)" in caplog.text
    assert "Made up 8000 ratings of 300 movies by 200 users" in caplog.text


STOPPED = f"""{GENERATE}
class Stop(logging.Handler):
    def emit(self, record):
        if "of 8000 ratings" in record.getMessage():
            os.kill(os.getpid(), int(sys.argv[2]))

logging.basicConfig(level=logging.INFO, handlers=[Stop()])
synthetic._RATINGS_A_BLOCK, synthetic._SECONDS_BETWEEN_REPORTS = 500, 0
generate(200, 300, 8_000, sys.argv[1])
"""


def test_a_killed_run_leaves_nothing_that_looks_whole_and_the_next_one_mends_it(folder, tmp_path):
    stopped = run(STOPPED, tmp_path, int(signal.SIGKILL))
    assert stopped.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.csv.unfinished"]
    generate(SyntheticConfig(), 7, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["movies.csv", "ratings.csv"]
    assert (tmp_path / "ratings.csv").read_bytes() == (folder / "ratings.csv").read_bytes()


def test_an_interrupted_run_leaves_what_was_there(folder, tmp_path):
    generate(SyntheticConfig(), 7, tmp_path)
    stopped = run(STOPPED, tmp_path, int(signal.SIGINT))
    assert "KeyboardInterrupt" in stopped.stderr
    for name in ("movies.csv", "ratings.csv"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    assert len(list(tmp_path.iterdir())) == 2
