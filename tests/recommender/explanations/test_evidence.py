"""Evidence comes from the models themselves, and adds up to the score that they gave."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.explanations.evidence import NAMED, Evidence, Explainer
from recommender.explanations.likings import FEWEST, Likings
from recommender.explanations.reasons import only, reasons_of
from recommender.features import history as by_position
from recommender.release import PARTS, History, Release, write_release
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.recommend import Recommender
from tests.conftest import manifest_of

TOLERANCE = 1e-4


def recommender_of(release: Release) -> Recommender:
    return Recommender(release, ExactMovieIndex(release.movie_ids, release.movie_vectors))


@pytest.fixture(scope="module")
def two_stages(two_stage_release: Path) -> Recommender:
    return recommender_of(Release.load(two_stage_release))


@pytest.fixture(scope="module")
def one_stage(trained_parts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    kept = {name: path for name, path in trained_parts.items() if name != "re_ranker"}
    releases = tmp_path_factory.mktemp("one stage") / "releases"
    return recommender_of(Release.load(releases / write_release(releases, kept, manifest_of(kept))))


@pytest.fixture(scope="module")
def explainers(two_stages: Recommender, one_stage: Recommender) -> dict[str, tuple[Recommender, Explainer]]:
    return {
        "two_stage": (two_stages, Explainer(two_stages)),
        "two_tower": (one_stage, Explainer(one_stage)),
    }


def total_of(evidence: Evidence) -> float:
    named = sum(ground.contribution for ground in evidence.grounds)
    return named + evidence.other_ratings + sum(evidence.parts.values())


def rated(release: Release, choice: dict[int, float]) -> History:
    positions = np.array(list(choice), np.int64)
    ratings = np.array(list(choice.values()), np.float32)
    return History(release.movie_ids[positions], ratings, np.zeros(len(positions), np.int64))


histories = st.dictionaries(
    st.integers(0, 299), st.integers(1, 10).map(lambda half_stars: half_stars / 2), min_size=1, max_size=40
)


@pytest.mark.parametrize("strategy", ["two_stage", "two_tower"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
def test_contributions_add_up_to_the_score_whatever_was_rated(
    strategy: str, history: dict[int, float], explainers: dict[str, Any]
) -> None:
    recommender, explainer = explainers[strategy]
    found = recommender.recommend_for(rated(recommender.release, history), 10)
    evidence = explainer.explain(found)
    assert found.strategy == strategy
    assert [each.movie.movie_id for each in evidence] == [movie.movie_id for movie in found.movies]
    for each, movie in zip(evidence, found.movies, strict=True):
        assert total_of(each) == pytest.approx(movie.score, abs=TOLERANCE)
        assert len(each.grounds) <= NAMED
        added = [ground.contribution for ground in each.grounds]
        assert added == sorted(added, reverse=True)
        assert all(value > 0 for value in added)
        assert {ground.movie.movie_id for ground in each.grounds} <= set(
            recommender.release.movie_ids[list(history)].tolist()
        )


def test_a_contribution_by_the_vector_is_the_movie_s_share_times_what_sets_the_other_apart(
    explainers: dict[str, Any],
) -> None:
    recommender, explainer = explainers["two_tower"]
    release = recommender.release
    history = rated(release, {3: 5.0, 40: 2.0, 120: 4.5})
    found = recommender.recommend_for(history, 5)
    asking = found.grounds.asking
    shares = recommender.online.shares(
        -1, asking.rated.positions, asking.rated.ratings, asking.rated.timestamps
    )
    centre = release.movie_vectors.mean(axis=0)
    for each in explainer.explain(found):
        apart = release.movie_vectors[release.movie_position(each.movie.movie_id)] - centre
        of_movie = dict(zip(release.movie_ids[asking.rated.positions].tolist(), shares @ apart, strict=True))
        for ground in each.grounds:
            assert ground.by_retrieval == pytest.approx(of_movie[ground.movie.movie_id], abs=1e-6)
            assert ground.by_neighbours == 0
        assert each.parts["base"] == pytest.approx(float(asking.vector @ centre), abs=1e-6)


def test_evidence_of_neighbours_is_what_the_re_ranker_sees(two_stages: Recommender) -> None:
    found = two_stages.recommend_for(rated(two_stages.release, {3: 5.0, 40: 2.0, 120: 4.5, 7: 3.0}), 5)
    grounds = found.grounds
    positions = grounds.asking.rated.positions
    of_one = by_position.History(np.array([0, len(positions)]), positions, grounds.asking.rated.ratings)
    for neighbours in two_stages.re_ranking.ranking.features.neighbours:
        between = neighbours.weights_between(positions, grounds.candidates)
        expected = neighbours.evidence(of_one, grounds.candidates[np.newaxis])[0]
        np.testing.assert_allclose(neighbours.counts(of_one) @ between, expected, atol=1e-5)


def test_the_same_is_said_of_one_movie_as_of_the_list_it_is_in(explainers: dict[str, Any]) -> None:
    recommender, explainer = explainers["two_stage"]
    found = recommender.recommend(7, 10)
    rank, alone = only(found, found.movies[4].movie_id)
    assert rank == 5
    one, among = explainer.explain(alone)[0], explainer.explain(found)[4]
    assert [ground.movie for ground in one.grounds] == [ground.movie for ground in among.grounds]
    assert one.parts == pytest.approx(among.parts, abs=1e-5)
    assert only(found, -1) is None


def test_what_is_shared_is_what_both_movies_have(explainers: dict[str, Any]) -> None:
    recommender, explainer = explainers["two_stage"]
    for user_id in (1, 50, 120):
        history = recommender.release.history_of(user_id)
        given_to = dict(zip(history.movie_ids.tolist(), history.ratings.tolist(), strict=True))
        for each in explainer.explain(recommender.recommend(user_id, 10)):
            for ground in each.grounds:
                assert set(ground.shared_genres) == set(ground.movie.genres) & set(each.movie.genres)
                assert ground.rating == given_to[ground.movie.movie_id]
                years = (ground.movie.release_year, each.movie.release_year)
                assert ground.years_apart == (None if None in years else abs(years[0] - years[1]))


def test_people_are_counted_as_by_hand(two_stages: Recommender) -> None:
    release = two_stages.release
    likings = Likings.of_release(release, 3.5)
    liked, seen = {}, {}
    for user_id in release.raters.tolist():
        history = release.history_of(user_id)
        threshold = max(history.ratings.mean(), 3.5) - 1e-4
        seen[user_id] = set(history.movie_ids.tolist())
        liked[user_id] = set(history.movie_ids[history.ratings >= threshold].tolist())
    popular = release.popular_positions[:6]
    for movie in popular[:3].tolist():
        about = int(release.movie_ids[movie])
        for other, found in zip(popular, likings.of(movie, popular.tolist()), strict=True):
            liked_other = [user for user in liked if int(release.movie_ids[other]) in liked[user]]
            both_rated = sum(about in seen[user] for user in liked_other)
            if both_rated < FEWEST:
                assert found is None
            else:
                assert (found.rated, found.liked) == (
                    both_rated,
                    sum(about in liked[user] for user in liked_other),
                )
    assert Likings.of_release(release, 3.5, most_ratings=500).n_people < likings.n_people


def test_nothing_is_made_up_where_nothing_is_known(
    explainers: dict[str, Any], trained_parts: dict[str, Path], tmp_path: Path
) -> None:
    recommender, explainer = explainers["two_stage"]
    popular = recommender.recommend_for(rated(recommender.release, {}), 3)
    assert explainer.explain(popular) is None
    old = {name: path for name, path in trained_parts.items() if name in PARTS}
    release = Release.load(tmp_path / write_release(tmp_path, old, manifest_of(old)))
    found = recommender_of(release).recommend(7, 3)
    reasons = reasons_of(Explainer(recommender_of(release)), found, release.history_of(7))
    assert [reason.evidence for reason in reasons] == [None] * 3
    assert all(reason.text for reason in reasons)
