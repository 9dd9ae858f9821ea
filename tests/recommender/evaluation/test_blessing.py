"""What decides whether a model may be released, and what a page says of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from recommender.errors import DataError
from recommender.evaluation.comparison import Comparison
from recommender.evaluation.configuration import EvaluatorConfig
from recommender.evaluation.evaluate import bless
from recommender.evaluation.live import live_evaluation
from recommender.evaluation.report import write_report
from recommender.evaluation.result import Evaluation, LiveComparison, SliceResult
from recommender.release import write_release

TABLE = ("recall", "precision", "hit_rate", "map", "coverage")


def metrics(ndcg):
    return {"ndcg@10": ndcg, **{f"{name}@10": 0.3 for name in TABLE}}


def evaluation(**more):
    return Evaluation(
        **{
            "protocol": "P-random",
            "test_sha256": "abc",
            "models": {"retrieval": metrics(0.4)},
            "baselines": {"most_popular": metrics(0.2)},
            "intervals": {"retrieval": {"ndcg@10": (0.38, 0.42)}, "most_popular": {"ndcg@10": (0.18, 0.22)}},
            "ranking": {"rmse": 0.9, "mae": 0.7},
            "validation": {"val_ndcg@10": 0.3},
            "n_users": 100,
            "n_users_left_out": 3,
            "n_movies": 50,
            **more,
        }
    )


def beside_live(low, high, comparable=True):
    differences = {"ndcg@10": (low, high)} if comparable else {}
    return LiveComparison(
        name="20260101T000000-abcdef12", comparable=comparable, means=metrics(0.41), differences=differences
    )


def test_a_minimum_that_is_reached_is_a_reason():
    verdict = bless(evaluation(), EvaluatorConfig(minimum={"ndcg@10": 0.35}))
    assert verdict.blessed
    assert verdict.reasons == ("ndcg@10 is 0.4000, at least 0.3500",)


def test_a_multiple_of_any_baseline_can_be_required():
    config = EvaluatorConfig(minimum_over={"most_popular": {"ndcg@10": 2.1}})
    verdict = bless(evaluation(), config)
    assert verdict.reasons == ("ndcg@10 is 0.4000, at least 2.1 x most popular, 0.4200 is required",)
    assert not verdict.blessed
    assert bless(evaluation(), EvaluatorConfig(minimum_over={"most_popular": {"ndcg@10": 1.9}})).blessed


def test_a_baseline_that_was_left_out_cannot_be_surpassed():
    verdict = bless(evaluation(), EvaluatorConfig(minimum_over={"ease": {"ndcg@10": 1.02}}))
    assert verdict.reasons == ("EASE was left out, over which ndcg@10 is required",)


@pytest.mark.parametrize(
    ("low", "high", "blessed"), [(-0.05, -0.01, False), (-0.03, 0.01, True), (0.01, 0.03, True)]
)
def test_only_clearly_worse_than_live_is_refused(low, high, blessed):
    verdict = bless(evaluation(live=beside_live(low, high)), EvaluatorConfig())
    assert verdict.blessed == blessed
    assert "0.4100 for the live release 20260101T000000-abcdef12" in verdict.reasons[0]
    assert bless(evaluation(live=beside_live(low, high)), EvaluatorConfig(not_worse_than_live=False)).blessed


def test_a_live_release_that_was_judged_on_other_ratings_decides_nothing():
    assert bless(evaluation(live=beside_live(0, 0, comparable=False)), EvaluatorConfig()).blessed


def test_what_orders_the_candidates_is_judged_in_place_of_retrieval():
    both = evaluation(models={"retrieval": metrics(0.4), "two_stage": metrics(0.5)}, judged="two_stage")
    config = EvaluatorConfig(minimum={"ndcg@10": 0.45})
    assert bless(both, config).blessed
    assert not bless(evaluation(), config).blessed
    assert [(name, k) for name, k, _ in both.rows()] == [
        ("two towers", 10),
        ("two stage", 10),
        ("most popular", 10),
    ]


def test_what_is_not_measured_cannot_be_required():
    with pytest.raises(ValidationError, match=r"minimum_over\.ease asks for ndcg@7, which is not measured"):
        EvaluatorConfig(minimum_over={"ease": {"ndcg@7": 1.0}})
    with pytest.raises(ValidationError, match="more is asked for than ials reaches"):
        EvaluatorConfig(minimum_over={"ials": {"ndcg@10": 1.0}})


def test_the_evaluation_reads_back_what_it_wrote(tmp_path):
    written = evaluation(live=beside_live(-0.01, 0.01), notes=("a note",))
    written.write(tmp_path)
    assert Evaluation.read(tmp_path) == written
    # The service shows the two towers' metrics under this name.
    assert json.loads((tmp_path / "evaluation.json").read_text())["retrieval"] == metrics(0.4)


def test_an_evaluation_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "evaluation.json").write_text("{}")
    with pytest.raises(DataError, match=r"evaluation\.json holds no evaluation"):
        live_evaluation(tmp_path / "evaluation.json")


def test_the_live_release_tells_of_its_own_evaluation(empty_parts, tmp_path):
    live = evaluation()
    folder = released(tmp_path, empty_parts, live.model_dump(mode="json"))
    assert live_evaluation(folder) == (folder.name, live)


@pytest.mark.parametrize("metrics", [{"protocol": "P-random"}, None])
def test_a_live_release_of_an_earlier_kind_or_gone_stops_nobody(metrics, empty_parts, tmp_path, caplog):
    folder = released(tmp_path, empty_parts, metrics) if metrics else tmp_path / "20260101T000000Z-abcdef12"
    assert live_evaluation(folder) is None
    assert f"release {folder.name} cannot be compared with" in caplog.text


def released(releases: Path, parts: dict[str, Path], metrics: dict[str, Any]) -> Path:
    """A release in which nothing but the metrics matters."""
    manifest = {
        "dataset": "invented",
        "config": {},
        "seed": 1,
        "git_commit": None,
        "libraries": {},
        "data": {},
        "counts": {"users": 0, "movies": 0, "ratings": 0},
        "dimension": 2,
        "metrics": metrics,
    }
    return releases / write_release(releases, parts, manifest)


def page(folder: Path, result: Evaluation) -> str:
    write_report(result, bless(result, EvaluatorConfig()), folder)
    return (folder / "evaluation.html").read_text(encoding="utf-8")


def test_the_page_says_at_once_whether_the_model_is_better_and_where_it_is_worse(tmp_path):
    compared = Comparison(
        difference=0.2,
        difference_interval=(0.18, 0.22),
        ratio=2.0,
        ratio_interval=(1.8, 2.2),
        better_share=1.0,
    )
    slices = (
        SliceResult(
            by="genre",
            name="Film <Noir>",
            metric="recall@10",
            n_users=30,
            means={"retrieval": 0.1, "most_popular": 0.2, "live": 0.1},
            interval=(0.05, 0.15),
            differences={"most_popular": (-0.15, -0.05), "live": (-0.01, 0.01)},
        ),
    )
    text = page(
        tmp_path,
        evaluation(
            live=beside_live(-0.05, -0.01),
            comparisons={"most_popular": {"ndcg@10": compared}},
            slices=slices,
            notes=("EASE is left out: it would not fit.",),
        ),
    )
    assert "Not good enough to be released" in text
    assert (
        "Worse than the live release 20260101T000000-abcdef12: NDCG@10 0.4000 against 0.4100, "
        "a difference between -0.0500 and -0.0100." in text
    )
    assert "Better than most popular: 2.000 x its NDCG@10 (1.800 to 2.200), better in 100%" in text
    assert "Where it is worse than most popular: genre: Film &lt;Noir&gt;." in text
    assert "Not clearly worse than the live release" in text
    assert "EASE is left out: it would not fit." in text
    # What the plan expects stands beside what was reached: 0.35 to 0.48.
    assert '<td>0.35 to 0.48</td><td>0.400</td><td class="better">in range</td>' in text


def test_the_page_opens_without_a_network(tmp_path):
    text = page(tmp_path, evaluation())
    # One copy of plotly.js, and nothing that is fetched.
    assert text.count("plotly.js v") == 1
    assert "<script src" not in text
    assert "<link" not in text


def test_without_a_test_part_the_page_says_so(tmp_path):
    text = page(tmp_path, evaluation(models={}, baselines={}, intervals={}, ranking={}))
    assert "There is no test part" in text
    assert "May be released" in text
