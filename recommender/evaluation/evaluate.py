"""Judging a saved model on the test part, and whether it may be released."""

import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from recommender.data.columns import Columns
from recommender.data.splits import SplitManifest
from recommender.errors import TrainingError
from recommender.evaluation.baselines.fit_baselines import fit_baselines
from recommender.evaluation.bootstrap import bootstrap_means, percentile_interval
from recommender.evaluation.comparison import compare
from recommender.evaluation.configuration import EvaluatorConfig
from recommender.evaluation.evaluator import RankingQuality, Scorer, dot_product, evaluate_ranking
from recommender.evaluation.live import compare_with_live, live_evaluation
from recommender.evaluation.per_user import paired_differences, write_per_user
from recommender.evaluation.rating_quality import rating_errors, reliability
from recommender.evaluation.relevant import relevant_ratings
from recommender.evaluation.result import Blessing, Evaluation, SliceResult, standing, title
from recommender.evaluation.slices import Slice, movie_slices, slice_values, user_slices
from recommender.features.transformed_examples import History, Interactions, TransformedExamples
from recommender.models.saved_models import load_signature, movie_vectors, predicted_ratings, user_vectors
from recommender.retrieval.re_rank import ReRanking, two_stage
from recommender.training.report import TrainingReport

Vectors = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)


def evaluate(
    transformed: TransformedExamples,
    model: Path,
    config: EvaluatorConfig,
    seed: int,
    live: Path | None = None,
    keep: Path | None = None,
) -> Evaluation:
    """Judge a saved model on the test part, beside the baselines and what is live.

    Which test ratings count, `relevant_ratings` says. Training and validation ratings are masked and are what
    the user tower sees and baselines are fitted on; the whole catalogue competes. Without a test part only
    the validation metrics of training are reported.

    Args:
        transformed: What Transform wrote.
        model: Holds `user_tower/`, `movie_tower/`, `ranker/` and `training.json`; with `re_ranker/` the two
            stages together are what is judged, and retrieval stands beside them.
        config: What is measured.
        seed: Of the bootstrap and the baselines.
        live: The folder of the live release, or its `evaluation.json`; nothing where there is none. Users are
            compared one by one where `per_user.parquet` lies there, too.
        keep: Gets `per_user.parquet`, what each test user got, for the next model to be compared with.
    """
    manifest = SplitManifest.read(transformed.folder)
    validation = TrainingReport.read(model).validation
    fitted_on = transformed.interactions("train") + transformed.interactions("validation").known()
    test = relevant_ratings(transformed.interactions("test"), fitted_on, manifest.config.strategy)
    if not len(test):
        logger.info("there is no test part: nothing to measure but what training saw of the validation part")
        return Evaluation(
            protocol=manifest.protocol,
            models={},
            baselines={},
            ranking={},
            intervals={},
            validation=validation,
            n_users=0,
            n_users_left_out=transformed.n_users,
        )
    judging = _Judging(transformed, test, config, seed)
    towers = _Towers(transformed, model, judging.seen)
    stages = _stages(transformed, model, towers, judging.seen)
    # What the service shows: the order of the last stage.
    judged = list(stages)[-1]
    qualities: dict[str, RankingQuality] = {}
    slice_means: dict[str, _SliceMeans] = {}
    notes: list[str] = []
    for name, scorer in judging.with_baselines(stages, notes):
        qualities[name] = judging.quality(name, scorer)
        slice_means[name] = judging.slice_means(qualities[name])
    main = qualities[judged]
    slices = tuple(judging.slice_results(judged, slice_means))
    test_sha256 = manifest.parts["test"].sha256
    known = None if live is None else live_evaluation(live)
    beside_live = None
    test_users = transformed.user_ids[main.users]
    if live is not None and known is not None:
        paired = paired_differences(
            test_users, main.per_user, live.parent if live.suffix == ".json" else live, seed
        )
        beside_live, slices = compare_with_live(
            judged, main, slices, test_sha256, transformed.n_movies, *known, paired=paired
        )
    if keep is not None:
        write_per_user(test_users, main.per_user, keep)
    predicted = towers.predicted_ratings(test)
    means = {name: quality.means for name, quality in qualities.items()}
    return Evaluation(
        protocol=manifest.protocol,
        test_sha256=test_sha256,
        k=config.k,
        models={name: values for name, values in means.items() if name in stages},
        judged=judged,
        baselines={name: values for name, values in means.items() if name not in stages},
        intervals={name: quality.intervals for name, quality in qualities.items()},
        comparisons={name: compare(main, quality) for name, quality in qualities.items() if name != judged},
        slices=slices,
        ranking=rating_errors(predicted, test.rating),
        reliability=reliability(predicted, test.rating),
        live=beside_live,
        validation=validation,
        n_users=main.n_users,
        n_users_left_out=main.n_users_left_out,
        n_movies=transformed.n_movies,
        notes=tuple(notes),
    )


def _stages(
    transformed: TransformedExamples, model: Path, towers: "_Towers", seen: History
) -> dict[str, Scorer]:
    """The stages of a saved model, each going by the one before it."""
    retrieval = dot_product(towers.users, towers.movies)
    if not (model / "re_ranker").is_dir():
        return {"retrieval": retrieval}
    second = ReRanking.load(model / "re_ranker")
    both = two_stage(retrieval, second.ranking, seen, transformed.n_movies, second.candidates)
    return {"retrieval": retrieval, "two_stage": both}


class _Towers:
    """The vectors of a saved model, and its predicted ratings."""

    def __init__(self, transformed: TransformedExamples, model: Path, seen: History) -> None:
        self._transformed, self._model = transformed, model
        self.users = user_vectors(load_signature(model / "user_tower"), transformed, seen)
        self.movies = movie_vectors(load_signature(model / "movie_tower"), transformed)

    def predicted_ratings(self, pairs: Interactions) -> Vectors:
        return predicted_ratings(
            load_signature(self._model / "ranker"),
            self._transformed,
            user_index=pairs.user_index,
            movie_index=pairs.movie_index,
            users=self.users,
            movies=self.movies,
        )


class _SliceMeans:
    """Of one model: the mean of each slice, and the means over users drawn anew."""

    def __init__(self, values: npt.NDArray[np.float64], seed: int) -> None:
        self.n_users = (~np.isnan(values)).sum(axis=0)
        self.means = np.nansum(values, axis=0) / np.maximum(self.n_users, 1)
        self.samples = bootstrap_means(values, seed)


class _Judging:
    """What is the same for every model that is judged on one test part."""

    def __init__(
        self, transformed: TransformedExamples, test: Interactions, config: EvaluatorConfig, seed: int
    ) -> None:
        self._transformed, self._config, self._seed = transformed, config, seed
        self._train = transformed.interactions("train")
        self._validation = transformed.interactions("validation").known()
        self._fitted_on = self._train + self._validation
        self.seen = History.of(self._fitted_on, transformed.n_users)
        self._relevant = History.of(test, transformed.n_users)
        self._slices = self._all_slices()

    def _all_slices(self) -> list[Slice]:
        transformed = self._transformed
        years = pq.read_table(transformed.folder / "movie_features.parquet", columns=[Columns.RELEASE_YEAR])
        return [
            *user_slices(self.seen, np.flatnonzero(self._relevant.lengths)),
            *movie_slices(
                np.bincount(self.seen.movie_index, minlength=transformed.n_movies),
                transformed.movie_genres,
                transformed.vocabulary.genres,
                years.column(0).to_numpy().astype(np.float64),
            ),
        ]

    def with_baselines(self, stages: Mapping[str, Scorer], notes: list[str]) -> Iterator[tuple[str, Scorer]]:
        """The stages of the model, then one baseline after the other, so that one at a time is in memory."""
        yield from stages.items()
        for name in self._config.baselines:
            try:
                fitted = fit_baselines(
                    [name],
                    self._train,
                    self._validation,
                    self._fitted_on,
                    self._transformed,
                    self._seed,
                    self._config.baseline_values,
                )
            except TrainingError as error:
                notes.append(f"{title(name)} is left out: {error}")
                logger.warning(notes[-1])
            else:
                yield name, fitted.pop(name)

    def quality(self, name: str, scorer: Scorer) -> RankingQuality:
        began = time.perf_counter()
        logger.info("judging %s on %d users", title(name), np.count_nonzero(self._relevant.lengths))
        quality = evaluate_ranking(
            scorer,
            seen=self.seen,
            relevant=self._relevant,
            n_movies=self._transformed.n_movies,
            ks=self._config.ks,
            seed=self._seed,
            genres=self._transformed.movie_genres,
        )
        metric = f"ndcg@{self._config.k}"
        took = time.perf_counter() - began
        logger.info("%s: %s %.4f (%.1f s)", title(name), metric, quality.means[metric], took)
        return quality

    def slice_means(self, quality: RankingQuality) -> _SliceMeans:
        values = slice_values(
            self._slices, quality, self._relevant, self._transformed.n_movies, self._config.k
        )
        return _SliceMeans(values, self._seed)

    def slice_results(self, judged: str, of: dict[str, _SliceMeans]) -> Iterator[SliceResult]:
        ours = of[judged]
        # One user says nothing, and may not be drawn at all.
        columns = np.flatnonzero(ours.n_users > 1)
        low, high = percentile_interval(ours.samples[:, columns])
        differences = {
            name: percentile_interval((ours.samples - other.samples)[:, columns])
            for name, other in of.items()
            if name != judged
        }
        for place, column in enumerate(columns):
            one = self._slices[column]
            yield SliceResult(
                by=one.by,
                name=one.name,
                metric=f"{'ndcg' if one.of == 'users' else 'recall'}@{self._config.k}",
                n_users=int(ours.n_users[column]),
                means={name: float(other.means[column]) for name, other in of.items()},
                interval=(float(low[place]), float(high[place])),
                differences={
                    name: (float(ends[0, place]), float(ends[1, place])) for name, ends in differences.items()
                },
            )


def bless(evaluation: Evaluation, config: EvaluatorConfig) -> Blessing:
    """Decide whether a model may be released.

    Args:
        evaluation: How good it is.
        config: What it must reach. Metrics that were not measured for want of a test part ask nothing, nor
            does a live release that was judged on another one.
    """
    if not evaluation.means:
        return Blessing(blessed=True, reasons=("there is no test part to be judged by",))
    means = evaluation.means
    required = [(name, value, "at least") for name, value in config.minimum.items()]
    missed = []
    for baseline, ratios in config.minimum_over.items():
        theirs = evaluation.baselines.get(baseline)
        if theirs is None:
            missed.append(f"{title(baseline)} was left out, over which {', '.join(ratios)} is required")
            continue
        required += [
            (name, ratio * theirs[name], f"at least {ratio:g} x {title(baseline)},")
            for name, ratio in ratios.items()
        ]
    reached = []
    for name, value, words in required:
        text = f"{name} is {means[name]:.4f}, {words} {value:.4f}"
        if means[name] >= value:
            reached.append(text)
        else:
            missed.append(f"{text} is required")
    live, metric = evaluation.live, f"ndcg@{config.k}"
    if config.not_worse_than_live and live is not None and metric in live.differences:
        text = f"{metric} is {means[metric]:.4f}, {live.means[metric]:.4f} for the live release {live.name}"
        if standing(live.differences[metric]) == "worse":
            missed.append(f"{text}: no worse than that is required")
        else:
            reached.append(text)
    return Blessing(blessed=not missed, reasons=tuple(missed or reached))
