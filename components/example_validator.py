"""ExampleValidator: stop here on bad data."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def example_validator(
    config: str,
    engine: str,
    previous: str,
    examples: Input[Dataset],
    statistics: Input[Artifact],
    schema: Input[Artifact],
    anomalies: Output[Artifact],
    validated_examples: Output[Dataset],
) -> None:
    """Check the examples against the schema and the previous run; errors end the run.

    Args:
        config: `ValidationConfig` as JSON.
        engine: `EngineConfig` as JSON.
        previous: Folder with the statistics of the last run that passed, if any; gets those of this one.
        examples: From ExampleGen.
        statistics: From StatisticsGen.
        schema: From SchemaGen.
        anomalies: Gets `anomalies.json` and `anomalies.html`, and `quarantine.parquet` if need be.
        validated_examples: Gets the files of `examples`, without quarantined ratings.
    """
    from pathlib import Path

    from recommender.data.checks.previous_statistics import keep_statistics, previous_statistics
    from recommender.data.engine import EngineConfig
    from recommender.data.schema import read_schema
    from recommender.data.statistics import Statistics
    from recommender.data.validation import ValidationConfig, write_validated_examples
    from recommender.step import step

    with step():
        computed = Statistics.read(Path(statistics.path))
        write_validated_examples(
            Path(examples.path),
            read_schema(Path(schema.path)),
            Path(anomalies.path),
            Path(validated_examples.path),
            config=ValidationConfig.model_validate_json(config),
            engine=EngineConfig.model_validate_json(engine),
            previous=previous_statistics(Path(previous)),
            statistics=computed,
        )
        keep_statistics(computed, Path(previous))
