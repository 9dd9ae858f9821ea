"""The tables of a release: what they hold, and what they must not know."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from recommender.data.vector_column import from_column
from recommender.evaluation.configuration import EvaluatorConfig
from recommender.evaluation.evaluate import evaluate
from recommender.evaluation.metrics import ndcg_at_k
from recommender.features.transformed_examples import History, TransformedExamples
from recommender.models.embeddings import write_embeddings
from recommender.models.saved_models import load_signature, predicted_ratings
from recommender.retrieval.batch import write_recommendations


@pytest.fixture(scope="module")
def embeddings(examples_folder, transformed, one_stage_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("embeddings")
    write_embeddings(examples_folder, transformed, one_stage_model, folder)
    return folder


def test_counts_and_means_are_those_of_the_whole_history(embeddings):
    history = pq.read_table(embeddings / "history.parquet").to_pandas()
    movies = pq.read_table(embeddings / "movies.parquet").to_pandas().set_index("movie_id")
    counted = history.groupby("movie_id")["rating"].agg(["count", "mean"]).reindex(movies.index)
    assert (movies["rating_count"] == counted["count"].fillna(0)).all()
    np.testing.assert_allclose(
        movies["rating_mean"].to_numpy(float), counted["mean"].to_numpy(float), rtol=1e-6
    )
    users = pq.read_table(embeddings / "users.parquet").to_pandas().set_index("user_id")
    assert (users["rating_count"] == history.groupby("user_id").size().reindex(users.index)).all()


def test_recommendations_hold_nothing_that_anybody_has_rated(embeddings, one_stage_model, tmp_path):
    write_recommendations(embeddings, one_stage_model, 4, tmp_path)
    recommended = pq.read_table(tmp_path / "recommendations.parquet").to_pandas()
    history = pq.read_table(embeddings / "history.parquet").to_pandas()
    assert (recommended.groupby("user_id").size() == 4).all()
    assert recommended.merge(history, on=["user_id", "movie_id"]).empty


def test_vectors_and_metrics_do_not_look_at_the_test_part(
    examples_folder, transformed, one_stage_model, embeddings, tmp_path
):
    # The same model and training part, but the test part names other movies.
    shutil.copytree(transformed.folder, tmp_path / "other")
    file = tmp_path / "other" / "test_interactions.parquet"
    table = pq.read_table(file)
    index = table.column("movie_index").to_numpy()
    moved = pa.array((index + 1) % transformed.n_movies, pa.int32())
    pq.write_table(table.set_column(table.schema.get_field_index("movie_index"), "movie_index", moved), file)
    other = TransformedExamples(tmp_path / "other")
    write_embeddings(examples_folder, other, one_stage_model, tmp_path / "embeddings")
    for name in ("users", "movies"):
        first, second = (
            from_column(pq.read_table(folder / f"{name}.parquet").column("embedding"))
            for folder in (embeddings, tmp_path / "embeddings")
        )
        np.testing.assert_array_equal(first, second)


def test_evaluation_equals_one_worked_out_user_by_user(transformed, one_stage_model, embeddings):
    users = from_column(pq.read_table(embeddings / "users.parquet").column("embedding"))
    movies = from_column(pq.read_table(embeddings / "movies.parquet").column("embedding"))
    seen = History.of(
        transformed.interactions("train") + transformed.interactions("validation"), transformed.n_users
    )
    test = transformed.interactions("test").known()
    relevant = History.of(test, transformed.n_users)
    ndcg = []
    for user in range(transformed.n_users):
        wanted = set(relevant.rows(user, user + 1).movie_index.tolist())
        masked = set(seen.rows(user, user + 1).movie_index.tolist())
        order = np.argsort(-(movies @ users[user]), kind="stable").tolist()
        if wanted:
            ndcg.append(ndcg_at_k([movie for movie in order if movie not in masked], wanted, 10))
    evaluation = evaluate(transformed, one_stage_model, EvaluatorConfig(), seed=0)
    assert evaluation.retrieval["ndcg@10"] == pytest.approx(np.mean(ndcg), abs=1e-4)

    predicted = predicted_ratings(
        load_signature(one_stage_model / "ranker"),
        transformed,
        user_index=test.user_index,
        movie_index=test.movie_index,
        users=users,
        movies=movies,
    )
    errors = [(float(p) - float(r)) ** 2 for p, r in zip(predicted, test.rating, strict=True)]
    assert evaluation.ranking["rmse"] == pytest.approx((sum(errors) / len(errors)) ** 0.5, rel=1e-5)
    # Better than always naming the mean of the test part itself would be.
    assert evaluation.ranking["rmse"] < float(pc.stddev(pa.array(test.rating)).as_py())
