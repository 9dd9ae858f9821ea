"""Recommending from a release: two stages, any history, and what remains when something is missing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.errors import IndexUnavailableError
from recommender.release import PARTS, History, Release, write_release
from recommender.retrieval.batch import recommend_all
from recommender.retrieval.edge_index import EdgeMovieIndex
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.recommend import Recommender
from tests.conftest import manifest_of

NOBODY = 10**9


@pytest.fixture(scope="module")
def release(two_stage_release: Path) -> Release:
    return Release.load(two_stage_release)


@pytest.fixture(scope="module")
def recommender(release: Release) -> Any:
    index = EdgeMovieIndex.open(release.index_folder)
    yield Recommender(release, index)
    index.close()


def without(parts: dict[str, Path], names: set[str], releases: Path) -> Recommender:
    """A recommender on a release that lacks some parts."""
    kept = {name: path for name, path in parts.items() if name not in names}
    release = Release.load(releases / write_release(releases, kept, manifest_of(kept)))
    return Recommender(release, ExactMovieIndex(release.movie_ids, release.movie_vectors))


def given(movie_ids: list[int], ratings: list[float]) -> History:
    return History(
        np.array(movie_ids, np.int64), np.array(ratings, np.float32), np.zeros(len(movie_ids), np.int64)
    )


def ids(found: Any) -> list[int]:
    return [movie.movie_id for movie in found.movies]


def test_a_known_user_gets_what_was_recommended_to_everybody_in_advance(
    recommender: Recommender, release: Release
) -> None:
    table = recommend_all(release, 10)
    users = table["user_id"].to_numpy()
    for user_id in release.user_ids.tolist():
        found = recommender.recommend(user_id, 10)
        of_user = table.filter(users == user_id)
        assert found.strategy == "two_stage"
        assert ids(found) == of_user["movie_id"].to_pylist()
        np.testing.assert_allclose(
            [movie.score for movie in found.movies], of_user["score"].to_numpy(), rtol=1e-4, atol=1e-4
        )


def test_the_order_is_anew_but_of_what_the_vectors_recall(recommender: Recommender, release: Release) -> None:
    position = release.user_position(7)
    scores = release.movie_vectors @ release.user_vectors[position]
    scores[release.movie_positions(release.history_of(7).movie_ids)] = -np.inf
    recalled = release.movie_ids[np.argsort(-scores, kind="stable")[:40]].tolist()
    found = recommender.recommend(7, 40)
    assert sorted(ids(found)) == sorted(recalled)
    assert ids(found) != recalled
    assert [movie.score for movie in found.movies] == sorted(
        (movie.score for movie in found.movies), reverse=True
    )


def test_more_may_be_asked_for_than_is_recalled_for_less(recommender: Recommender, release: Release) -> None:
    assert len(ids(recommender.recommend(7, 100))) == 100
    everything = ids(recommender.recommend(7, len(release.movie_ids)))
    assert set(everything) == set(release.movie_ids.tolist()) - set(release.history_of(7).movie_ids.tolist())


def test_a_predicted_rating_is_within_the_scale_and_the_user_s_own(
    recommender: Recommender, release: Release
) -> None:
    movies = release.movie_ids[:3].tolist()
    harsh, mild = (recommender.recommend_for(given(movies, [stars] * 3), 20) for stars in (0.5, 5.0))
    predicted = {movie.movie_id: movie.predicted_rating for movie in harsh.movies}
    for movie in mild.movies:
        assert 0.5 <= movie.predicted_rating <= 5.0
        if movie.movie_id in predicted:
            assert predicted[movie.movie_id] < movie.predicted_rating


def test_a_stranger_s_ratings_decide_and_none_of_them_comes_back(
    recommender: Recommender, release: Release
) -> None:
    first, second = (release.history_of(user_id) for user_id in (3, 90))
    answers = [recommender.recommend_for(history, 10) for history in (first, second)]
    for history, found in zip((first, second), answers, strict=True):
        assert found.strategy == "two_stage"
        assert len(ids(found)) == 10
        assert not set(ids(found)) & set(history.movie_ids.tolist())
    assert ids(answers[0]) != ids(answers[1])


def test_what_a_known_user_rates_next_counts_at_once(recommender: Recommender, release: Release) -> None:
    before, rated = recommender.recommend(12, 10), release.history_of(12)
    more = History(
        np.append(rated.movie_ids, ids(before)[0]),
        np.append(rated.ratings, np.float32(5.0)),
        np.append(rated.timestamps, rated.timestamps.max() + 60),
    )
    after = recommender.recommend_for(more, 10, 12)
    assert ids(before)[0] not in ids(after)
    scores = {movie.movie_id: movie.score for movie in before.movies}
    assert any(scores[movie.movie_id] != movie.score for movie in after.movies if movie.movie_id in scores)


def test_unknown_movies_are_named_and_passed_over(recommender: Recommender, release: Release) -> None:
    movies = release.movie_ids[:2].tolist()
    plain = recommender.recommend_for(given(movies, [4.0, 2.0]), 5)
    found = recommender.recommend_for(given([NOBODY, movies[0], -3, movies[1]], [1.0, 4.0, 5.0, 2.0]), 5)
    assert found.unknown_movie_ids == (NOBODY, -3)
    assert found.movies == plain.movies


def test_the_last_rating_of_a_movie_counts(recommender: Recommender, release: Release) -> None:
    first, second = release.movie_ids[:2].tolist()
    twice = recommender.recommend_for(given([second, first, second], [0.5, 4.0, 5.0]), 5)
    assert twice == recommender.recommend_for(given([first, second], [4.0, 5.0]), 5)


@pytest.mark.parametrize("history", [given([], []), given([NOBODY], [5.0])], ids=["nothing", "unknown movie"])
def test_without_a_usable_history_the_popular_movies_come(
    history: History, recommender: Recommender, release: Release
) -> None:
    for user_id in (None, 12, NOBODY):
        found = recommender.recommend_for(history, 4, user_id)
        assert found.strategy == "popular"
        assert ids(found) == release.popular_movie_ids[:4].tolist()
        assert found.movies[0].predicted_rating is None
    assert recommender.recommend(NOBODY, 4).strategy == "popular"


@pytest.mark.parametrize("ratings", [[4.0], [4.0, float("nan")]])
def test_a_history_that_does_not_fit_together_is_refused(
    ratings: list[float], recommender: Recommender
) -> None:
    history = History(np.array([1, 2]), np.array(ratings, np.float32), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="one finite rating"):
        recommender.recommend_for(history, 3)


def test_a_failing_index_changes_no_answer(
    recommender: Recommender, release: Release, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing:
        def search(self, *_: Any, **__: Any) -> Any:
            raise IndexUnavailableError("The index did not answer.")

    exact = Recommender(release, Failing())
    for user_id in (3, 12, 90):
        assert ids(exact.recommend(user_id, 10)) == ids(recommender.recommend(user_id, 10))
    assert "Searching the release's vectors instead" in caplog.text


def test_without_a_re_ranker_the_order_of_retrieval_stands(
    trained_parts: dict[str, Path], recommender: Recommender, release: Release, tmp_path: Path
) -> None:
    plain = without(trained_parts, {"re_ranker"}, tmp_path)
    found = plain.recommend(7, 10)
    assert found.strategy == "two_tower"
    scores = release.movie_vectors @ release.user_vectors[release.user_position(7)]
    scores[release.movie_positions(release.history_of(7).movie_ids)] = -np.inf
    assert ids(found) == release.movie_ids[np.argsort(-scores, kind="stable")[:10]].tolist()
    # What is predicted of a movie does not depend on its place.
    everything = recommender.recommend(7, len(release.movie_ids)).movies
    predicted = {movie.movie_id: movie.predicted_rating for movie in everything}
    assert None not in predicted.values()
    assert [movie.predicted_rating for movie in found.movies] == pytest.approx(
        [predicted[movie.movie_id] for movie in found.movies]
    )
    assert recommend_all(plain.release, 10)["movie_id"].to_pylist()[:10] == ids(plain.recommend(1, 10))
    assert plain.recommend_for(release.history_of(7), 10).strategy == "two_tower"


def test_a_release_from_before_there_were_two_stages_is_served_as_it_was(
    trained_parts: dict[str, Path], release: Release, tmp_path: Path
) -> None:
    old = without(trained_parts, set(trained_parts) - set(PARTS), tmp_path)
    found = old.recommend(7, 10)
    assert found.strategy == "two_tower"
    assert {movie.predicted_rating for movie in found.movies} == {None}
    # It cannot compute vectors: a user it knows keeps the own one, a stranger gets what is popular.
    history = release.history_of(7)
    assert old.recommend_for(history, 10, 7) == found
    assert old.recommend_for(history, 10).strategy == "popular"


def test_the_service_s_part_of_it_needs_no_heavy_library(two_stage_release: Path) -> None:
    script = """
import sys
from pathlib import Path
from recommender.release import Release
from recommender.retrieval.edge_index import EdgeMovieIndex
from recommender.retrieval.recommend import Recommender
release = Release.load(Path(sys.argv[1]))
index = EdgeMovieIndex.open(release.index_folder)
found = Recommender(release, index).recommend_for(release.history_of(3), 5)
heavy = {"tensorflow", "ibis", "duckdb", "implicit", "mlflow", "kfp"} & set(sys.modules)
assert not heavy, heavy
print(*(movie.movie_id for movie in found.movies))
"""
    printed = subprocess.run(
        [sys.executable, "-c", script, str(two_stage_release)], check=True, capture_output=True, text=True
    )
    assert len(printed.stdout.split()) == 5
