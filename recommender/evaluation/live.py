"""How good what is live is, by its own evaluation.

The live model is not judged anew: unless it was trained on the same split, it has seen some of what is now
the test part, and would look better than it is. So it counts only where both were judged on the same test
part; a new model on new ratings is compared with the baselines alone.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from recommender.errors import DataError, ReleaseError
from recommender.evaluation.comparison import Interval
from recommender.evaluation.evaluator import RankingQuality
from recommender.evaluation.result import Evaluation, LiveComparison, SliceResult
from recommender.release import read_manifest

logger = logging.getLogger(__name__)


def live_evaluation(path: Path) -> tuple[str, Evaluation] | None:
    """What the live release says of itself: its name and its evaluation.

    Args:
        path: The folder of the release, or an `evaluation.json`.

    Returns:
        None where the release is gone, or comes from a version of Marquee that measured otherwise.

    Raises:
        DataError: the `evaluation.json` that was named cannot be read.
    """
    if path.suffix == ".json":
        try:
            return path.name, Evaluation.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(f"{path} holds no evaluation ({error}): name another, or none.") from error
    try:
        return path.name, Evaluation.model_validate(read_manifest(path).metrics)
    except (ReleaseError, ValidationError) as error:
        logger.warning("release %s cannot be compared with: %s", path.name, error)
        return None


def compare_with_live(
    judged: str,
    model: RankingQuality,
    slices: Sequence[SliceResult],
    test_sha256: str,
    n_movies: int,
    name: str,
    live: Evaluation,
    paired: Mapping[str, Interval] | None = None,
) -> tuple[LiveComparison, tuple[SliceResult, ...]]:
    """Put a model beside the live release.

    Where it is known what each user got of the live release, the interval of the difference is that of the
    paired bootstrap. Where only means and intervals are known, as of slices, it takes both as independent,
    with half the width ``sqrt(a² + b²)`` on each side.

    Args:
        judged: Name of the model.
        model: Its quality, with intervals.
        slices: Its slices.
        test_sha256: Fingerprint of the test part it was judged on.
        n_movies: Movies in the catalogue.
        name: Of the live release.
        live: Its evaluation.
        paired: Intervals of the differences by the paired bootstrap; None where it is not known what each
            user got.

    Returns:
        The comparison, and the slices with the live release beside the baselines.
    """
    comparable = bool(live.means) and live.test_sha256 == test_sha256 and live.n_movies == n_movies
    if not comparable:
        return LiveComparison(name=name, comparable=False, means=live.means, differences={}), tuple(slices)
    theirs = live.intervals.get(live.judged, {})
    differences = {
        metric: _difference(model.means[metric], ours, live.means[metric], theirs[metric])
        for metric, ours in model.intervals.items()
        if metric in theirs
    }
    differences |= {metric: ends for metric, ends in (paired or {}).items() if metric in differences}
    live_slices = {(one.by, one.name, one.metric): one for one in live.slices}
    beside = tuple(
        _with_live(one, live_slices.get((one.by, one.name, one.metric)), judged, live.judged)
        for one in slices
    )
    comparison = LiveComparison(
        name=name,
        comparable=True,
        means=live.means,
        differences=differences,
        paired=paired is not None,
    )
    return comparison, beside


def _with_live(one: SliceResult, live: SliceResult | None, judged: str, live_judged: str) -> SliceResult:
    if live is None:
        return one
    theirs = live.means[live_judged]
    difference = _difference(one.means[judged], one.interval, theirs, live.interval)
    return one.model_copy(
        update={"means": one.means | {"live": theirs}, "differences": one.differences | {"live": difference}}
    )


def _difference(mean: float, interval: Interval, other: float, other_interval: Interval) -> Interval:
    half = np.hypot(np.ptp(interval) / 2, np.ptp(other_interval) / 2)
    return float(mean - other - half), float(mean - other + half)
