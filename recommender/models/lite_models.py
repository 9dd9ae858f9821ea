"""Towers, ranking head and re-ranker as LiteRT files, for a service that does without TensorFlow.

The Keras models themselves are converted, to operations that every LiteRT runtime has: what they do not have,
the conversion refuses. Movies and users are given by position, so that nothing needs a table of ids.
"""

from pathlib import Path
from typing import Any

import tensorflow as tf

from recommender.data.written_whole import written_whole
from recommender.features.history_features import HistoryFeatures
from recommender.features.transformed_examples import TransformedExamples
from recommender.models.ranking_head import RankingHead
from recommender.models.re_ranker import ReRanker
from recommender.models.re_ranker_configuration import HISTORY_LENGTH
from recommender.models.user_tower import UserTower

_USER = tf.TensorSpec([], tf.int32, "user_index")
_HISTORY = tf.TensorSpec([None], tf.int32, "history")
_RATING = tf.TensorSpec([None], tf.float32, "history_rating")


class _OneUserTower(tf.Module):
    def __init__(self, tower: UserTower, examples: TransformedExamples) -> None:
        super().__init__()
        self.tower = tower
        numbers = tf.TensorSpec([examples.user_numbers.shape[1]], tf.float32, "user_numbers")
        genres = tf.TensorSpec([examples.user_genres.shape[1]], tf.float32, "user_genres")
        self.serve = tf.function(self._serve, input_signature=[_USER, _HISTORY, _RATING, numbers, genres])

    def _serve(
        self,
        user_index: tf.Tensor,
        history: tf.Tensor,
        history_rating: tf.Tensor,
        user_numbers: tf.Tensor,
        user_genres: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        return self._answer(
            {
                "user_index": user_index[tf.newaxis],
                "history": _of_one_user(history),
                "history_rating": _of_one_user(history_rating),
                "user_numbers": user_numbers[tf.newaxis],
                "user_genres": user_genres[tf.newaxis],
            }
        )

    def _answer(self, inputs: dict[str, Any]) -> dict[str, tf.Tensor]:
        return {"embedding": tf.squeeze(self.tower(inputs), axis=0)}


class _OneUserShares(_OneUserTower):
    def _answer(self, inputs: dict[str, Any]) -> dict[str, tf.Tensor]:
        return {"shares": self.tower.shares(inputs)}


class _OneUserRankingHead(tf.Module):
    def __init__(self, head: RankingHead) -> None:
        super().__init__()
        self.head = head
        movies = tf.TensorSpec([None], tf.int32, "movie_index")
        self.serve = tf.function(self._serve, input_signature=[_USER, _HISTORY, _RATING, movies])

    def _serve(
        self, user_index: tf.Tensor, history: tf.Tensor, history_rating: tf.Tensor, movie_index: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        state = self.head.user_side.states(_of_one_user(history), _of_one_user(history_rating))
        inputs = {
            "user_index": tf.fill(tf.shape(movie_index), user_index),
            "movie_index": movie_index,
            "user_state": tf.tile(state, [tf.size(movie_index), 1]),
        }
        return {"rating": self.head(inputs)}


class _ManyCandidates(tf.Module):
    def __init__(self, model: ReRanker) -> None:
        super().__init__()
        self.model = model
        lists = {name: tf.TensorSpec([None, None], tf.float32, name) for name in model.features}
        lists[HISTORY_LENGTH] = tf.TensorSpec([None, 1], tf.float32, HISTORY_LENGTH)
        self.serve = tf.function(self._serve, input_signature=[lists])

    def _serve(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._answer(inputs)

    def _answer(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"score": self.model(inputs)}


class _WeightsOfCandidates(_ManyCandidates):
    def _answer(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        weights = self.model.weights_of_features(inputs)
        return {name: weights[..., number] for number, name in enumerate(self.model.features)}


def save_online_model(
    tower: UserTower, head: RankingHead, examples: TransformedExamples, folder: Path
) -> None:
    """Write what computes a user's vector and predicted ratings from any history, whole or not at all.

    `user_tower.tflite` takes `user_index` int32 [] (-1 for a user that training does not know), `history`
    int32 [ratings], `history_rating` float32 [ratings], `user_numbers` float32 [6] and `user_genres` float32
    [genres], and answers `embedding` float32 [dimension]. `ranking_head.tflite` takes `user_index`,
    `history`, `history_rating` and `movie_index` int32 [candidates], and answers `rating` float32
    [candidates]. `features.npz` is `HistoryFeatures`.
    """
    with written_whole(folder) as scratch:
        _convert(_OneUserTower(tower, examples), scratch / "user_tower.tflite")
        _convert(_OneUserShares(tower, examples), scratch / "user_shares.tflite")
        _convert(_OneUserRankingHead(head), scratch / "ranking_head.tflite")
        HistoryFeatures.of_examples(examples).save(scratch / "features.npz")


def save_re_ranker(model: ReRanker, file: Path) -> None:
    """Write the re-ranker.

    It takes every feature by name, float32 [lists, candidates], `retrieval_score` -inf in an empty place, and
    `history_length` float32 [lists, 1]; it answers `score` float32 [lists, candidates].
    """
    _convert(_ManyCandidates(model), file)


def save_feature_weights(model: ReRanker, file: Path) -> None:
    """Write what says how much each feature counts for each candidate.

    It takes what the re-ranker takes, and answers a weight under the name of every feature, float32 [lists,
    candidates]: see `ReRanker.weights_of_features`.
    """
    _convert(_WeightsOfCandidates(model), file)


def _of_one_user(values: tf.Tensor) -> tf.RaggedTensor:
    # With rows given instead of splits, what towers ask of a ragged tensor takes no operation at all.
    rows = tf.zeros_like(values, tf.int64)
    return tf.RaggedTensor.from_value_rowids(values, rows, nrows=1, validate=False)


def _convert(module: Any, file: Path) -> None:
    function = module.serve.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    file.write_bytes(converter.convert())
