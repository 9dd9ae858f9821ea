"""From the parts of a run to the live release, if the model is good enough."""

import importlib.metadata
import logging
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recommender.configuration import Configuration
from recommender.data.columns import Columns
from recommender.data.source_report import SourceReport
from recommender.data.splits import SplitManifest
from recommender.data.vector_column import from_column
from recommender.document import Document
from recommender.errors import ReleaseError
from recommender.evaluation.per_user import PER_USER_FILE
from recommender.evaluation.result import Blessing, Evaluation
from recommender.release import OPTIONAL_PARTS, ReleaseBlessing, promote, write_release
from recommender.training.report import TrainingReport

logger = logging.getLogger(__name__)

LIBRARIES = (
    "tensorflow", "tf-keras", "tensorflow-recommenders", "keras-tuner", "duckdb", "ibis-framework", "pyarrow",
    "numpy", "ai-edge-litert", "qdrant-edge-py", "kfp", "mlflow",
)  # fmt: skip
"""Libraries whose versions a manifest names."""


class RunDescription(Configuration):
    """What a manifest says of the run that made it."""

    config: dict[str, Any]
    """The whole configuration."""
    seed: int
    """The seed of the run."""
    git_commit: str | None
    """The commit of the code, if it is known."""
    fingerprint: str | None = None
    """Of everything that the run follows from: configuration, data and code; None if it was not noted."""


class Pushed(Document):
    """What came of a run."""

    file_name = "pushed.json"
    written_by = "Pusher"

    version: str | None
    """The release that is live now; none if the model was not blessed."""
    reasons: tuple[str, ...]
    """What the model was judged by."""
    report: str
    """Path of the evaluation's page."""
    forced: bool = False
    """Whether the model was released though it was not blessed."""


def push(
    run: RunDescription,
    *,
    releases: Path,
    examples: Path,
    transformed: Path,
    model: Path,
    evaluation: Path,
    blessing: Path,
    embeddings: Path,
    index: Path,
    output: Path,
    force: bool = False,
) -> Pushed:
    """Write a release of a blessed model and make it the live one.

    Args:
        run: What the manifest says of the run.
        releases: Folder of all releases.
        examples: Where the data came from, in `source.json`.
        transformed: The split's manifest.
        model: `user_tower/`, `movie_tower/`, `ranker/` and `training.json`, and where it has them `online/`
            and `re_ranker/`.
        evaluation: `evaluation.json`, and where there was a test part what each user got.
        blessing: `blessing.json`.
        embeddings: `movies.parquet`, `users.parquet` and `history.parquet`.
        index: The vector index.
        output: Gets `pushed.json`.
        force: Release a model that is not blessed, too; its manifest says so.

    Raises:
        ReleaseError: a part is missing.
    """
    verdict = Blessing.read(blessing)
    version = None
    forced = force and not verdict.blessed
    if verdict.blessed or forced:
        version = write_run_release(
            run,
            releases=releases,
            examples=examples,
            transformed=transformed,
            model=model,
            evaluation=evaluation,
            embeddings=embeddings,
            index=index,
            blessing=ReleaseBlessing(**verdict.model_dump(), forced=forced),
        )
        promote(releases, version)
        logger.info("release %s is live", version)
        if forced:
            logger.warning("release %s was forced: %s", version, "; ".join(verdict.reasons))
    else:
        logger.info("not released: %s", "; ".join(verdict.reasons))
    pushed = Pushed(
        version=version,
        reasons=verdict.reasons,
        report=str(evaluation / "evaluation.html"),
        forced=forced,
    )
    pushed.write(output)
    return pushed


def write_run_release(
    run: RunDescription,
    *,
    releases: Path,
    examples: Path,
    transformed: Path,
    model: Path,
    evaluation: Path,
    embeddings: Path,
    index: Path,
    blessing: ReleaseBlessing | None = None,
) -> str:
    """Write a release of what the steps of a run made, and return its version; what is live stays.

    Args: as those of `push`, and what the model was judged by, if it was.

    Raises:
        ReleaseError: a part is missing.
    """
    parts = {
        "user_tower": model / "user_tower",
        "movie_tower": model / "movie_tower",
        "ranker": model / "ranker",
        "movies.parquet": embeddings / "movies.parquet",
        "users.parquet": embeddings / "users.parquet",
        "history.parquet": embeddings / "history.parquet",
        "index": index,
    }
    parts |= {name: model / name for name in OPTIONAL_PARTS if (model / name).is_dir()}
    if (evaluation / PER_USER_FILE).is_file():
        parts[PER_USER_FILE] = evaluation / PER_USER_FILE
    missing = [str(path) for path in parts.values() if not path.exists()]
    if missing:
        raise ReleaseError(
            f"{', '.join(missing)}: removed since the step that made it. Delete the artifacts folder and "
            "run again; every step is then made anew."
        )
    manifest = _manifest(run, examples, transformed, evaluation, embeddings)
    manifest["blessing"] = None if blessing is None else blessing.model_dump(mode="json")
    manifest["mlflow_run_id"] = TrainingReport.read(model).mlflow_run_id
    return write_release(releases, parts, manifest)


def _manifest(
    run: RunDescription, examples: Path, transformed: Path, evaluation: Path, embeddings: Path
) -> dict[str, Any]:
    source = SourceReport.read(examples)
    split = SplitManifest.read(transformed)
    result = Evaluation.read(evaluation)
    rows = {
        name: pq.read_metadata(embeddings / f"{name}.parquet").num_rows
        for name in ("users", "movies", "history")
    }
    movies = pq.read_table(embeddings / "movies.parquet", columns=[Columns.EMBEDDING])
    dimension = from_column(movies.column(Columns.EMBEDDING)).shape[1]
    return {
        "dataset": source.source,
        "config": run.config,
        "seed": run.seed,
        "git_commit": run.git_commit,
        "run_fingerprint": run.fingerprint,
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "data": {"source": source.model_dump(mode="json"), "split": split.model_dump(mode="json")},
        "counts": {"users": rows["users"], "movies": rows["movies"], "ratings": rows["history"]},
        "dimension": dimension,
        "metrics": result.model_dump(mode="json"),
    }
