"""What differs between two releases."""

from pathlib import Path

import pytest

from recommender.release import read_manifest
from recommender.release.differences import release_differences
from tests.recommender.small_releases import judged, small_release


def manifests(tmp_path: Path, first: dict, second: dict):
    releases = tmp_path / "releases"
    return [read_manifest(releases / small_release(releases, **fields)) for fields in (first, second)]


def test_fields_that_differ_are_named_with_both_values(tmp_path):
    two = manifests(
        tmp_path,
        {"config": {"trainer": {"epochs": 3, "loss": "bpr"}}, "seed": 1},
        {"config": {"trainer": {"epochs": 9, "loss": "bpr"}, "tuner": {"enabled": True}}, "seed": 1},
    )
    found = release_differences(*two)
    assert found.fields == {"config.trainer.epochs": (3, 9), "config.tuner.enabled": (None, True)}
    assert (found.first, found.second) == (two[0].version, two[1].version)


def test_metrics_stand_side_by_side_with_their_intervals(tmp_path):
    found = release_differences(*manifests(tmp_path, {"metrics": judged(0.4)}, {"metrics": judged(0.5)}))
    pairs = {pair.name: pair for pair in found.metrics}
    ndcg, recall = pairs["ndcg@10"], pairs["recall@10"]
    assert (ndcg.first, ndcg.second) == (0.4, 0.5)
    assert ndcg.first_interval == pytest.approx((0.39, 0.41))
    assert ndcg.second_interval == pytest.approx((0.49, 0.51))
    assert (recall.first, recall.first_interval) == (0.2, None)
    assert found.same_test_part


def test_metrics_of_different_test_parts_are_said_to_be_so(tmp_path):
    other = judged(0.5, test_sha256="b" * 64)
    found = release_differences(*manifests(tmp_path, {"metrics": judged(0.4)}, {"metrics": other}))
    assert not found.same_test_part


def test_a_release_without_an_evaluation_can_be_compared_otherwise(tmp_path):
    found = release_differences(*manifests(tmp_path, {"metrics": {"old": 1}}, {"metrics": judged(0.5)}))
    assert all(pair.first is None for pair in found.metrics)
    assert {pair.name: pair.second for pair in found.metrics}["ndcg@10"] == 0.5
    assert not found.same_test_part
