"""SchemaGen: what ratings and movies must look like."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def schema_gen(committed: str, engine: str, examples: Input[Dataset], schema: Output[Artifact]) -> None:
    """Infer a schema, or take the committed one.

    Args:
        committed: YAML text of a schema that a person committed; empty where there is none.
        engine: `EngineConfig` as JSON.
        examples: From ExampleGen.
        schema: Gets `schema.yaml`.
    """
    from pathlib import Path

    from recommender.data.engine import EngineConfig
    from recommender.data.schema import infer_schema, parse_schema, write_schema
    from recommender.step import step

    with step():
        if committed:
            found = parse_schema(committed, "The committed schema")
        else:
            found = infer_schema(Path(examples.path), EngineConfig.model_validate_json(engine))
        write_schema(found, Path(schema.path))
