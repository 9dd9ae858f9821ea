"""ExampleGen: from a source of ratings to canonical Parquet."""

from kfp import dsl
from kfp.dsl import Dataset, Output


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def example_gen(
    config: str, engine: str, quarantine: bool, fingerprint: str, downloads: str, examples: Output[Dataset]
) -> None:
    """Fetch, verify and parse ratings and movies.

    Args:
        config: `ExampleGenConfig` as JSON.
        engine: `EngineConfig` as JSON.
        quarantine: Put rows that cannot be read aside instead of stopping at them.
        fingerprint: Of local input, so that changed files are not answered from the cache.
        downloads: Folder that keeps downloaded archives.
        examples: Gets `ratings.parquet`, `movies.parquet` and `source.json`, and `repeated.parquet` and
            `unreadable.parquet` if need be.
    """
    from pathlib import Path

    from recommender.data.engine import EngineConfig
    from recommender.data.sources import ExampleGenConfig, ingest
    from recommender.step import step

    with step():
        report = ingest(
            ExampleGenConfig.model_validate_json(config),
            Path(examples.path),
            Path(downloads),
            EngineConfig.model_validate_json(engine),
            keep_unreadable=quarantine,
        )
        examples.metadata.update(source=report.source, fingerprint=fingerprint)
