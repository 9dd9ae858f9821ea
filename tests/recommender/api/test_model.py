"""A model in a notebook: trained as the pipeline trains, answering as the service answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recommender import Model, MovieFilter, load_ratings, train
from recommender.errors import DataError, ReleaseError
from recommender.explanations.evidence import Evidence
from recommender.release import Release, verify_release
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.recommend import Recommender

# The training of the fixture `trained_parts`.
CONFIG = {
    "seed": 7,
    "trainer": {
        "epochs": 3,
        "batch_size": 32,
        "schedule": "constant",
        "clip_norm": 1.0,
        "model": {
            "dimension": 8,
            "loss": "full_softmax",
            "low_rank_ease": None,
            "recent_popularity": None,
            "user_tower": {
                "use_id": True,
                "use_features": True,
                "share_movie_embedding": False,
                "half_lives": [],
            },
            "movie_tower": {"new_movies": None},
        },
        "ranking": {"epochs": 2},
        "re_ranker": {"candidates": 40, "epochs": 2},
    },
}


@pytest.fixture(scope="module")
def model(ratings_folder: Path) -> Model:
    return train(load_ratings(ratings_folder), CONFIG)


def test_a_model_is_what_the_steps_of_the_pipeline_make(model: Model, two_stage_release: Path):
    theirs = Release.load(two_stage_release)
    np.testing.assert_array_equal(model.release.movie_vectors, theirs.movie_vectors)
    np.testing.assert_array_equal(model.release.user_vectors, theirs.user_vectors)
    pd.testing.assert_frame_equal(model.recommend(42), Model(theirs).recommend(42))


def test_metrics_are_those_of_the_evaluation(model: Model):
    table = model.metrics(5)
    assert table.index.tolist() == ["retrieval", "two_stage", "ease", "most_popular"]
    assert table.loc["two_stage", "ndcg"] == model.evaluation.means["ndcg@5"]
    assert table.loc["ease", "recall"] == model.evaluation.baselines["ease"]["recall@5"]
    with pytest.raises(ValueError, match="k is 7"):
        model.metrics(7)


def test_answers_are_those_of_the_recommender(model: Model):
    release = model.release
    expected = Recommender(release, ExactMovieIndex.of_release(release)).recommend(42, 10).movies
    answer = model.recommend(42, 10)
    assert answer["movie_id"].tolist() == [movie.movie_id for movie in expected]
    assert answer["title"].tolist() == [release.movie(movie.movie_id).title for movie in expected]
    assert answer["predicted_rating"].tolist() == [movie.predicted_rating for movie in expected]
    assert answer.index.tolist() == list(range(1, 11))


def test_rated_movies_never_come_back(model: Model):
    seen = model.release.history_of(42).movie_ids
    assert not set(model.recommend(42, 300)["movie_id"]) & set(seen.tolist())
    given = {5: 5.0, 7: 4.5}
    assert not set(model.recommend_for(given, 300)["movie_id"]) & set(given)


def test_ratings_may_be_pairs_or_a_mapping(model: Model):
    pd.testing.assert_frame_equal(
        model.recommend_for({5: 5, 7: 4.5}), model.recommend_for([(5, 5), (7, 4.5)])
    )


def test_a_filter_holds_for_every_answer(model: Model):
    drama = MovieFilter(genres_any=("Drama",))
    for answer in (
        model.recommend(42, filter=drama),
        model.recommend_for({5: 5}, filter=drama),
        model.similar(5, filter=drama),
    ):
        assert len(answer)
        assert answer["genres"].str.contains("Drama").all()


def test_who_is_not_known_gets_popular_movies_and_no_predicted_ratings(model: Model):
    answer = model.recommend(-1, 5)
    assert answer["movie_id"].tolist() == model.release.popular_movie_ids[:5].tolist()
    assert answer["predicted_rating"].isna().all()
    assert model.explain(-1, 5).reason.startswith("Popular: rated by")


def test_an_explanation_names_what_was_liked(model: Model):
    movie_id = int(model.recommend(42, 1)["movie_id"].item())
    why = model.explain(42, movie_id)
    assert isinstance(why.evidence, Evidence)
    of_ratings = sum(ground.contribution for ground in why.evidence.grounds) + why.evidence.other_ratings
    assert why.evidence.score == pytest.approx(of_ratings + sum(why.evidence.parts.values()), abs=1e-4)
    assert {movie.movie_id for movie in why.rated} <= set(model.release.history_of(42).movie_ids.tolist())
    assert why.movie.movie_id == movie_id
    assert why.reason == model.recommend(42, 1)["reason"].item()


def test_a_title_is_found_in_spite_of_a_typo(model: Model):
    title = model.release.titles[3]
    assert model.find(title)["title"].iloc[0] == title
    assert title in model.find(title.replace("e", "", 1))["title"].tolist()
    assert model.find("").empty


def test_an_unknown_movie_is_told_so(model: Model):
    for ask in (model.similar, lambda movie_id: model.explain(42, movie_id)):
        with pytest.raises(DataError, match="knows no movie 99999"):
            ask(99_999)


def test_a_saved_model_is_a_release_that_answers_the_same(model: Model, tmp_path: Path):
    folder = model.save(tmp_path / "releases")
    verify_release(folder)
    assert model.save(tmp_path / "releases") == folder
    assert Release.load(folder).manifest.content_digest == model.release.manifest.content_digest
    again = Model.open(folder)
    pd.testing.assert_frame_equal(again.recommend(42), model.recommend(42))
    assert again.evaluation == model.evaluation
    (folder / "movies.parquet").write_bytes(b"")
    with pytest.raises(ReleaseError, match="was altered"):
        Model.open(folder)


def test_everybodys_recommendations_are_those_of_each(model: Model):
    everybody = model.recommend_all(5)
    mine = everybody.loc[everybody["user_id"] == 42, "movie_id"].tolist()
    assert mine == model.recommend(42, 5)["movie_id"].tolist()


def test_a_model_that_is_not_saved_leaves_nothing_behind(model: Model, tmp_path: Path):
    from recommender.scratch_folder import ScratchFolder

    kept = ScratchFolder("marquee-model-")
    passing = Model.open(model.save(kept.path), kept)
    path = kept.path
    del kept
    assert passing.recommend(42, 1).shape[0] == 1
    del passing
    assert not path.exists()
