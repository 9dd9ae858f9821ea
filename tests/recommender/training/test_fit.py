"""Fitting: one seed gives one result, stopping is chosen on validation, trouble is named."""

import json

import mlflow
import numpy as np
import pytest

from recommender.data.splits import SplitConfig
from recommender.errors import TrainingError
from recommender.evaluation.baselines import most_popular
from recommender.evaluation.configuration import EvaluatorConfig
from recommender.evaluation.evaluate import bless, evaluate
from recommender.evaluation.evaluator import evaluate_ranking
from recommender.features.configuration import InputConfig
from recommender.features.transform import TransformConfig, transform
from recommender.features.transformed_examples import History, TransformedExamples
from recommender.models.configuration import TwoTowerConfig, UserTowerConfig
from recommender.training.configuration import RankingTrainingConfig, Tracking, TrainerConfig
from recommender.training.fit import fit, train
from recommender.training.report import TrainingReport

QUICK = TrainerConfig(
    epochs=4, batch_size=32, model=TwoTowerConfig(dimension=16), ranking=RankingTrainingConfig(epochs=2)
)
ONCE = QUICK.model_copy(update={"refit": False})
STREAM = InputConfig(mode="stream", chunk_ratings=700, shuffle_chunks=4)


@pytest.mark.parametrize(
    "config", [ONCE, ONCE.model_copy(update={"input": STREAM})], ids=["memory", "stream"]
)
def test_one_seed_gives_one_result_and_another_seed_another(config, transformed):
    history = History.of(transformed.interactions("train"), transformed.n_users)
    first, again, other = (fit(transformed, config, seed) for seed in (3, 3, 4))
    assert first.validation == again.validation
    np.testing.assert_array_equal(
        first.two_tower.user_vectors(history), again.two_tower.user_vectors(history)
    )
    assert not np.allclose(first.two_tower.movie_vectors(), other.two_tower.movie_vectors())


def test_the_best_validation_epoch_is_the_one_that_counts(transformed):
    config = QUICK.model_copy(update={"refit": False, "epochs": 8, "patience": 8, "learning_rate": 0.05})
    fitted = fit(transformed, config, seed=1)
    curve = fitted.curves["retrieval"]["val_ndcg@10"]
    assert fitted.epochs["retrieval"] == int(np.argmax(curve)) + 1
    assert fitted.validation["val_ndcg@10"] == max(curve)
    history = History.of(transformed.interactions("train"), transformed.n_users)
    relevant = History.of(transformed.interactions("validation"), transformed.n_users)
    users, movies = fitted.two_tower.user_vectors(history), fitted.two_tower.movie_vectors()
    quality = evaluate_ranking(
        lambda start, stop: users[start:stop] @ movies.T,
        seen=history,
        relevant=relevant,
        n_movies=transformed.n_movies,
        ks=(10,),
    )
    # The weights that are left are those of the best epoch, not those of the last.
    assert quality.means["ndcg@10"] == pytest.approx(max(curve), abs=1e-6)


@pytest.mark.parametrize("how", [InputConfig(), STREAM], ids=["memory", "stream"])
@pytest.mark.parametrize("loss", ["full_softmax", "in_batch_softmax"])
def test_the_model_learns_what_popularity_cannot_tell(loss, how, transformed):
    config = TrainerConfig(
        epochs=25,
        batch_size=32 if loss == "full_softmax" else 512,
        model=TwoTowerConfig(dimension=32, loss=loss, user_tower=UserTowerConfig(history_dropout=0.3)),
        ranking=RankingTrainingConfig(epochs=1),
        input=how,
        refit=False,
    )
    fitted = fit(transformed, config, seed=1)
    seen = History.of(transformed.interactions("train"), transformed.n_users)
    popular = evaluate_ranking(
        most_popular(seen, transformed.n_movies),
        seen=seen,
        relevant=History.of(transformed.interactions("validation"), transformed.n_users),
        n_movies=transformed.n_movies,
        ks=(10,),
    )
    assert fitted.validation["val_ndcg@10"] > popular.means["ndcg@10"]


def test_a_loss_that_explodes_stops_training_and_says_at_which_step(transformed):
    # Scores divided by this overflow float32.
    config = QUICK.model_copy(update={"model": TwoTowerConfig(dimension=16, temperature=1e-42)})
    with pytest.raises(TrainingError, match=r"at step \d+\. Lower trainer.learning_rate"):
        fit(transformed, config, seed=0)


def test_train_writes_the_model_and_tells_mlflow_and_tensorboard(transformed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Training sets this one; the test puts it back as it was.
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "")
    monkeypatch.delenv("_MLFLOW_SERVER_ARTIFACT_ROOT")
    tracking = Tracking(
        experiment="a test",
        mlflow_uri=f"sqlite:///{tmp_path / 'mlflow.db'}",
        mlflow_artifacts=(tmp_path / "artifacts").as_uri(),
        tensorboard=str(tmp_path / "logs"),
    )
    fitted = train(transformed, QUICK, 5, tracking, tmp_path / "model")

    report = TrainingReport.read(tmp_path / "model")
    assert report.config == QUICK
    client = mlflow.MlflowClient(tracking.mlflow_uri)
    run = client.get_run(report.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.dimension"] == "16"
    assert run.data.metrics["best/val_ndcg_at_10"] == pytest.approx(report.validation["val_ndcg@10"])
    curve = client.get_metric_history(report.mlflow_run_id, "retrieval/val_ndcg_at_10")
    assert [point.value for point in curve] == pytest.approx(report.curves["retrieval"]["val_ndcg@10"])
    assert set(report.curves["retrieval"]) == {"loss", "val_ndcg@10", "val_recall@10", "val_coverage@10"}
    kept = {file.name for file in (tmp_path / "artifacts").rglob("*.json")}
    assert {"split.json", "training.json"} <= kept
    assert not (tmp_path / "mlruns").exists()
    assert not list((tmp_path / "artifacts").rglob("*.pkl"))
    for logged in client.search_logged_models([run.info.experiment_id]):
        if logged.name == "movie_tower":
            served = mlflow.pyfunc.load_model(f"models:/{logged.model_id}")
    numbers, genres = transformed.movie_numbers, transformed.movie_genres
    inputs = {"movie_id": transformed.movie_ids, "movie_numbers": numbers, "movie_genres": genres}
    answer = served.predict(inputs)
    np.testing.assert_allclose(answer["embedding"], fitted.two_tower.movie_vectors(), atol=1e-5)

    (logs,) = (tmp_path / "logs").iterdir()
    assert list(logs.rglob("events.out.tfevents.*"))
    titles = (logs / "movies.tsv").read_text(encoding="utf-8").splitlines()
    assert titles[0] == "title\tgenres"
    assert len(titles) == 1 + transformed.n_movies
    vectors = fitted.two_tower.movie_vectors()
    projected = np.fromfile(logs / "movies.float32", "<f4").reshape(vectors.shape)
    np.testing.assert_array_equal(projected, vectors)


def test_with_no_test_part_there_is_nothing_to_be_judged_by(examples_folder, tmp_path):
    config = TransformConfig(split=SplitConfig(test_size=0.0))
    transform(examples_folder, config, 7, tmp_path / "transformed")
    everything = TransformedExamples(tmp_path / "transformed")
    train(everything, ONCE, 5, Tracking(), tmp_path / "model")
    evaluation = evaluate(everything, tmp_path / "model", EvaluatorConfig(), seed=0)
    assert evaluation.retrieval == {}
    assert evaluation.validation["val_ndcg@10"] > 0
    assert bless(evaluation, EvaluatorConfig()).blessed


def test_a_model_that_misses_a_threshold_is_not_blessed(transformed, one_stage_model):
    demanding = EvaluatorConfig(minimum={"ndcg@10": 0.99}, minimum_over={})
    evaluation = evaluate(transformed, one_stage_model, demanding, seed=0)
    verdict = bless(evaluation, demanding)
    assert not verdict.blessed
    assert verdict.reasons == (
        f"ndcg@10 is {evaluation.retrieval['ndcg@10']:.4f}, at least 0.9900 is required",
    )
    assert json.loads(evaluation.model_dump_json())["protocol"] == "P-random"
