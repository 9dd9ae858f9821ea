"""What MLflow keeps of a training run."""

import mlflow
import pytest

from recommender.training.configuration import Tracking, TrainerConfig
from recommender.training.tracking import tracked


@pytest.fixture
def tracking(tmp_path, monkeypatch):
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
