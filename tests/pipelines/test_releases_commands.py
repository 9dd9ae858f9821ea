"""`marquee releases`."""

import json
import re
from pathlib import Path

import mlflow
import pytest
from typer.testing import CliRunner, Result

from pipelines.cli import app
from recommender.errors import MarqueeError, ReleaseError
from recommender.release import list_releases, live_version, promote
from tests.recommender.small_releases import judged, small_release

FORCED = {"blessed": False, "reasons": ["ndcg@10 is 0.3000, at least 0.4000 is required"], "forced": True}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three releases: the second is live, the third was forced."""
    releases = tmp_path / "var" / "releases"
    live = [
        small_release(releases, metrics=judged(0.40)),
        small_release(releases, metrics=judged(0.45), config={"trainer": {"epochs": 9}}),
        small_release(releases, metrics=judged(0.30), blessing=FORCED, mlflow_run_id="f00d"),
    ][1]
    promote(releases, live)
    return tmp_path / "var"


def releases(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        app, ["releases", *map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "100"}
    )


def test_the_list_says_which_is_live_how_good_each_is_and_which_was_forced(root):
    first, second, third = list_releases(root / "releases")
    rows = {
        line.split()[0]: line for line in releases("list", "--root", root).output.splitlines() if "Z-" in line
    }
    assert list(rows) == [first, second, third]
    assert "0.4500" in rows[second]
    assert [word for word in ("live", "forced") if word in rows[first]] == []
    assert [word for word in ("live", "forced") if word in rows[second]] == ["live"]
    assert [word for word in ("live", "forced") if word in rows[third]] == ["forced"]
    told = json.loads(releases("list", "--json", "--root", root).output)
    assert [(row["version"], row["live"], row["forced"], row["value"]) for row in told] == [
        (first, False, False, 0.40),
        (second, True, False, 0.45),
        (third, False, True, 0.30),
    ]


def test_a_release_that_cannot_be_read_is_listed_as_such(root):
    broken = list_releases(root / "releases")[0]
    (root / "releases" / broken / "manifest.json").write_text("{")
    assert "its manifest cannot be read" in releases("list", "--root", root).output


def test_before_the_first_release_the_list_says_how_to_make_one(tmp_path):
    assert "marquee run" in releases("list", "--root", tmp_path).output


def test_show_names_the_verdict_that_a_release_was_forced_by(root):
    forced = list_releases(root / "releases")[2]
    output = releases("show", forced[-8:], "--root", root).output
    assert "not blessed, released by --force: ndcg@10 is 0.3000, at least 0.4000 is required" in output
    assert "f00d" in output
    told = json.loads(releases("show", forced, "--json", "--root", root).output)
    assert told["blessing"] == FORCED


def test_show_takes_the_live_release_where_none_is_named(root):
    live = live_version(root / "releases")
    assert f"{live} (live)" in releases("show", "--root", root).output


def test_diff_shows_fields_and_metrics_side_by_side(root):
    first = list_releases(root / "releases")[0]
    output = releases("diff", first, "--root", root).output
    (epochs,) = [line for line in output.splitlines() if "config.trainer.epochs" in line]
    assert epochs.split()[1:] == ["3", "9"]
    (ndcg,) = [line for line in output.splitlines() if line.strip().startswith("ndcg@10")]
    assert re.split(r"\s{2,}", ndcg.strip()) == [
        "ndcg@10",
        "0.4000 (0.3900 to 0.4100)",
        "0.4500 (0.4400 to 0.4600)",
    ]
    assert "cannot be compared" not in output


def test_a_name_that_is_none_or_several_is_refused_with_those_there_are(root):
    with pytest.raises(MarqueeError, match=r"No release .* is called '1999'\. There are: 20"):
        releases("show", "1999", "--root", root)
    with pytest.raises(MarqueeError, match="Several releases"):
        releases("show", "20", "--root", root)


def test_promoting_what_is_not_there_changes_nothing(root):
    live = live_version(root / "releases")
    with pytest.raises(ReleaseError, match="no release version"):
        releases("promote", "nonsense", "--root", root)
    assert live_version(root / "releases") == live


def test_promotion_makes_the_version_in_the_registry_the_champion(root, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = mlflow.MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    run = client.create_run(client.create_experiment("small")).info.run_id
    client.create_registered_model("small")
    versions = list_releases(root / "releases")
    for version in versions:
        client.create_model_version("small", f"runs:/{run}/x", run, tags={"marquee.release": version})
    assert f"Release {versions[0]} is live" in releases("promote", versions[0], "--root", root).output
    assert client.get_model_version_by_alias("small", "champion").tags["marquee.release"] == versions[0]
    assert client.get_model_version_by_alias("small", "challenger").tags["marquee.release"] == versions[2]


def test_a_registry_that_cannot_be_reached_fails_no_promotion(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    oldest = list_releases(root / "releases")[0]
    result = releases("rollback", "--root", root)
    assert result.exit_code == 0
    assert f"Release {oldest} is live" in result.output
    assert "registry did not follow" in result.output
    assert live_version(root / "releases") == oldest


def test_pruning_says_what_goes_before_it_does_it(root):
    first, second, third = list_releases(root / "releases")
    output = releases("prune", "--keep", "0", "--dry-run", "--root", root).output
    assert f"would go {third}" in output
    assert list_releases(root / "releases") == [first, second, third]
    assert f"removed  {third}" in releases("prune", "--keep", "0", "--root", root).output
    assert list_releases(root / "releases") == [first, second]
    assert "nothing to remove" in releases("prune", "--keep", "0", "--root", root).output
