"""What an evaluation found, and whether the model may be released."""

from recommender.document import Document

TABLE_METRICS = ("recall", "precision", "ndcg", "hit_rate", "map", "coverage")
"""The columns of every table of results, each at every K."""


class Evaluation(Document):
    """How good a model is."""

    file_name = "evaluation.json"
    written_by = "Evaluator"

    protocol: str
    """The evaluation protocol, such as `P-random`."""
    retrieval: dict[str, float]
    """Metrics of the two towers; empty where there is no test part."""
    baselines: dict[str, dict[str, float]]
    """The same metrics of each baseline."""
    ranking: dict[str, float]
    """RMSE of the ranking head, in stars; empty where there is no test part."""
    intervals: dict[str, tuple[float, float]]
    """95 % bootstrap intervals over users of the towers' metrics."""
    validation: dict[str, float]
    """The metrics that stopping was chosen by."""
    n_users: int
    """Test users over whom the means are taken."""
    n_users_left_out: int
    """Users without a test rating."""

    def rows(self) -> list[tuple[str, int, list[float]]]:
        """The results as (model, K, values in the order of `TABLE_METRICS`), baselines last."""
        models = {"two towers": self.retrieval, **self.baselines}
        ks = sorted({int(name.partition("@")[2]) for name in self.retrieval})
        return [
            (name.replace("_", " "), k, [metrics[f"{metric}@{k}"] for metric in TABLE_METRICS])
            for k in ks
            for name, metrics in models.items()
        ]


class Blessing(Document):
    """Whether a model may be released, and why."""

    file_name = "blessing.json"
    written_by = "Evaluator"

    blessed: bool
    """Whether it may."""
    reasons: tuple[str, ...]
    """What it fell short of; or what it was judged by."""
