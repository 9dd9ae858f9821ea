"""The table of docs/scaling.md, and the manifests that are sized by it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.sizing import sizing, table

ROOT = Path(__file__).resolve().parents[1]
OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"


def patches(overlay: str) -> dict[tuple[str, str], Any]:
    """The values that an overlay puts in place, by what they are of and where."""
    kustomization = yaml.safe_load((OVERLAYS / overlay / "kustomization.yaml").read_text(encoding="utf-8"))
    return {
        (each["target"]["kind"], change["path"].rpartition("/resources/")[2]): change["value"]
        for each in kustomization["patches"]
        for change in yaml.safe_load(each["patch"])
    }


def gb(quantity: str) -> float:
    return int(quantity.removesuffix("Gi")) * 2**30 / 1e9


def test_the_guide_has_the_table_that_the_measurements_give():
    assert table() in (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_what_was_measured_is_not_extrapolated():
    measured = sizing(25_000_095)
    assert (measured.users, measured.movies) == (162_541, 62_423)
    assert measured.data_core_hours == pytest.approx(42.09 * 2 / 3600, rel=1e-3)
    assert measured.training_core_hours == pytest.approx((8 * 65.36 * 2 / 3600,) * 2, rel=1e-3)
    assert measured.trainer_gb == pytest.approx(2.824, rel=1e-3)
    assert measured.evaluation_core_hours == pytest.approx(70.23 * 2 / 3600, rel=1e-3)
    assert measured.worker_gb == pytest.approx(623.39 * 1.048576 / 1000, rel=1e-3)
    assert measured.worker_peak_gb == pytest.approx(623.39 * 1.048576 / 1000, rel=1e-3)


def test_forty_times_the_ratings_follow_the_growth_that_the_guide_assumes():
    small, large = sizing(25_000_095), sizing(40 * 25_000_095)
    assert large.users == 40 * small.users
    assert large.movies == pytest.approx(40**0.5 * small.movies, rel=1e-5)
    assert large.data_core_hours == pytest.approx(40 * small.data_core_hours)
    assert large.training_core_hours == pytest.approx(
        (40 * small.training_core_hours[0], 40**1.5 * small.training_core_hours[1])
    )
    assert large.evaluation_core_hours == pytest.approx(40**1.5 * small.evaluation_core_hours)
    # 6.5 million users who ask 10 times a day, three times as often at the peak; 694.7 a second, 60 % busy.
    assert large.pods == -(-40 * 162_541 * 30 // (86_400 * 694.7 * 0.6)) == 6


def test_the_large_overlay_has_room_for_a_billion_ratings():
    needed, given = sizing(1_000_000_000), patches("large")
    for kind in ("Deployment", "CronJob"):
        assert gb(given[kind, "requests/memory"]) >= needed.worker_gb
        assert gb(given[kind, "limits/memory"]) >= needed.worker_peak_gb
    replicas = [given["HorizontalPodAutoscaler", f"/spec/{bound}Replicas"] for bound in ("min", "max")]
    assert replicas[0] <= needed.pods <= replicas[1]
    assert gb(given["PersistentVolumeClaim", "requests/storage"]) >= 2 * needed.disk_gb
