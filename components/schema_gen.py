"""SchemaGen: what ratings and movies must look like."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def schema_gen(examples: Input[Dataset], schema: Output[Artifact]) -> None:
    """Infer a schema.

    Args:
        examples: From ExampleGen.
        schema: Gets `schema.yaml`.
    """
    from pathlib import Path

    from recommender.data.schema import infer_schema, write_schema
    from recommender.step import step

    with step():
        write_schema(infer_schema(Path(examples.path)), Path(schema.path))
