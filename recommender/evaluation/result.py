"""What an evaluation found, and whether the model may be released."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from recommender.document import Document
from recommender.evaluation.comparison import Comparison, Interval
from recommender.evaluation.rating_quality import ReliabilityBin

TABLE_METRICS = ("recall", "precision", "ndcg", "hit_rate", "map", "coverage")
"""The columns of every table of results, each at every K."""


class SliceResult(BaseModel):
    """How good models are for some users, or in finding some movies."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    by: str
    """What the slicing goes by, such as `genre`."""
    name: str
    """Which of its slices, such as `Comedy`."""
    metric: str
    """`ndcg@10` of the slice's users, or `recall@10` of its movies."""
    n_users: int
    """Users in the slice, or with something relevant in it, over whom the means are taken."""
    means: dict[str, float]
    """Of each model and baseline, and of the live release as `live`."""
    interval: Interval
    """95 % bootstrap interval of the judged model's."""
    differences: dict[str, Interval]
    """The judged model's mean minus that of each other, 95 % interval of the paired bootstrap; minus that of
    `live`, if both were judged on the same test part, as `LiveComparison` says."""


class LiveComparison(BaseModel):
    """The model beside the live release."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Version of the live release, or the file that tells of it."""
    comparable: bool
    """Whether both were judged on the same test part and catalogue. Otherwise differences say nothing."""
    means: dict[str, float]
    """The live release's metrics."""
    differences: dict[str, Interval]
    """The model's mean minus the live one's, 95 % interval. Empty where they are not comparable."""
    paired: bool = False
    """Whether these compare the same users one by one, with the paired bootstrap. Otherwise they are as if
    both had been judged on other users, and wider."""


class Evaluation(Document):
    """How good a model is: `ModelEvaluation`."""

    # Also tells of what an earlier version has written, which the live release may come from.
    model_config = ConfigDict(extra="ignore")

    file_name = "evaluation.json"
    written_by = "Evaluator"

    protocol: str
    """The evaluation protocol, such as `P-random`."""
    test_sha256: str | None = None
    """Fingerprint of the test part, to tell whether two evaluations are about the same one."""
    k: int = 10
    """The cut-off of slices and plots."""
    models: dict[str, dict[str, float]]
    """Metrics of each stage that was judged: `retrieval`, the two towers alone, and whatever orders what they
    recall. Empty where there is no test part."""
    judged: str = "retrieval"
    """Which of these is compared with baselines and decides the blessing: what the service would show."""
    baselines: dict[str, dict[str, float]]
    """The same metrics of each baseline."""
    intervals: dict[str, dict[str, Interval]]
    """95 % bootstrap intervals over users, of each model and baseline."""
    comparisons: dict[str, dict[str, Comparison]] = Field(default={})
    """The judged model beside each other model and baseline: metrics by the name of the other."""
    slices: tuple[SliceResult, ...] = ()
    """Users by activity, movies by popularity, genre and decade, and the cold start of both."""
    ranking: dict[str, float]
    """`rmse` and `mae` of predicted ratings, in stars; empty where there is no test part."""
    reliability: tuple[ReliabilityBin, ...] = ()
    """What was really given where a rating was predicted."""
    live: LiveComparison | None = None
    """The model beside the live release; None where nothing is live."""
    validation: dict[str, float]
    """The metrics that stopping was chosen by."""
    n_users: int
    """Test users over whom the means are taken."""
    n_users_left_out: int
    """Users without a test rating."""
    n_movies: int = 0
    """Movies in the catalogue, all of which compete."""
    notes: tuple[str, ...] = ()
    """What a person should know of this evaluation, such as which baseline was left out."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def retrieval(self) -> dict[str, float]:
        """Metrics of the two towers; empty where there is no test part."""
        return self.models.get("retrieval", {})

    @property
    def means(self) -> dict[str, float]:
        """Metrics of the judged model; empty where there is no test part."""
        return self.models.get(self.judged, {})

    @property
    def ks(self) -> list[int]:
        """The cut-offs, ascending."""
        return sorted({int(name.partition("@")[2]) for name in self.means})

    def strongest_baseline(self) -> str | None:
        """The baseline with the highest NDCG, None where there is none."""
        names = list(self.baselines)
        return max(names, key=lambda name: self.baselines[name][f"ndcg@{self.k}"]) if names else None

    def rows(self) -> list[tuple[str, int, list[float]]]:
        """The results as (model, K, values in the order of `TABLE_METRICS`), baselines last."""
        everything = self.models | self.baselines
        return [
            (title(name), k, [metrics[f"{metric}@{k}"] for metric in TABLE_METRICS])
            for k in self.ks
            for name, metrics in everything.items()
        ]


def title(model: str) -> str:
    """What a person calls a model or a baseline."""
    known = {"retrieval": "two towers", "ease": "EASE", "ials": "iALS", "item_knn": "item k-NN"}
    return known.get(model, model.replace("_", " "))


class Blessing(Document):
    """Whether a model may be released, and why."""

    file_name = "blessing.json"
    written_by = "Evaluator"

    blessed: bool
    """Whether it may."""
    reasons: tuple[str, ...]
    """What it fell short of; or what it was judged by."""


Standing = Literal["better", "worse", "no clear difference"]


def standing(difference: Interval) -> Standing:
    """What the 95 % interval of a difference says."""
    low, high = difference
    if low > 0:
        return "better"
    return "worse" if high < 0 else "no clear difference"
