"""Resolver: which release is live when the pipeline runs?"""

from kfp import dsl


@dsl.component(base_image="marquee-python:0.1", install_kfp_package=False)
def resolver(named: str, releases: str) -> str:
    """Find the release that the Evaluator compares the model with.

    Args:
        named: The folder of a release to compare with, whatever is live; empty for the live one.
        releases: Folder of all releases.

    Returns:
        The folder of the release; empty where none is live.
    """
    from pathlib import Path

    from recommender.release import live_version
    from recommender.step import step

    with step():
        if named:
            return named
        version = live_version(Path(releases))
        return "" if version is None else str(Path(releases) / version)
