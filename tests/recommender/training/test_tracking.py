"""What MLflow keeps of a training run."""

import shutil

import mlflow
import pytest

from recommender.training.configuration import Tracking, TrainerConfig
from recommender.training.report import TrainingReport
from recommender.training.tracking import track_evaluation, tracked


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """An MLflow database in which nothing is yet: making one takes seconds, and copying it none."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def tracking(empty_database, tmp_path, monkeypatch):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    # Training sets this one; the test puts it back as it was.
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "")
    monkeypatch.delenv("_MLFLOW_SERVER_ARTIFACT_ROOT")
    return Tracking(
        mlflow_uri=f"sqlite:///{tmp_path / 'mlflow.db'}",
        mlflow_artifacts=(tmp_path / "artifacts").as_uri(),
        tensorboard=str(tmp_path / "logs"),
    )


def test_a_training_that_goes_on_goes_on_with_its_run(transformed, tracking, tmp_path):
    def run_id(unfinished, interrupted=False):
        with tracked(tracking, TrainerConfig(), 3, transformed, unfinished) as run:
            if interrupted:
                raise KeyboardInterrupt(run.run_id)
            return run.run_id

    with pytest.raises(KeyboardInterrupt) as first:
        run_id(tmp_path / "state", interrupted=True)
    assert run_id(tmp_path / "state") == first.value.args[0]
    assert mlflow.get_run(first.value.args[0]).info.status == "FINISHED"
    assert run_id(tmp_path / "another state") != first.value.args[0]
    assert run_id(None) != first.value.args[0]


def test_a_run_that_was_deleted_is_begun_anew(transformed, tracking, tmp_path):
    (tmp_path / "mlflow_run_id").write_text("0" * 32)
    with tracked(tracking, TrainerConfig(), 3, transformed, tmp_path) as run:
        assert run.run_id != "0" * 32


def test_the_run_gets_what_the_model_reached_on_the_test_part(transformed, tracking, tmp_path):
    with tracked(tracking, TrainerConfig(), 3, transformed) as run:
        pass
    model, evaluation = tmp_path / "model", tmp_path / "evaluation"
    model.mkdir()
    evaluation.mkdir()
    (evaluation / "evaluation.html").write_text("<p>a report</p>")
    report = TrainingReport(
        config=TrainerConfig(),
        seed=3,
        epochs={},
        validation={},
        seconds={},
        curves={},
        mlflow_run_id=run.run_id,
    )
    report.write(model)
    track_evaluation(tracking, model, {"ndcg@10": 0.45}, evaluation)
    assert mlflow.get_run(run.run_id).data.metrics == {"test/ndcg_at_10": 0.45}
    assert [file.name for file in (tmp_path / "artifacts").rglob("evaluation/*")] == ["evaluation.html"]
    # A run that is gone does not stop the evaluation.
    report.model_copy(update={"mlflow_run_id": "0" * 32}).write(model)
    track_evaluation(tracking, model, {"ndcg@10": 0.45}, evaluation)
