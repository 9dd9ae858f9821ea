"""Paired comparison: sees what two separate intervals hide."""

import numpy as np
import pytest

from recommender.evaluation.comparison import compare
from recommender.evaluation.evaluator import evaluate_ranking
from recommender.features.transformed_examples import History

N_USERS, N_MOVIES = 400, 40


def history(users):
    lengths = [len(movies) for movies in users]
    return History(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([np.asarray(movies, np.int32) for movies in users]),
        np.full(sum(lengths), 4.0, np.float32),
    )


def judge(scores, relevant, seed=0, **more):
    nothing = history([[] for _ in range(relevant.n_users)])
    return evaluate_ranking(
        lambda start, stop: scores[start:stop],
        seen=nothing,
        relevant=relevant,
        n_movies=scores.shape[1],
        ks=(10,),
        seed=seed,
        **more,
    )


@pytest.fixture(scope="module")
def judged():
    """A model, and the same with each user's list made a little better where it can be."""
    generator = np.random.default_rng(1)
    relevant = history([generator.permutation(N_MOVIES)[: generator.integers(1, 20)] for _ in range(N_USERS)])
    scores = generator.random((N_USERS, N_MOVIES)).astype(np.float32)
    better = scores.copy()
    better[relevant.user_of_each(), relevant.movie_index] += 0.02
    return judge(better, relevant), judge(scores, relevant)


def test_a_small_difference_on_the_same_users_is_seen(judged):
    better, model = judged
    # The separate intervals overlap: side by side they could not tell.
    assert better.intervals["ndcg@10"][0] < model.intervals["ndcg@10"][1]
    found = compare(better, model)["ndcg@10"]
    difference = better.means["ndcg@10"] - model.means["ndcg@10"]
    assert found.difference == pytest.approx(difference)
    assert 0 < found.difference_interval[0] < difference < found.difference_interval[1]
    assert found.ratio == pytest.approx(better.means["ndcg@10"] / model.means["ndcg@10"])
    assert 1 < found.ratio_interval[0] < found.ratio < found.ratio_interval[1]
    assert found.better_share == 1.0


def test_the_interval_is_that_of_the_mean_of_differences(judged):
    better, model = judged
    differences = better.per_user["ndcg@10"] - model.per_user["ndcg@10"]
    half = 1.96 * differences.std() / np.sqrt(N_USERS)
    low, high = compare(better, model)["ndcg@10"].difference_interval
    assert low == pytest.approx(differences.mean() - half, abs=half / 5)
    assert high == pytest.approx(differences.mean() + half, abs=half / 5)


def test_a_model_is_no_better_than_itself(judged):
    _, model = judged
    found = compare(model, model)["ndcg@10"]
    assert (found.difference, found.ratio, found.better_share) == (0.0, 1.0, 0.0)
    assert found.difference_interval == (0.0, 0.0)


def test_there_is_no_ratio_to_nothing():
    relevant = history([[0], [0]])
    hit, miss = (
        judge(np.tile(np.array(row, np.float32), (2, 1)), relevant)
        for row in ([9.0, *[1.0] * 10, 0.0], [0.0, *[1.0] * 10, 9.0])
    )
    found = compare(hit, miss)["recall@10"]
    assert (found.difference, found.ratio, found.ratio_interval) == (1.0, None, None)


def test_models_judged_on_other_users_are_not_compared(judged):
    model, _ = judged
    one = judge(np.ones((N_USERS, N_MOVIES), np.float32), history([[0]] * (N_USERS - 1) + [[]]))
    without = judge(np.ones((2, N_MOVIES), np.float32), history([[0], [1]]), intervals=False)
    for other in (one, without):
        with pytest.raises(ValueError, match="on the same users"):
            compare(model, other)
