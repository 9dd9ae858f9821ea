"""Small made-up ratings, taken through the project's own loaders, for every test that needs some."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recommender.data.sources import ExampleGenConfig, ingest
from recommender.data.synthetic import SyntheticConfig, generate
from recommender.features.transform import TransformConfig, transform
from recommender.features.transformed_examples import TransformedExamples
from recommender.release import (
    HISTORY_SCHEMA,
    MOVIES_SCHEMA,
    OPTIONAL_PARTS,
    PARTS,
    USERS_SCHEMA,
    write_release,
)
from recommender.retrieval.build_index import IndexerConfig, build_index

SEED = 7


@pytest.fixture(scope="session")
def ratings_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ratings.csv` and `movies.csv`: 200 users, 300 movies, 8,000 ratings."""
    folder = tmp_path_factory.mktemp("made up ratings")
    generate(SyntheticConfig(), SEED, folder)
    return folder


@pytest.fixture(scope="session")
def examples_folder(ratings_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ExampleGen makes of them."""
    folder = tmp_path_factory.mktemp("examples") / "examples"
    ingest(ExampleGenConfig(source="directory", path=str(ratings_folder)), folder, folder.parent)
    return folder


@pytest.fixture(scope="session")
def transformed(examples_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TransformedExamples:
    """What Transform makes of them."""
    folder = tmp_path_factory.mktemp("transformed") / "transformed"
    transform(examples_folder, TransformConfig(), SEED, folder)
    return TransformedExamples(folder)


@pytest.fixture(scope="session")
def trained_parts(
    examples_folder: Path, transformed: TransformedExamples, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The parts of a release that a short training makes of them, those with a choice included."""
    from recommender.models.configuration import TwoTowerConfig, UserTowerConfig
    from recommender.models.embeddings import write_embeddings
    from recommender.models.re_ranker_configuration import ReRankerConfig
    from recommender.training.configuration import RankingTrainingConfig, Tracking, TrainerConfig
    from recommender.training.fit import train

    folder = tmp_path_factory.mktemp("trained parts")
    config = TrainerConfig(
        epochs=3,
        batch_size=32,
        model=TwoTowerConfig(dimension=8, user_tower=UserTowerConfig(use_id=True, use_features=True)),
        ranking=RankingTrainingConfig(epochs=2),
        re_ranker=ReRankerConfig(candidates=40, epochs=2),
    )
    train(transformed, config, SEED, Tracking(), folder)
    write_embeddings(examples_folder, transformed, folder, folder)
    build_index(folder, IndexerConfig(), folder / "index")
    return {name: folder / name for name in (*PARTS, *OPTIONAL_PARTS)}


@pytest.fixture(scope="session")
def one_stage_model(trained_parts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the same training writes where no re-ranker is asked for."""
    folder = tmp_path_factory.mktemp("one stage") / "model"
    shutil.copytree(trained_parts["ranker"].parent, folder, ignore=shutil.ignore_patterns("re_ranker"))
    return folder


@pytest.fixture(scope="session")
def two_stage_release(trained_parts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of them."""
    releases = tmp_path_factory.mktemp("two stages") / "releases"
    return releases / write_release(releases, trained_parts, manifest_of(trained_parts))


@pytest.fixture
def empty_parts(tmp_path: Path) -> dict[str, Path]:
    """The parts of a release that holds nothing, for what only looks at its manifest."""
    (tmp_path / "part").write_text("whatever")
    tables = {
        "movies.parquet": MOVIES_SCHEMA,
        "users.parquet": USERS_SCHEMA,
        "history.parquet": HISTORY_SCHEMA,
    }
    for name, schema in tables.items():
        pq.write_table(schema.empty_table(), tmp_path / name)
    return {name: tmp_path / (name if name in tables else "part") for name in PARTS}


def manifest_of(parts: dict[str, Path]) -> dict[str, Any]:
    """What has to be said of a release of some parts."""
    rows = {name: pq.read_metadata(parts[f"{name}.parquet"]).num_rows for name in ("users", "movies")}
    rows["ratings"] = pq.read_metadata(parts["history.parquet"]).num_rows
    return {
        "dataset": "made up",
        "config": {},
        "seed": SEED,
        "git_commit": None,
        "libraries": {},
        "data": {},
        "counts": rows,
        "dimension": 8,
        "metrics": {},
    }
