"""StatisticsGen: what the ratings look like."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def statistics_gen(examples: Input[Dataset], statistics: Output[Artifact]) -> None:
    """Compute statistics.

    Args:
        examples: From ExampleGen.
        statistics: Gets `statistics.json` and `statistics.html`.
    """
    from pathlib import Path

    from recommender.data.statistics import compute_statistics, write_statistics
    from recommender.step import step

    with step():
        write_statistics(compute_statistics(Path(examples.path)), Path(statistics.path))
