"""The steps one after the other in one process: each finds what it needs among what those before it made."""

import inspect
from pathlib import Path
from typing import Any, get_args

from kfp.dsl import Artifact

from components.bulk_inferrer import bulk_inferrer
from components.evaluator import evaluator
from components.example_gen import example_gen
from components.example_validator import example_validator
from components.indexer import indexer
from components.pusher import pusher
from components.schema_gen import schema_gen
from components.statistics_gen import statistics_gen
from components.trainer import trainer
from components.transform import transform
from components.tuner import tuner
from pipelines.config import PipelineConfig
from recommender.push import Pushed, RunDescription
from recommender.release import Release
from recommender.training.configuration import Tracking

STEPS = {
    example_gen: "example_gen",
    statistics_gen: None,
    schema_gen: None,
    example_validator: "validation",
    transform: "transform",
    tuner: "tuner",
    trainer: None,
    evaluator: "evaluator",
    bulk_inferrer: "bulk_inferrer",
    indexer: "indexer",
    pusher: None,
}
"""The steps in their order, each with the section that its `config` is."""


def test_the_steps_make_a_release_of_a_folder_of_ratings(
    ratings_folder: Path, tmp_path: Path, library_log: None
):
    config = PipelineConfig.from_mapping(
        {
            "example_gen": {"source": "directory", "path": str(ratings_folder)},
            "trainer": {
                "epochs": 1,
                "refit": False,
                "model": {"dimension": 8},
                "ranking": {"epochs": 1},
            },
            "evaluator": {"baselines": ["most_popular"]},
        }
    )
    run = RunDescription(config={}, seed=7, git_commit=None, fingerprint="made up")
    given: dict[str, Any] = {
        "engine": config.engine.model_dump_json(),
        "seed": 7,
        "quarantine": False,
        "fingerprint": "made up",
        "committed": "",
        "previous": str(tmp_path / "previous"),
        "trainer_config": config.trainer.model_dump_json(),
        "tracking": Tracking().model_dump_json(),
        "run": run.model_dump_json(),
        "live": "",
        **{name: str(tmp_path / name) for name in ("downloads", "trials", "unfinished", "releases")},
    }
    made: dict[str, Artifact] = {}
    for step, section in STEPS.items():
        arguments: dict[str, Any] = {}
        for name, parameter in inspect.signature(step.python_func).parameters.items():
            if name == "config":
                arguments[name] = getattr(config, str(section)).model_dump_json()
            elif name in given:
                arguments[name] = given[name]
            elif parameter.default is parameter.empty:
                output = tmp_path / step.name / name
                output.parent.mkdir(exist_ok=True)
                kind = get_args(parameter.annotation)[0]
                arguments[name] = made.setdefault(name, kind(name=name, uri=str(output)))
        step.python_func(**arguments)
        if step is example_validator:
            made["examples"] = made["validated_examples"]

    pushed = Pushed.read(Path(made["pushed"].path))
    release = Release.open_live(tmp_path / "releases")
    assert release.version == pushed.version
    assert (len(release.user_ids), len(release.movie_ids)) == (200, 300)
