"""MLflow's model registry beside the releases, on a real SQLite store."""

import logging
from pathlib import Path

import mlflow
import pytest

from recommender.model_registry import keep_in_step, register_model
from recommender.push import Pushed
from recommender.release import promote, rollback
from recommender.training.configuration import Tracking, TrainerConfig
from recommender.training.report import TrainingReport
from tests.recommender.small_releases import judged, small_release


class Registry:
    """A registry, a folder of releases, and what Pusher does with both."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder, self.uri, self.releases = folder, uri, folder / "releases"
        self.client = mlflow.MlflowClient(uri)
        self.experiment = self.client.create_experiment("small", str(folder / "mlflow"))

    def push(self, ndcg: float, released: bool = True) -> tuple[str, str | None]:
        """Give it a model; returns MLflow's run and the version of the release."""
        run = self.client.create_run(self.experiment).info.run_id
        version = None
        if released:
            version = small_release(self.releases, metrics=judged(ndcg), mlflow_run_id=run)
            promote(self.releases, version)
        return run, self.tell(run, ndcg, version)

    def tell(self, run: str, ndcg: float, version: str | None) -> str | None:
        model = self.folder / run
        TrainingReport(
            config=TrainerConfig(), seed=1, epochs={}, validation={}, seconds={}, curves={}, mlflow_run_id=run
        ).write(model)
        from recommender.evaluation.result import Evaluation

        Evaluation.model_validate(judged(ndcg)).write(model)
        pushed = Pushed(version=version, reasons=("because",), report="")
        tracking = Tracking(experiment="small", mlflow_uri=self.uri)
        assert register_model(tracking, self.releases, model, model, pushed)
        return version

    def aliases(self) -> dict[str, str]:
        """By alias, MLflow's run."""
        found = self.client.get_registered_model("small").aliases
        return {alias: self.client.get_model_version("small", str(v)).run_id for alias, v in found.items()}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mlflow") / "empty.db"
    mlflow.MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def registry(empty_store: Path, tmp_path: Path) -> Registry:
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    return Registry(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")


def test_the_live_release_is_the_champion_and_a_refused_model_the_challenger(registry: Registry) -> None:
    first, version = registry.push(0.4)
    assert registry.aliases() == {"champion": first}
    refused, _ = registry.push(0.3, released=False)
    assert registry.aliases() == {"champion": first, "challenger": refused}
    second, _ = registry.push(0.5)
    assert registry.aliases() == {"champion": second}
    told = registry.client.get_model_version_by_alias("small", "champion").tags
    assert told["marquee.release"] != version
    assert float(told["ndcg_at_10"]) == 0.5


def test_rolling_back_and_promoting_move_the_aliases(registry: Registry) -> None:
    first, _ = registry.push(0.4)
    second, newer = registry.push(0.5)
    rollback(registry.releases)
    assert keep_in_step(registry.uri, registry.releases)
    assert registry.aliases() == {"champion": first, "challenger": second}
    assert newer is not None
    promote(registry.releases, newer)
    assert keep_in_step(registry.uri, registry.releases)
    assert registry.aliases() == {"champion": second}


def test_the_same_model_is_registered_once(registry: Registry) -> None:
    run, version = registry.push(0.4)
    registry.tell(run, 0.4, version)
    assert len(registry.client.search_model_versions("name='small'")) == 1


def test_a_registry_that_cannot_be_reached_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    small_release(tmp_path / "releases")
    with caplog.at_level(logging.WARNING):
        assert not keep_in_step("http://127.0.0.1:9", tmp_path / "releases")
    assert "not in step with the releases" in caplog.text


def test_a_store_that_is_no_database_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to look like one" * 50)
    small_release(tmp_path / "releases")
    assert not keep_in_step(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "releases")
    assert "not in step" in caplog.text
