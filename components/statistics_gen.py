"""StatisticsGen: what the ratings look like."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def statistics_gen(engine: str, examples: Input[Dataset], statistics: Output[Artifact]) -> None:
    """Compute statistics.

    Args:
        engine: `EngineConfig` as JSON.
        examples: From ExampleGen.
        statistics: Gets `statistics.json` and `statistics.html`.
    """
    from pathlib import Path

    from recommender.data.engine import EngineConfig
    from recommender.data.statistics import compute_statistics
    from recommender.data.statistics_report import write_statistics
    from recommender.step import step

    with step():
        computed = compute_statistics(Path(examples.path), EngineConfig.model_validate_json(engine))
        write_statistics(computed, Path(statistics.path))
