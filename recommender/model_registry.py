"""MLflow's model registry, kept in step with the releases.

Every model that Pusher was given is a version of the registered model that is named after the run
(`run.name`), whether it was released or not. Two aliases say how they stand:

- `champion` is the version whose release is live;
- `challenger` is the newest version after it, if there is one: a model that was not blessed, or a release
  that was live and was rolled back.

The releases decide and the registry follows: one that cannot be reached stops nothing, and the next release,
promotion or roll-back sets it right.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from recommender.errors import ReleaseError
from recommender.evaluation.result import Evaluation
from recommender.push import Pushed
from recommender.release import list_releases, live_version, read_manifest
from recommender.training.configuration import Tracking
from recommender.training.report import TrainingReport

logger = logging.getLogger(__name__)

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
RELEASE_TAG: Final = "marquee.release"
"""Tag of a model version: the version of the release that holds it, or nothing."""
_SERVED: Final = "user_tower"
"""The tracked model that a version points to, to be loaded as `models:/NAME@champion`."""
_LONGEST_TAG: Final = 5000
_LONGEST_REASON: Final = 300
_PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


def register_model(tracking: Tracking, releases: Path, model: Path, evaluation: Path, pushed: Pushed) -> bool:
    """Make a model a version in the registry, and bring the aliases in step.

    Args:
        tracking: Where training was reported to; nothing is done without MLflow.
        releases: The folder of all releases.
        model: Folder of the trained model, whose `training.json` names MLflow's run.
        evaluation: `evaluation.json`.
        pushed: What came of it.

    Returns:
        Whether the registry could be reached and is in step.
    """
    run_id = TrainingReport.read(model).mlflow_run_id
    if tracking.mlflow_uri is None or run_id is None:
        return False
    name = tracking.experiment
    tags = {
        RELEASE_TAG: pushed.version or "",
        "marquee.forced": str(pushed.forced).lower(),
        "marquee.verdict": "; ".join(pushed.reasons)[:_LONGEST_TAG],
    }
    judged = Evaluation.read(evaluation)
    if (reached := judged.means.get(f"ndcg@{judged.k}")) is not None:
        tags[f"ndcg_at_{judged.k}"] = f"{reached:.6f}"
    live = live_version(releases)

    def register(client: Any) -> None:
        _register(client, name, run_id, tags)
        _set_aliases(client, name, live)

    return _done_in(tracking.mlflow_uri, register)


def keep_in_step(mlflow_uri: str, releases: Path) -> bool:
    """Bring the aliases in step with the releases, such as after a promotion.

    Args:
        mlflow_uri: MLflow's tracking address.
        releases: The folder of all releases.

    Returns:
        Whether the registry could be reached and is in step.
    """
    live, names = live_version(releases), sorted(_names(releases))

    def follow(client: Any) -> None:
        for name in names:
            if client.search_registered_models(filter_string=f"name='{name}'"):
                _set_aliases(client, name, live)

    return _done_in(mlflow_uri, follow)


def _names(releases: Path) -> set[str]:
    """The names of the runs that all releases came of."""
    names = set()
    for version in list_releases(releases):
        try:
            run = read_manifest(releases / version).config.get("run")
        except ReleaseError:
            continue
        if isinstance(run, Mapping) and isinstance(run.get("name"), str):
            names.add(run["name"])
    return names


def _register(client: Any, name: str, run_id: str, tags: Mapping[str, str]) -> None:
    if not client.search_registered_models(filter_string=f"name='{name}'"):
        client.create_registered_model(name, description="The models that Marquee's runs of this name made.")
    for version in client.search_model_versions(f"name='{name}'"):
        if version.run_id == run_id and version.tags.get(RELEASE_TAG) == tags[RELEASE_TAG]:
            return
    run = client.get_run(run_id)
    tracked = client.search_logged_models(
        [run.info.experiment_id], filter_string=f"source_run_id = '{run_id}' AND name = '{_SERVED}'"
    )
    # Not as models:/ID, which MLflow would look up in its default store, and make one where it is run. A run
    # that tracked no models has artifacts all the same.
    source, model_id = run.info.artifact_uri, None
    if tracked:
        source, model_id = tracked[0].artifact_location, tracked[0].model_id
    client.create_model_version(name, source, run_id=run_id, tags=dict(tags), model_id=model_id)


def _set_aliases(client: Any, name: str, live: str | None) -> None:
    versions = sorted(client.search_model_versions(f"name='{name}'"), key=lambda one: int(one.version))
    champions = [int(one.version) for one in versions if live and one.tags.get(RELEASE_TAG) == live]
    newer = [int(one.version) for one in versions if int(one.version) > max(champions, default=0)]
    wanted = {CHAMPION: max(champions, default=None), CHALLENGER: max(newer, default=None)}
    aliases = client.get_registered_model(name).aliases
    for alias, version in wanted.items():
        if version is None:
            if alias in aliases:
                client.delete_registered_model_alias(name, alias)
        elif str(aliases.get(alias)) != str(version):
            client.set_registered_model_alias(name, alias, str(version))


def _done_in(mlflow_uri: str, action: Callable[[Any], None]) -> bool:
    """Do something with a client of the registry; what it cannot do is a warning."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for variable, value in _PATIENCE.items():
        os.environ.setdefault(variable, value)
    import mlflow

    try:
        action(mlflow.MlflowClient(mlflow_uri))
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, OSError) as error:
        reason = str(error).partition("\n")[0][:_LONGEST_REASON]
        logger.warning(
            "MLflow's model registry is not in step with the releases, which are what counts: %s. The next "
            "release, promotion or roll-back sets it right.",
            reason,
        )
        return False
    return True
