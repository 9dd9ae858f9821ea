"""Fitting the re-ranker on what retrieval really recalls."""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recommender.data.written_whole import written_whole
from recommender.errors import TrainingError
from recommender.evaluation.evaluator import Scorer
from recommender.features.transformed_examples import History, Interactions, TransformedExamples
from recommender.models.lite_models import save_feature_weights, save_re_ranker
from recommender.models.re_ranker import ReRanker
from recommender.models.re_ranker_configuration import ReRankerConfig
from recommender.retrieval.candidate_features import CandidateFeatures, Features, feature_names, start_weights
from recommender.retrieval.re_rank import USERS_AT_ONCE, CandidateRanking, ReRankerDescription, recall
from recommender.training.callbacks import BestWeights, StopOnNaN, Validation
from recommender.training.report import EpochLogs, epoch_logs

logger = logging.getLogger(__name__)

_AT = 10


@dataclass(frozen=True)
class FittedReRanker:
    """The fitted re-ranker.

    Attributes:
        model: With the weights of the best epoch.
        epochs: How many epochs it was best after; 0 where none was better than what it started from.
        curves: The logs of each epoch.
        seconds: How long the fit took, features included.
    """

    model: ReRanker
    epochs: int
    curves: EpochLogs = field(repr=False)
    seconds: float

    def ranking(self, features: CandidateFeatures) -> CandidateRanking:
        """The model on top of features, those it was fitted on or those of more ratings."""
        return CandidateRanking(features, lambda values: np.asarray(self.model(_tensors(values))))


@dataclass(frozen=True)
class _Lists:
    """Candidates of some users, as features, and which of them are relevant."""

    features: Features
    relevant: npt.NDArray[np.float32]
    n_relevant: npt.NDArray[np.int64]

    def of(self, rows: npt.NDArray[np.int64]) -> "_Lists":
        features = {name: values[rows] for name, values in self.features.items()}
        return _Lists(features, self.relevant[rows], self.n_relevant[rows])


def fit_re_ranker(
    examples: TransformedExamples,
    config: ReRankerConfig,
    seed: int,
    train: Interactions,
    validation: Interactions,
    retrieval: Scorer,
) -> FittedReRanker:
    """Fit the re-ranker to put the validation ratings of each user before the other candidates.

    Nothing leaks: towers and neighbours know `train` only, whose movies are never candidates, and the labels
    are the ratings of `validation`, which no feature has seen.

    Args:
        examples: What Transform wrote.
        config: Hyperparameters.
        seed: Of initial weights, order and the users held out.
        train: What `retrieval` was fitted on.
        validation: The labels; at least two users must have one among their candidates.
        retrieval: Scores the catalogue.

    Raises:
        TrainingError: too few users have a candidate to learn from.
    """
    tf.keras.utils.set_random_seed(seed)
    began = time.perf_counter()
    seen, relevant = History.of(train, examples.n_users), History.of(validation, examples.n_users)
    features = CandidateFeatures.fit(seen, examples, config)
    lists = _lists(features, retrieval, seen, relevant, examples.n_movies, config, seed)

    useful = np.flatnonzero(lists.relevant.any(axis=1))
    np.random.default_rng(seed).shuffle(useful)
    n_held_out = max(1, round(config.held_out * len(useful)))
    held_out, learned_from = lists.of(useful[:n_held_out]), lists.of(useful[n_held_out:])
    if not len(learned_from.relevant):
        raise TrainingError(
            f"{len(useful)} users have a validation rating among their candidates, and re-ranking needs 2 or "
            "more: raise transform.split.validation_size or the re-ranker's candidates, or do without it."
        )
    model = ReRanker(config, feature_names(config), start_weights(config))
    # The optimizer's slots and the network's weights are made for the first batch.
    model(_tensors(held_out.of(np.array([0])).features))
    model.compile(optimizer=tf.keras.optimizers.Adam(config.learning_rate))
    best = BestWeights("val_ndcg@10", "max", config.patience)
    start, weights = _ndcg(model, held_out), model.get_weights()
    fitted = model.fit(
        _batches(learned_from, config.batch_size, seed),
        epochs=config.epochs,
        verbose=0,
        callbacks=[StopOnNaN(), Validation(lambda: {"val_ndcg@10": _ndcg(model, held_out)}), best],
    )
    curves = epoch_logs(fitted.history)
    reached, epochs = curves["val_ndcg@10"][best.epochs - 1], best.epochs
    if reached <= start:
        model.set_weights(weights)
        epochs = 0
    seconds = time.perf_counter() - began
    logger.info(
        "re-ranking: NDCG@10 of %d users held out was %.4f at the start and %.4f after %d epochs, %.0f s",
        n_held_out,
        start,
        max(start, reached),
        epochs,
        seconds,
    )
    return FittedReRanker(model, epochs, curves, seconds)


def write_re_ranker(model: ReRanker, features: CandidateFeatures, candidates: int, folder: Path) -> None:
    """Write what `ReRanking` reads, whole or not at all: models, `features/` and `re_ranker.json`.

    Args:
        model: Fitted.
        features: Of all ratings that the towers beside it were fitted on.
        candidates: Movies recalled for each user.
        folder: Must not be there yet.
    """
    with written_whole(folder) as scratch:
        ReRankerDescription(candidates=candidates).write(scratch)
        save_re_ranker(model, scratch / "model.tflite")
        save_feature_weights(model, scratch / "weights.tflite")
        features.save(scratch / "features")


def _lists(
    features: CandidateFeatures,
    retrieval: Scorer,
    seen: History,
    relevant: History,
    n_movies: int,
    config: ReRankerConfig,
    seed: int,
) -> _Lists:
    at_once = min(USERS_AT_ONCE, config.users)
    starts = np.arange(0, seen.n_users, at_once)
    if seen.n_users > config.users:
        starts = np.sort(np.random.default_rng(seed).permutation(starts)[: config.users // at_once])
    blocks: list[Features] = []
    labels, n_relevant = [], []
    for start in starts.tolist():
        stop = min(start + at_once, seen.n_users)
        best, best_scores = recall(retrieval, seen, n_movies, config.candidates, start, stop)
        blocks.append(features.of(seen.rows(start, stop), best, best_scores))
        rows = relevant.rows(start, stop)
        is_relevant = np.zeros((stop - start, n_movies + 1), np.float32)
        is_relevant[rows.user_of_each(), rows.movie_index] = 1.0
        # An empty place, -1, looks at the extra last column, which stays 0.
        labels.append(np.take_along_axis(is_relevant, best, axis=1))
        n_relevant.append(rows.lengths)
    return _Lists(
        {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]},
        np.concatenate(labels),
        np.concatenate(n_relevant),
    )


def _batches(lists: _Lists, batch_size: int, seed: int) -> tf.data.Dataset:
    inputs = {**lists.features, "relevant": lists.relevant}
    rows = (
        tf.data.Dataset.range(len(lists.relevant)).shuffle(len(lists.relevant), seed=seed).batch(batch_size)
    )
    tensors = _tensors(inputs)
    return rows.map(lambda batch: {name: tf.gather(values, batch) for name, values in tensors.items()})


def _ndcg(model: ReRanker, lists: _Lists) -> float:
    """Mean NDCG@10, the ideal being all of a user's relevant movies, recalled or not."""
    scores = np.concatenate(
        [
            model(
                _tensors(lists.of(np.arange(start, min(start + USERS_AT_ONCE, len(lists.relevant)))).features)
            )
            for start in range(0, len(lists.relevant), USERS_AT_ONCE)
        ]
    )
    order = np.argsort(-scores, axis=1, kind="stable")[:, :_AT]
    gains = np.take_along_axis(lists.relevant, order, axis=1)
    discounts = 1.0 / np.log2(np.arange(2, _AT + 2))
    ideal = np.cumsum(discounts)[np.minimum(lists.n_relevant, _AT) - 1]
    return float(np.mean(gains @ discounts[: gains.shape[1]] / ideal))


def _tensors(values: Features) -> dict[str, tf.Tensor]:
    return {name: tf.constant(array) for name, array in values.items()}
