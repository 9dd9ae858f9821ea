"""A saved model judged beside baselines and what is live, from its folder to its page."""

import math

import numpy as np
import pytest

from recommender.evaluation.baselines.configuration import BaselinesConfig
from recommender.evaluation.baselines.ease import EaseConfig
from recommender.evaluation.configuration import EvaluatorConfig
from recommender.evaluation.evaluate import bless, evaluate
from recommender.evaluation.report import write_report
from recommender.evaluation.result import Evaluation


@pytest.fixture(scope="module")
def evaluation(transformed, one_stage_model):
    return evaluate(transformed, one_stage_model, EvaluatorConfig(), seed=0)


def test_the_model_stands_beside_its_baselines(evaluation):
    assert list(evaluation.models) == ["retrieval"]
    assert list(evaluation.baselines) == ["most_popular", "ease"]
    assert evaluation.models["retrieval"].keys() == evaluation.baselines["ease"].keys()
    for name, compared in evaluation.comparisons.items():
        one = compared["ndcg@10"]
        theirs = evaluation.baselines[name]["ndcg@10"]
        assert one.difference == pytest.approx(evaluation.means["ndcg@10"] - theirs)
        assert one.difference_interval[0] < one.difference < one.difference_interval[1]


def test_with_a_re_ranker_both_stages_are_measured_and_what_is_served_is_judged(transformed, trained_parts):
    quick = EvaluatorConfig(ks=(10,), baselines=("most_popular",))
    both = evaluate(transformed, trained_parts["ranker"].parent, quick, seed=0)
    assert list(both.models) == ["retrieval", "two_stage"]
    assert both.means == both.models["two_stage"] != both.models["retrieval"]
    assert set(both.comparisons) == {"retrieval", "most_popular"}


def test_activity_slices_add_up_to_all_users(evaluation):
    activity = [one for one in evaluation.slices if one.by == "activity"]
    assert sum(one.n_users for one in activity) == evaluation.n_users
    weighted = sum(one.n_users * one.means["retrieval"] for one in activity) / evaluation.n_users
    assert weighted == pytest.approx(evaluation.means["ndcg@10"])
    assert {one.by for one in evaluation.slices} >= {"activity", "popularity", "genre", "era"}


def test_the_reliability_table_is_about_every_test_rating(evaluation, transformed):
    test = transformed.interactions("test").known()
    assert sum(one.n_ratings for one in evaluation.reliability) == len(test)
    mean = sum(one.n_ratings * one.actual for one in evaluation.reliability) / len(test)
    assert mean == pytest.approx(np.mean(test.rating, dtype=np.float64), rel=1e-6)
    assert evaluation.ranking["mae"] < evaluation.ranking["rmse"]


def test_a_baseline_that_would_not_fit_into_memory_is_left_out_with_a_note(transformed, one_stage_model):
    tiny = BaselinesConfig(ease=EaseConfig(memory_gb=1e-6))
    evaluation = evaluate(transformed, one_stage_model, EvaluatorConfig(baseline_values=tiny), seed=0)
    assert list(evaluation.baselines) == ["most_popular"]
    assert len(evaluation.notes) == 1
    assert evaluation.notes[0].startswith("EASE is left out: EASE on 300 movies needs")


def test_the_same_model_is_neither_better_nor_worse_than_itself_live(
    evaluation, transformed, one_stage_model, tmp_path
):
    evaluation.write(tmp_path)
    again = evaluate(
        transformed, one_stage_model, EvaluatorConfig(), seed=0, live=tmp_path / "evaluation.json"
    )
    assert again.live.comparable
    assert not again.live.paired
    low, high = again.live.differences["ndcg@10"]
    # Both intervals, as if they were of different users.
    width = np.ptp(evaluation.intervals["retrieval"]["ndcg@10"])
    assert (low, high) == pytest.approx((-width * math.sqrt(2) / 2, width * math.sqrt(2) / 2))
    assert all(one.differences["live"][0] <= 0 <= one.differences["live"][1] for one in again.slices)
    assert bless(again, EvaluatorConfig()).blessed
    write_report(again, bless(again, EvaluatorConfig()), tmp_path / "report")
    assert "No clear difference from the live release" in (tmp_path / "report" / "evaluation.html").read_text(
        encoding="utf-8"
    )
    assert Evaluation.read(tmp_path / "report") == again


def test_where_it_is_known_what_each_user_got_the_comparison_is_paired(
    evaluation, transformed, one_stage_model, tmp_path
):
    evaluation.write(tmp_path)
    evaluate(transformed, one_stage_model, EvaluatorConfig(), seed=0, keep=tmp_path)
    again = evaluate(
        transformed, one_stage_model, EvaluatorConfig(), seed=0, live=tmp_path / "evaluation.json"
    )
    assert again.live.paired
    # The same model gives every user the same, however much users differ.
    assert again.live.differences["ndcg@10"] == (0.0, 0.0)
    assert bless(again, EvaluatorConfig()).blessed


def test_what_was_judged_on_another_test_part_is_not_compared(
    evaluation, transformed, one_stage_model, tmp_path
):
    evaluation.model_copy(update={"test_sha256": "another"}).write(tmp_path)
    again = evaluate(
        transformed, one_stage_model, EvaluatorConfig(), seed=0, live=tmp_path / "evaluation.json"
    )
    assert not again.live.comparable
    assert again.live.differences == {}
    assert not any("live" in one.means for one in again.slices)
