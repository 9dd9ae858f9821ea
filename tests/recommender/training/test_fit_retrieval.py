"""What validation chooses once the towers are trained."""

import numpy as np
import pytest

from recommender.features.transformed_examples import History
from recommender.models.configuration import RecentPopularityConfig, TwoTowerConfig, UserTowerConfig
from recommender.training.configuration import TrainerConfig
from recommender.training.fit_retrieval import fit_retrieval

CONFIG = TrainerConfig(
    epochs=1,
    model=TwoTowerConfig(
        dimension=8,
        loss="reconstruction",
        recent_popularity=RecentPopularityConfig(days=300, weights=(0, 3)),
        user_tower=UserTowerConfig(half_lives=(4.0,)),
    ),
)


@pytest.fixture(scope="module")
def parts(transformed):
    return tuple(transformed.interactions(part).known() for part in ("train", "validation"))


def fitted(transformed, parts, validation, **more):
    train, _ = parts
    return fit_retrieval(transformed, CONFIG, 1, ("train",), train, validation, 1, [], **more)


def test_validation_chooses_among_the_half_lives_and_the_weights(transformed, parts):
    chosen = fitted(transformed, parts, parts[1]).chosen
    assert chosen["half_life"] in (np.inf, 4.0)
    assert chosen["recent_weight"] in (0, 3)


def test_where_there_is_no_validation_part_another_fits_choice_is_taken(transformed, parts):
    chosen = {"half_life": 4.0, "recent_weight": 3.0}
    model = fitted(transformed, parts, parts[1].none(), chosen=chosen).model
    assert float(model.user_tower.half_life) == 4.0
    first = fitted(transformed, parts, parts[1].none())
    assert first.chosen == {"half_life": np.inf, "recent_weight": 0}
    recent = [each.movie_vectors()[:, -1].std() for each in (model, first.model)]
    assert recent[0] > recent[1] == 0
    # The scores of recent popularity differ three times as much as the learned ones.
    history = History.of(parts[0], transformed.n_users)
    users, movies = model.user_vectors(history), model.movie_vectors()
    assert recent[0] == pytest.approx(3 * np.std(users[:, :8] @ movies[:, :8].T), rel=0.05)
