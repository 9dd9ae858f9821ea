"""What the cache would answer, beside what it does answer when a pipeline runs."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl, local
from kfp.dsl import Artifact, Input, Output

from pipelines.step_cache import step_answers

STEPS = ("Sow", "Reap", "Sell")


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def sow(word: str, seed: Output[Artifact]) -> None:
    from pathlib import Path

    Path(seed.path).write_text(word)


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def reap(seed: Input[Artifact], crop: Output[Artifact]) -> None:
    from pathlib import Path

    Path(crop.path).write_text(Path(seed.path).read_text() * 2)


def farm(word: str) -> Any:
    @dsl.pipeline(name="farm")
    def pipeline(word: str = word) -> Artifact:
        sown = sow(word=word).set_display_name("Sow")
        reaped = reap(seed=sown.outputs["seed"]).set_display_name("Reap")
        sold = reap(seed=reaped.outputs["crop"]).set_display_name("Sell")
        sold.set_caching_options(enable_caching=False)
        return sold.outputs["crop"]

    return pipeline


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the farm has run once with the word "rye"."""
    folder = tmp_path_factory.mktemp("farm") / "artifacts"
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(folder), enable_caching=True)
    assert Path(farm("rye")().output.path).read_text() == "rye" * 4
    return folder


def test_before_anything_ran_every_step_has_to_run(tmp_path: Path) -> None:
    answers = step_answers(farm("rye"), STEPS, tmp_path / "none")
    assert [answer.outputs for answer in answers] == [None, None, None]
    assert [answer.needs for answer in answers] == [(), ("Sow",), ("Reap",)]
    assert not (tmp_path / "none").exists()


def test_what_ran_is_answered_with_what_it_made(artifacts: Path) -> None:
    sown, reaped, sold = step_answers(farm("rye"), STEPS, artifacts)
    assert Path(sown.outputs["seed"]).read_text() == "rye"
    assert reaped.inputs == sown.outputs
    assert Path(reaped.outputs["crop"]).read_text() == "ryerye"
    assert sold.inputs == {"seed": reaped.outputs["crop"]}
    assert sold.outputs is None
    assert not sold.is_cached


def test_another_argument_is_not_answered_nor_is_what_follows_from_it(artifacts: Path) -> None:
    assert [answer.outputs for answer in step_answers(farm("oats"), STEPS, artifacts)] == [None, None, None]


def test_what_was_removed_is_not_answered_nor_is_a_forgotten_entry(artifacts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    shutil.copytree(artifacts / ".kfp_cache", folder / ".kfp_cache")
    _, reaped, _ = step_answers(farm("rye"), STEPS, folder)
    reaped.entry.unlink()
    sown, reaped, _ = step_answers(farm("rye"), STEPS, folder)
    assert sown.outputs.keys() == {"seed"}
    assert reaped.outputs is None

    crop = Path(step_answers(farm("rye"), STEPS, artifacts)[0].outputs["seed"])
    aside = crop.rename(crop.with_name("aside"))
    try:
        assert step_answers(farm("rye"), STEPS, artifacts)[0].outputs is None
    finally:
        aside.rename(crop)
