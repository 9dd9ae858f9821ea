"""`marquee tune`, from ratings to a table of trials."""

from typer.testing import CliRunner

from pipelines.cli import app
from recommender.training.configuration import read_hyperparameters
from recommender.training.tuning.trials import Trials


def test_searches_after_the_data_steps_and_leaves_the_best_for_the_trainer(ratings_folder, tmp_path):
    settings = (
        "example_gen.source=directory",
        f"example_gen.path={ratings_folder}",
        "trainer.model.dimension=8",
        "trainer.batch_size=64",
        "trainer.epochs=1",
        "trainer.learning_rate=0.0000001",
        "tuner.algorithm=random",
        "tuner.epochs=1",
        "tuner.space={learning_rate: [0.0000001, 0.03]}",
    )
    words = [word for setting in settings for word in ("--set", setting)]
    result = CliRunner().invoke(
        app, ["tune", "--root", str(tmp_path), *words], catch_exceptions=False, env={"COLUMNS": "80"}
    )
    assert result.exit_code == 0, result.output
    assert "2 trials, judged by NDCG@10 on the validation part" in result.output
    assert "learning_rate 0.03" in result.output
    (output,) = tmp_path.glob("artifacts/**/tuner/hyperparameters")
    assert {file.name for file in output.iterdir()} == {
        "hyperparameters.json", "trials.json", "trials.csv", "trials.html"
    }  # fmt: skip
    assert (
        read_hyperparameters(output).learning_rate == Trials.read(output).ranked()[0].values["learning_rate"]
    )


def test_a_range_that_is_none_is_refused_before_anything_runs(ratings_folder, tmp_path):
    settings = ("tuner.space={a: {min: 2, max: 1}}", f"example_gen.path={ratings_folder}")
    words = [word for setting in settings for word in ("--set", setting)]
    result = CliRunner().invoke(app, ["tune", "--root", str(tmp_path), *words])
    assert "min (2) must be below max (1)" in str(result.exception)
