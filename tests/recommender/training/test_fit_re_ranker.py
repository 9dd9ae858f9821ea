"""Re-ranking: better than retrieval, nothing leaks, nothing seen comes back, the same when loaded again."""

import subprocess
import sys

import numpy as np
import pytest

from recommender.errors import TrainingError
from recommender.evaluation.baselines import most_popular
from recommender.evaluation.evaluator import evaluate_ranking
from recommender.features.transformed_examples import History, Interactions
from recommender.models.re_ranker_configuration import ReRankerConfig
from recommender.retrieval.candidate_features import CandidateFeatures
from recommender.retrieval.neighbours import NeighboursConfig
from recommender.retrieval.re_rank import recall, two_stage
from recommender.training.fit_re_ranker import fit_re_ranker, write_re_ranker

CONFIG = ReRankerConfig(
    candidates=100,
    neighbours=(
        NeighboursConfig(piece_length=None, regularization=30.0),
        NeighboursConfig(piece_length=10, regularization=10.0),
    ),
    batch_size=16,
    epochs=6,
)


@pytest.fixture(scope="module")
def fitted(transformed):
    """A re-ranker on top of the most popular movies."""
    train, validation = parts(transformed)
    retrieval = most_popular(History.of(train, transformed.n_users), transformed.n_movies)
    return fit_re_ranker(transformed, CONFIG, 5, train, validation, retrieval)


def parts(transformed):
    return transformed.interactions("train").known(), transformed.interactions("validation").known()


def features_of(transformed, part):
    return CandidateFeatures.fit(History.of(part, transformed.n_users), transformed, CONFIG)


def test_movies_are_ordered_better_than_they_were_recalled(fitted, transformed):
    train, validation = parts(transformed)
    seen, n_movies = History.of(train + validation, transformed.n_users), transformed.n_movies
    relevant = History.of(transformed.interactions("test").known(), transformed.n_users)
    retrieval = most_popular(seen, n_movies)
    ranking = fitted.ranking(features_of(transformed, train + validation))
    scorers = retrieval, two_stage(retrieval, ranking, seen, n_movies, CONFIG.candidates)
    recalled, ordered = (
        evaluate_ranking(scorer, seen=seen, relevant=relevant, n_movies=n_movies, ks=(10,)).means["ndcg@10"]
        for scorer in scorers
    )
    assert ordered > recalled


def test_what_follows_nothing_is_not_learned(transformed):
    train, _ = parts(transformed)
    n_users, n_movies = transformed.n_users, transformed.n_movies
    generator = np.random.default_rng(6)
    # Every user has a secret favourite. Only somebody who saw the labels could put it first.
    favourite = generator.permuted(np.tile(np.arange(n_movies), (n_users, 1)), axis=1)[:, :2].astype(np.int32)
    labels = Interactions(
        np.repeat(np.arange(n_users, dtype=np.int32), 2),
        favourite.ravel(),
        np.full(2 * n_users, 5.0, np.float32),
        np.zeros(2 * n_users, np.int64),
    )
    retrieval = most_popular(History.of(train, n_users), n_movies)
    learned = fit_re_ranker(transformed, CONFIG, 5, train, labels, retrieval)
    # By chance a favourite is among 10 of 100 candidates once in ten, and then rarely first.
    assert max(learned.curves["val_ndcg@10"]) < 0.15


def test_seen_movies_never_come_back_and_only_candidates_are_scored(fitted, transformed):
    train, _ = parts(transformed)
    seen, n_movies = History.of(train, transformed.n_users), transformed.n_movies
    scorer = two_stage(
        most_popular(seen, n_movies), fitted.ranking(features_of(transformed, train)), seen, n_movies, 100
    )
    scores = scorer(10, 30)
    rows = seen.rows(10, 30)
    assert np.isneginf(scores[rows.user_of_each(), rows.movie_index]).all()
    assert (np.isfinite(scores).sum(axis=1) == 100).all()


def test_a_user_alone_gets_the_scores_that_all_users_together_get(fitted, transformed):
    train, _ = parts(transformed)
    seen, n_movies = History.of(train, transformed.n_users), transformed.n_movies
    retrieval, ranking = most_popular(seen, n_movies), fitted.ranking(features_of(transformed, train))
    together = two_stage(retrieval, ranking, seen, n_movies, 100)(0, transformed.n_users)
    best, best_scores = recall(retrieval, seen, n_movies, 100, 7, 8)
    alone = ranking.scores(seen.rows(7, 8), best, best_scores)
    np.testing.assert_allclose(alone[0], together[7, best[0]], rtol=1e-4, atol=1e-5)


def test_a_user_who_has_seen_nearly_all_has_empty_places(fitted, transformed):
    n_movies = transformed.n_movies
    rated = np.arange(n_movies - 3, dtype=np.int32)
    seen = History(np.array([0, len(rated)]), rated, np.full(len(rated), 3.0, np.float32))
    ranking = fitted.ranking(features_of(transformed, parts(transformed)[0]))
    scores = two_stage(most_popular(seen, n_movies), ranking, seen, n_movies, 100)(0, 1)
    assert np.flatnonzero(np.isfinite(scores[0])).tolist() == [n_movies - 3, n_movies - 2, n_movies - 1]


def test_one_seed_gives_one_result(fitted, transformed):
    train, validation = parts(transformed)
    retrieval = most_popular(History.of(train, transformed.n_users), transformed.n_movies)
    again = fit_re_ranker(transformed, CONFIG, 5, train, validation, retrieval)
    for first, second in zip(fitted.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_no_more_users_are_learned_from_than_wanted(transformed):
    train, validation = parts(transformed)
    popular = most_popular(History.of(train, transformed.n_users), transformed.n_movies)
    asked = []

    def retrieval(start, stop):
        asked.extend(range(start, stop))
        return popular(start, stop)

    fit_re_ranker(transformed, CONFIG.model_copy(update={"users": 40}), 5, train, validation, retrieval)
    assert len(asked) == len(set(asked)) == 40 < transformed.n_users


def test_without_labels_among_the_candidates_there_is_nothing_to_learn(transformed):
    train, validation = parts(transformed)
    retrieval = most_popular(History.of(train, transformed.n_users), transformed.n_movies)
    with pytest.raises(TrainingError, match=r"0 users have a validation rating .*validation_size"):
        fit_re_ranker(transformed, CONFIG, 5, train, validation.none(), retrieval)


def test_a_saved_re_ranker_gives_the_same_scores_in_a_fresh_process(fitted, transformed, tmp_path):
    train, _ = parts(transformed)
    seen = History.of(train, transformed.n_users)
    features = features_of(transformed, train)
    write_re_ranker(fitted.model, features, CONFIG.candidates, tmp_path / "re_ranker")
    best, best_scores = recall(
        most_popular(seen, transformed.n_movies), seen, transformed.n_movies, 100, 0, 20
    )
    expected = fitted.ranking(features).scores(seen.rows(0, 20), best, best_scores)
    rows = seen.rows(0, 20)
    np.savez(
        tmp_path / "asked.npz",
        row_splits=rows.row_splits,
        movie_index=rows.movie_index,
        rating=rows.rating,
        best=best,
        best_scores=best_scores,
    )
    script = f"""
import sys
import numpy as np
from pathlib import Path
from recommender.features.history import History
from recommender.retrieval.re_rank import ReRanking
folder = Path({str(tmp_path)!r})
asked = dict(np.load(folder / "asked.npz"))
history = History(asked["row_splits"], asked["movie_index"], asked["rating"])
second = ReRanking.load(folder / "re_ranker")
assert second.candidates == {CONFIG.candidates}
np.save(folder / "scores.npy", second.ranking.scores(history, asked["best"], asked["best_scores"]))
one = second.ranking.scores(history.rows(0, 1), asked["best"][:1], asked["best_scores"][:1])
np.save(folder / "one.npy", one)
assert not {{"tensorflow", "ibis", "implicit"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.load(tmp_path / "one.npy"), expected[:1], rtol=1e-4, atol=1e-5)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
