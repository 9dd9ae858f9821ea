"""From a folder of ratings to answers over HTTP, with the commands that a person uses."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import mlflow
import psutil
import pyarrow.parquet as pq
import pytest

from recommender.push import Pushed
from recommender.release import Release, live_version
from tests.e2e.conftest import run_marquee, run_small, small_words, start_small

RUN_COMPILED = """
import shlex, sys
from kfp import components, local

file, root = sys.argv[1:]
# As in pipelines.run: it is pasted into a shell script.
sys.executable = shlex.quote(sys.executable)
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=f"{root}/artifacts")
print(components.load_component_from_file(file)().output.path)
"""


@contextmanager
def served(root, *options):
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "pipelines", "serve", "--root", str(root), "--port", str(port)]
    command += options
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            deadline = time.monotonic() + 60
            while True:
                try:
                    client.get("/readyz").raise_for_status()
                    break
                except httpx.HTTPError:
                    assert process.poll() is None, "the service ended before it was ready"
                    assert time.monotonic() < deadline, "the service did not get ready"
                    time.sleep(0.05)
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in (0, 130, -signal.SIGINT)


def test_the_manifest_holds_the_metrics_of_model_and_baseline(root):
    release = root / "releases" / live_version(root / "releases")
    metrics = json.loads((release / "manifest.json").read_text())["metrics"]
    assert metrics["protocol"] == "P-random"
    assert metrics["retrieval"]["ndcg@10"] > metrics["baselines"]["most_popular"]["ndcg@10"]
    names = ("recall", "precision", "ndcg", "hit_rate", "map", "coverage")
    wanted = {f"{name}@{k}" for name in names for k in (5, 10, 20)}
    assert wanted <= set(metrics["retrieval"])
    assert wanted <= set(metrics["baselines"]["most_popular"])


def test_a_second_run_is_answered_from_the_cache_and_keeps_the_release(root, ratings_folder):
    before = live_version(root / "releases")
    done = run_small(root, ratings_folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("from the cache") == 10
    assert live_version(root / "releases") == before


def test_a_model_that_is_not_good_enough_is_compared_with_what_is_live_and_not_released(root, ratings_folder):
    before = live_version(root / "releases")
    done = run_small(root, ratings_folder, "evaluator.minimum={ndcg@10: 0.99}")
    assert done.returncode == 1
    # Another run than the one that made what is live, though only the Evaluator and the Pusher ran again.
    assert done.stdout.count("from the cache") == 9
    assert "Not released" in done.stderr
    assert "at least 0.9900 is required" in done.stderr
    assert live_version(root / "releases") == before
    newest = max((root / "artifacts").rglob("evaluation.html"), key=lambda page: page.stat().st_mtime)
    assert f"the live release {before}" in newest.read_text(encoding="utf-8")


def test_the_service_recommends_unseen_movies_over_http(root):
    release = Release.open_live(root / "releases")
    user = int(release.user_ids[0])
    with served(root) as client:
        assert client.get("/readyz").json()["release"] == release.version
        answer = client.get(f"/api/v1/recommendations/{user}", params={"limit": 7}).json()
        assert answer["strategy"] == "two_stage"
        assert all(0.5 <= item["predicted_rating"] <= 5 for item in answer["items"])
        movies = [item["movie_id"] for item in answer["items"]]
        assert len(set(movies)) == 7
        assert not set(movies) & set(release.history_of(user).movie_ids.tolist())

        unknown = client.get("/api/v1/recommendations/999999").json()
        assert unknown["strategy"] == "popular"
        assert [item["movie_id"] for item in unknown["items"]] == release.popular_movie_ids[:10].tolist()

        for limit in (0, 100000):
            refused = client.get(f"/api/v1/recommendations/{user}", params={"limit": limit})
            assert refused.status_code == 422
            assert refused.headers["content-type"] == "application/problem+json"
            assert str(limit) in refused.text


def test_recommend_prints_what_the_service_answers(root):
    release = Release.open_live(root / "releases")
    user = int(release.user_ids[0])
    printed = run_marquee("recommend", "--user", str(user), "--limit", "3", "--root", root)
    assert printed.returncode == 0
    with served(root) as client:
        items = client.get(f"/api/v1/recommendations/{user}", params={"limit": 3}).json()["items"]
    for item in items:
        assert item["title"].split(" (")[0] in printed.stdout
    unknown = run_marquee("recommend", "--user", "999999", "--root", root)
    assert "not known" in unknown.stdout


def test_recommend_all_writes_everybodys_ranked_unseen_movies(root, tmp_path):
    file = tmp_path / "everybody.parquet"
    done = run_marquee("recommend", "--all", "--k", "5", "--output", file, "--root", root)
    assert done.returncode == 0, done.stderr
    table = pq.read_table(file)
    assert table.column_names == ["user_id", "rank", "movie_id", "score"]
    release = Release.open_live(root / "releases")
    # Also what the BulkInferrer of the first run computed from the same parts, there for 20 movies each.
    in_advance = min(
        (root / "artifacts").rglob("recommendations.parquet"), key=lambda file: file.stat().st_mtime
    )
    first = pq.read_table(in_advance)
    assert first.filter(first["rank"].to_numpy() <= 5).equals(table)
    assert table.num_rows == 5 * len(release.user_ids)
    rows = table.to_pylist()
    assert [row["rank"] for row in rows[:5]] == [1, 2, 3, 4, 5]
    seen = set(release.history_of(rows[0]["user_id"]).movie_ids.tolist())
    assert not seen & {row["movie_id"] for row in rows[:5]}


def test_training_on_everything_releases_without_a_test_part(ratings_folder, tmp_path):
    quick = ("trainer.epochs=1", "trainer.refit=false", "trainer.re_ranker=null")
    done = run_small(tmp_path / "root", ratings_folder, "transform.split.test_size=0", *quick)
    assert done.returncode == 0, done.stderr
    assert "Trained on everything" in done.stdout
    manifest = Release.open_live(tmp_path / "root" / "releases").manifest
    assert manifest.data["split"]["parts"]["test"]["n_ratings"] == 0
    assert manifest.metrics["retrieval"] == {}


def test_the_compiled_pipeline_makes_the_same_release(root, ratings_folder, tmp_path):
    file, own = tmp_path / "pipeline.yaml", tmp_path / "shared root"
    done = run_marquee("compile", "--output", file, *small_words(own, ratings_folder))
    assert done.returncode == 0, done.stderr
    # What it finds live when it runs, it compares with.
    shutil.copytree(root / "releases", own / "releases")
    before = live_version(own / "releases")
    command = [sys.executable, "-c", RUN_COMPILED, str(file), str(own)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert Pushed.read(Path(ran.stdout.splitlines()[-1])).version == live_version(own / "releases")
    made, expected = (Release.open_live(each / "releases").manifest for each in (own, root))
    assert made.data["split"] == expected.data["split"]
    assert made.metrics["live"]["name"] == before
    beside = {"live": None, "slices": None}
    assert made.metrics | beside == expected.metrics | beside


def test_a_broken_line_stops_the_run_and_leaves_the_live_release(root, ratings_folder, tmp_path):
    before = live_version(root / "releases")
    broken = tmp_path / "broken"
    shutil.copytree(ratings_folder, broken)
    lines = (broken / "ratings.csv").read_text().splitlines()
    lines[41] = "12,three,4.0,964982703"
    (broken / "ratings.csv").write_text("\n".join(lines))
    done = run_small(root, broken)
    assert done.returncode == 1
    said = re.sub(r"\s+", " ", done.stderr)
    assert "ExampleGen failed" in said
    for word in ("ratings.csv", "line 42", "movieId", "three"):
        assert word in said
    assert "Traceback" not in said
    assert live_version(root / "releases") == before


def test_releases_are_listed_promoted_and_rolled_back(root, tmp_path, run_here):
    shutil.copytree(root / "releases", tmp_path / "releases")
    live = live_version(root / "releases")
    (listed,) = json.loads(run_marquee("releases", "list", "--json", "--root", tmp_path).stdout)[:1]
    assert (listed["version"], listed["live"]) == (live, True)
    assert "the oldest release" in run_here("releases", "rollback", "--root", tmp_path).stderr
    (tmp_path / "releases" / "current").write_text("nonsense")
    assert "marquee releases promote" in run_marquee("serve", "--root", tmp_path).stderr
    assert run_here("releases", "promote", live, "--root", tmp_path).returncode == 0
    assert live_version(tmp_path / "releases") == live


def test_what_a_run_would_do_is_told_without_doing_it(root, ratings_folder):
    before = sorted(path.name for path in (root / "artifacts").iterdir())
    words = small_words(root, ratings_folder)
    planned = run_marquee("run", "--dry-run", *words).stdout
    assert planned.count("come from the cache") == 10
    assert re.search(r"Pusher +run", planned)
    other = run_marquee("run", "--dry-run", "--until", "Trainer", *words, "--set", "trainer.epochs=5").stdout
    assert other.count("come from the cache") == 5
    assert re.search(r"Tuner +run +the cache has nothing", other)
    assert re.search(r"Trainer +run +Tuner would run before it", other)
    assert sorted(path.name for path in (root / "artifacts").iterdir()) == before


def test_one_step_is_run_anew_and_those_before_it_never(root, ratings_folder):
    words = small_words(root, ratings_folder)
    done = run_marquee("run", "--only", "Evaluator", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("from the cache") == 7
    assert "✓ Evaluator" in done.stdout
    refused = run_marquee("run", "--from", "Transform", *words, "--set", "validation.quarantine=true")
    assert refused.returncode == 1
    assert "--from Transform: ExampleGen has to run before it" in " ".join(refused.stderr.split())
    # The next run goes on from the new evaluation, and finds that it says what the release says.
    before = live_version(root / "releases")
    again = run_small(root, ratings_folder)
    assert again.stdout.count("from the cache") == 10
    assert live_version(root / "releases") == before


def test_a_release_is_followed_back_to_its_files_and_its_run(root, ratings_folder):
    told = json.loads(run_marquee("runs", "lineage", "--json", "--root", root).stdout)
    for name in ("ratings.csv", "movies.csv"):
        sha256 = hashlib.sha256((ratings_folder / name).read_bytes()).hexdigest()
        assert told["release"]["data"]["source"]["file_sha256"][name] == sha256
    made_by = told["runs"][0]
    assert made_by["state"] == "finished"
    assert [step["name"] for step in made_by["steps"]][-1] == "Pusher"
    assert all(step["seconds"] > 0 for step in made_by["steps"])
    client = mlflow.MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    (version,) = client.search_model_versions(f"tags.`marquee.release` = '{told['release']['version']}'")
    assert made_by["mlflow_run_id"] == told["release"]["mlflow_run_id"] == version.run_id
    assert made_by["metrics"] == Release.open_live(root / "releases").manifest.metrics["models"]["two_stage"]


def test_a_refused_model_is_released_by_force_and_that_is_recorded(root, ratings_folder):
    before = live_version(root / "releases")
    words = small_words(root, ratings_folder, "evaluator.minimum={ndcg@10: 0.99}")
    done = run_marquee("run", "--force", *words)
    assert done.returncode == 0, done.stderr
    assert "released by --force" in done.stdout
    forced = live_version(root / "releases")
    assert forced != before
    assert re.search(rf"{forced} .* live, forced", run_marquee("releases", "list", "--root", root).stdout)
    blessing = json.loads(run_marquee("releases", "show", "--json", "--root", root).stdout)["blessing"]
    assert (blessing["blessed"], blessing["forced"]) == (False, True)
    assert "at least 0.9900 is required" in blessing["reasons"][0]

    assert f"Release {before} is live" in run_marquee("releases", "rollback", "--root", root).stdout
    client = mlflow.MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    standing = {
        alias: client.get_model_version_by_alias("ml-100k", alias).tags["marquee.release"]
        for alias in ("champion", "challenger")
    }
    assert standing == {"champion": before, "challenger": forced}
    mlflow.set_tracking_uri(f"sqlite:///{root / 'mlflow.db'}")
    signature = mlflow.pyfunc.load_model("models:/ml-100k@champion").metadata.signature
    assert {"history_movie_id", "history_rating"} <= set(signature.inputs.input_names())
    assert signature.outputs.input_names() == ["embedding"]


def test_a_rating_given_to_the_service_is_in_the_examples_of_the_next_run(root, ratings_folder, tmp_path):
    release = Release.open_live(root / "releases")
    user, movie = 987_654, int(release.movie_ids[0])
    own = tmp_path / "root"
    (own / "releases").mkdir(parents=True)
    shutil.copytree(release.folder, own / "releases" / release.version)
    (own / "releases" / "current").write_text(release.version)
    nightly = ("validation.drift.is_error=true", f"example_gen.collected=sqlite:///{own / 'ratings.db'}")
    with served(own, "--development") as client:
        given = client.post(f"/api/v1/users/{user}/ratings", json={"movie_id": movie, "rating": 4.5})
        assert given.status_code == 201
        # While the service goes on.
        words = small_words(own, ratings_folder, *nightly)
        assert run_marquee("run", "--until", "ExampleGen", *words).returncode == 0
        again = client.post(f"/api/v1/users/{user}/ratings", json={"movie_id": movie, "rating": 1.0})
        assert again.status_code == 201
        done = run_marquee("run", "--until", "ExampleGen", *words)
    assert "from the cache" not in done.stdout
    newest = json.loads(run_marquee("runs", "show", "--json", "--root", own).stdout)
    examples = pq.read_table(f"{newest['steps'][0]['outputs']['examples']}/ratings.parquet").to_pylist()
    found = [(row["movie_id"], row["rating"]) for row in examples if row["user_id"] == user]
    assert found == [(movie, 1.0)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--root", "{file}/below"),
        ("recommend", "--all", "--output", "{file}/below/all.parquet", "--root", "{root}"),
        ("compile", "--output", "{file}/below/pipeline.yaml"),
        ("compile", "--output", "pipeline.txt"),
        ("recommend", "--root", "{root}"),
        ("recommend", "--user", "1", "--k", "5", "--root", "{root}"),
        ("recommend", "--all", "--limit", "5", "--output", "all.parquet", "--root", "{root}"),
        ("recommend", "--all", "--output", "all.csv", "--root", "{root}"),
        ("run", "--config", "absent.yaml"),
        ("run", "--from", "Cook"),
        ("run", "--from", "Pusher", "--until", "Transform"),
        ("run", "--only", "Trainer", "--until", "Trainer"),
        ("run", "--force", "--until", "Trainer"),
        ("releases", "show", "nonsense", "--root", "{root}"),
        ("runs", "show", "nonsense", "--root", "{root}"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(arguments, root, tmp_path, run_here):
    (tmp_path / "file").write_text("in the way")
    words = [word.format(file=tmp_path / "file", root=root) for word in arguments]
    done = run_here(*words)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("harm", ["altered", "missing"])
def test_a_damaged_release_is_refused_by_name(harm, root, tmp_path):
    version = live_version(root / "releases")
    release = tmp_path / version
    shutil.copytree(root / "releases" / version, release)
    if harm == "altered":
        with (release / "users.parquet").open("r+b") as file:
            file.seek(100)
            file.write(b"!")
    else:
        (release / "users.parquet").unlink()
    done = run_marquee("serve", "--release", release, "--port", "0")
    assert done.returncode == 1
    assert "users.parquet" in done.stderr
    assert "Traceback" not in done.stderr


def test_serving_before_any_run_says_what_to_do(tmp_path):
    done = run_marquee("serve", "--root", tmp_path / "nothing")
    assert done.returncode == 1
    assert "marquee run" in done.stderr


def test_a_run_that_is_told_to_stop_takes_its_step_along(ratings_folder, tmp_path):
    with start_small(tmp_path, ratings_folder) as process:
        for line in process.stdout:
            if "Tuner" in line:
                break
        # The Trainer starts now; only the command itself gets the signal, as a service manager sends it.
        running = psutil.Process(process.pid)
        deadline = time.monotonic() + 60
        while not (steps := running.children(recursive=True)):
            assert time.monotonic() < deadline
        process.terminate()
        process.stdout.read()
    assert process.returncode == 130
    assert not [step for step in steps if step.is_running() and step.status() != psutil.STATUS_ZOMBIE]


def test_a_run_that_was_interrupted_and_killed_ends_like_one_that_was_not(root, ratings_folder, tmp_path):
    uninterrupted = Release.open_live(root / "releases").manifest
    root = tmp_path / "root"
    with start_small(root, ratings_folder) as process:
        for line in process.stdout:
            if "ExampleValidator" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 130
    assert "the same command goes on" in rest
    assert "Traceback" not in rest
    assert live_version(root / "releases") is None

    with start_small(root, ratings_folder) as process:
        for line in process.stdout:
            if "Transform" in line:
                break
        # The next step is under way; only the command itself is killed.
        running = psutil.Process(process.pid)
        deadline = time.monotonic() + 60
        while not (steps := running.children(recursive=True)):
            assert time.monotonic() < deadline
        process.kill()
    assert psutil.wait_procs(steps, timeout=60)[1] == []
    assert live_version(root / "releases") is None
    killed, interrupted = json.loads(run_marquee("runs", "list", "--json", "--root", root).stdout)
    assert (killed["state"], interrupted["state"]) == ("interrupted", "interrupted")
    assert killed["steps"][-1]["state"] == "interrupted"
    assert killed["steps"][-1]["inputs"]

    done = run_small(root, ratings_folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("from the cache") >= 4
    manifest = Release.open_live(root / "releases").manifest
    # Two runs with one seed: the content hashes of the split and every metric are equal.
    assert manifest.data["split"] == uninterrupted.data["split"]
    assert manifest.metrics == uninterrupted.metrics
