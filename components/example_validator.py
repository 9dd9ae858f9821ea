"""ExampleValidator: stop here on bad data."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def example_validator(examples: Input[Dataset], schema: Input[Artifact], anomalies: Output[Artifact]) -> None:
    """Check the examples against the schema; errors end the run.

    Args:
        examples: From ExampleGen.
        schema: From SchemaGen.
        anomalies: Gets `anomalies.json` and `anomalies.html`.
    """
    from pathlib import Path

    from recommender.data.schema import read_schema
    from recommender.data.validation import validate_examples, write_anomalies
    from recommender.step import step

    with step():
        found = validate_examples(Path(examples.path), read_schema(Path(schema.path)))
        write_anomalies(found, Path(anomalies.path))
        found.raise_for_errors()
