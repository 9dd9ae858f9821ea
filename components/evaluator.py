"""Evaluator: how good is the model, and may it be released?"""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def evaluator(
    config: str,
    seed: int,
    transformed_examples: Input[Dataset],
    model: Input[Model],
    evaluation: Output[Metrics],
    blessing: Output[Artifact],
    live: str = "",
    tracking: str = "{}",
) -> None:
    """Judge the model on the whole catalogue beside the baselines and what is live.

    Args:
        config: `EvaluatorConfig` as JSON.
        seed: Of the bootstrap and the baselines.
        transformed_examples: From Transform.
        model: From Trainer.
        evaluation: Gets `evaluation.json`, `evaluation.html` and, where there is a test part,
            `per_user.parquet`.
        blessing: Gets `blessing.json`.
        live: The folder of the release to compare with, or its `evaluation.json`; nothing for no comparison.
            A release's folder is named after its content, so that the cache can tell one from another.
        tracking: `Tracking` as JSON: the MLflow run that trained the model gets metrics and report, too.
    """
    from pathlib import Path

    from recommender.evaluation.configuration import EvaluatorConfig
    from recommender.evaluation.evaluate import bless, evaluate
    from recommender.evaluation.report import write_report
    from recommender.features.transformed_examples import TransformedExamples
    from recommender.step import step
    from recommender.training.configuration import Tracking
    from recommender.training.tracking import track_evaluation

    with step():
        required = EvaluatorConfig.model_validate_json(config)
        examples = TransformedExamples(Path(transformed_examples.path))
        report, beside = Path(evaluation.path), Path(live) if live else None
        result = evaluate(examples, Path(model.path), required, seed, beside, keep=report)
        verdict = bless(result, required)
        write_report(result, verdict, report)
        verdict.write(Path(blessing.path))
        reported = Tracking.model_validate_json(tracking)
        track_evaluation(reported, Path(model.path), result.means, report)
        for name, value in result.means.items():
            evaluation.log_metric(name, value)
