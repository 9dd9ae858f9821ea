"""Tuner: search hyperparameters, where that is asked for."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def tuner(
    config: str,
    trainer_config: str,
    seed: int,
    trials: str,
    transformed_examples: Input[Dataset],
    hyperparameters: Output[Artifact],
) -> None:
    """Hand the best hyperparameters found, or those of the configuration, to the Trainer.

    Args:
        config: `TunerConfig` as JSON.
        trainer_config: `TrainerConfig` as JSON, the start of the search.
        seed: Of the search.
        trials: Folder where an interrupted search goes on.
        transformed_examples: From Transform.
        hyperparameters: Gets `hyperparameters.json`, a `TrainerConfig`; after a search also `trials.json`,
            `trials.csv` and `trials.html`.
    """
    from pathlib import Path

    from recommender.step import step
    from recommender.training.configuration import TrainerConfig, write_hyperparameters
    from recommender.training.tuning.configuration import TunerConfig

    with step():
        chosen = TrainerConfig.model_validate_json(trainer_config)
        search = TunerConfig.model_validate_json(config)
        output = Path(hyperparameters.path)
        if search.enabled:  # TensorFlow takes seconds to import
            from recommender.training.tuning.report import write_report
            from recommender.training.tuning.search import Search, tune

            chosen, tried = tune(Search(Path(transformed_examples.path), chosen, search, seed, Path(trials)))
            write_report(tried, output)
        write_hyperparameters(chosen, output)
