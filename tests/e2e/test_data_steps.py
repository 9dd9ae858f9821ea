"""The data steps alone, with the commands that a person uses: what they write, and that it adds up."""

import csv
import io
import json
import math
import subprocess
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
import yaml

from tests.e2e.conftest import run_marquee

SHARED = Path(__file__).parents[3] / "shared" / "data"

WRITTEN = {
    "example-gen/examples": {"ratings.parquet", "movies.parquet", "source.json"},
    "statistics-gen/statistics": {"statistics.json", "statistics.html"},
    "schema-gen/schema": {"schema.yaml"},
    "example-validator/anomalies": {"anomalies.json", "anomalies.html"},
    "example-validator/validated_examples": {"ratings.parquet", "movies.parquet", "source.json"},
    "transform/transformed_examples": {
        "train_interactions.parquet",
        "validation_interactions.parquet",
        "test_interactions.parquet",
        "user_features.parquet",
        "movie_features.parquet",
        "movies.parquet",
        "vocabulary.json",
        "split.json",
    },
}
"""The files of a run in which nothing was wrong, by their folders."""

N_CUSTOMERS, N_ARTICLES, ORDERS_EACH = 100, 60, 25
OPENED = datetime(2023, 1, 1, tzinfo=UTC)


class Order(NamedTuple):
    customer: int
    article: int
    stars: float
    bought_at: datetime


ORDERS = [
    Order(
        customer,
        1000 + (customer + number) % N_ARTICLES,
        1 + (customer + number) % 19 / 2,
        OPENED + timedelta(hours=100 * customer + number),
    )
    # The newest first: the order of the lines must not be taken for that of time.
    for number in reversed(range(ORDERS_EACH))
    for customer in range(1, N_CUSTOMERS + 1)
]
"""What a shop knows, none of it called as in MovieLens; customers buy an article an hour for 25 hours."""


@pytest.fixture
def shop(tmp_path) -> Path:
    """The configuration of a shop's own files, which are beside it."""
    lines = [
        f"{n};{o.customer};{o.article};{o.stars:g};{o.bought_at.isoformat()}" for n, o in enumerate(ORDERS)
    ]
    (tmp_path / "orders.csv").write_text("\n".join(["number;customer;article;stars;bought_at", *lines, ""]))
    articles = [
        f'{1000 + n},"Thing, no. {n}",{"Garden/Toys" if n % 2 else "Toys"},{1990 + n % 30}' for n in range(60)
    ]
    (tmp_path / "articles.csv").write_text("\n".join(["article,name,categories,year", *articles, ""]))
    columns = {"user_id": "customer", "movie_id": "article", "rating": "stars", "timestamp": "bought_at"}
    return write_config(
        tmp_path / "shop.yaml",
        example_gen={
            "source": "directory",
            "path": str(tmp_path),
            "ratings": {"file": "orders.csv", "columns": columns, "timestamp_unit": "iso"},
            "movies": {
                "file": "articles.csv",
                "columns": {
                    "movie_id": "article",
                    "title": "name",
                    "genres": "categories",
                    "release_year": "year",
                },
                "genre_separator": "/",
            },
            "rating_scale": {"min": 1, "max": 10, "step": 0.5},
        },
        transform={"split": {"strategy": "time_user"}},
    )


def write_config(file: Path, **sections: Any) -> Path:
    file.write_text(yaml.safe_dump({"run": {"name": file.stem}, **sections}))
    return file


def run_data_steps(config: Path | str, root: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    words = [word for override in overrides for word in ("--set", override)]
    return run_marquee("run", "--config", config, "--until", "Transform", "--root", root, *words)


def made_by(done: subprocess.CompletedProcess[str]) -> Path:
    """The folder of a run that went well, which has one folder for each step."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 5
    _, made, path = done.stdout.strip().splitlines()[-1].partition("What Transform made: ")
    assert made
    return Path(path).parents[1]


def written_in(run: Path) -> dict[str, set[str]]:
    files: dict[str, set[str]] = {}
    for path in run.glob("*/*/*"):
        files.setdefault(path.parent.relative_to(run).as_posix(), set()).add(path.name)
    return files


def read_json(run: Path, name: str) -> dict[str, Any]:
    return json.loads((run / name).read_text(encoding="utf-8"))


def part_counts(run: Path) -> dict[str, int]:
    """The number of ratings in each part, as the split manifest has it."""
    parts = read_json(run, "transform/transformed_examples/split.json")["parts"]
    for name, part in parts.items():
        file = run / f"transform/transformed_examples/{name}_interactions.parquet"
        assert pq.read_metadata(file).num_rows == part["n_ratings"]
    return {name: part["n_ratings"] for name, part in parts.items()}


def assert_statistics(run: Path, n_users: int, n_movies: int, ratings: list[float]) -> None:
    statistics = read_json(run, "statistics-gen/statistics/statistics.json")
    expected = {
        "n_users": n_users,
        "n_movies": n_movies,
        "n_ratings": len(ratings),
        "sparsity": 1 - len(ratings) / (n_users * n_movies),
        "avg_rating": fmean(ratings),
        "rating_std": pstdev(ratings),
    }
    assert {name: statistics[name] for name in expected} == pytest.approx(expected)
    by_value = {bar["rating"]: bar["count"] for bar in statistics["ratings"]["bars"] if bar["count"]}
    assert by_value == Counter(ratings)


def test_made_up_ratings_pass_all_data_steps(tmp_path):
    config = write_config(
        tmp_path / "made-up.yaml",
        example_gen={
            "source": "synthetic",
            "synthetic": {"n_users": 150, "n_movies": 120, "n_ratings": 4000, "seed": 5},
        },
        transform={"split": {"strategy": "leave_last_out"}},
    )
    run = made_by(run_data_steps(config, tmp_path / "root"))
    assert written_in(run) == WRITTEN
    ratings = pq.read_table(run / "example-gen/examples/ratings.parquet")
    n_movies = len(set(ratings["movie_id"].to_pylist()))
    assert ratings.num_rows == 4000
    assert len(set(ratings["user_id"].to_pylist())) == 150
    assert_statistics(run, 150, n_movies, ratings["rating"].to_pylist())
    # Where there are 20 ratings a user and more, each has three: one to test on and one to choose by.
    assert min(Counter(ratings["user_id"].to_pylist()).values()) >= 3
    assert part_counts(run) == {"train": 4000 - 2 * 150, "validation": 150, "test": 150}


def test_the_ratings_of_a_shop_pass_under_the_names_of_its_own_columns(shop, tmp_path):
    run = made_by(run_data_steps(shop, tmp_path / "root"))
    assert written_in(run) == WRITTEN
    assert_statistics(run, N_CUSTOMERS, N_ARTICLES, [order.stars for order in ORDERS])

    manifest = read_json(run, "transform/transformed_examples/split.json")
    assert (manifest["protocol"], manifest["strategy"], manifest["seed"]) == ("P-time-user", "time_user", 42)
    assert manifest["dropped"] == manifest["notes"] == []
    # Of 25 ratings of a customer a fifth is test, and of the 20 others a tenth validation.
    assert part_counts(run) == {"train": 18 * 100, "validation": 2 * 100, "test": 5 * 100}
    by_number = {"train": range(18), "validation": range(18, 20), "test": range(20, 25)}
    orders = {(order.bought_at - OPENED) // timedelta(hours=1): order for order in ORDERS}
    for part, numbers in by_number.items():
        table = pq.read_table(run / f"transform/transformed_examples/{part}_interactions.parquet")
        kept = zip(
            *(table[name].to_pylist() for name in ("user_id", "movie_id", "rating", "timestamp")), strict=True
        )
        expected = [orders[100 * customer + n] for customer in range(1, N_CUSTOMERS + 1) for n in numbers]
        assert sorted(kept) == sorted(
            (o.customer, o.article, o.stars, int(o.bought_at.timestamp())) for o in expected
        )

    users = pq.read_table(run / "transform/transformed_examples/user_features.parquet").to_pylist()
    means = {user["user_id"]: user["rating_mean"] for user in users}
    assert means == pytest.approx(
        {c: fmean(orders[100 * c + n].stars for n in by_number["train"]) for c in range(1, N_CUSTOMERS + 1)}
    )
    movies = pq.read_table(run / "transform/transformed_examples/movies.parquet").to_pylist()
    assert len(movies) == N_ARTICLES
    first = {"movie_id": 1001, "title": "Thing, no. 1", "genres": ["Garden", "Toys"], "release_year": 1991}
    assert movies[1] | first == movies[1]
    assert read_json(run, "transform/transformed_examples/vocabulary.json")["genres"] == ["Garden", "Toys"]


def of_archive(archive: Path) -> Iterator[dict[str, str]]:
    with zipfile.ZipFile(archive) as opened, opened.open("ml-latest-small/ratings.csv") as file:
        yield from csv.DictReader(io.TextIOWrapper(file, "utf-8"))


def test_movielens_that_was_fetched_ahead_passes_without_a_connection(tmp_path):
    archive = SHARED / "ml-latest-small.zip"
    if not archive.is_file():
        pytest.skip("../shared/data/ml-latest-small.zip is absent")
    fetched = run_marquee(
        "data", "fetch", "--dataset", "latest-small", "--mirror", SHARED.as_uri(), "--root", tmp_path
    )
    assert fetched.returncode == 0, fetched.stderr
    run = made_by(
        run_data_steps("ml-100k", tmp_path, "example_gen.dataset=latest-small", "example_gen.mirrors=[]")
    )
    assert written_in(run) == WRITTEN
    ratings = list(of_archive(archive))
    by_user = Counter(row["userId"] for row in ratings)
    n_movies = len({row["movieId"] for row in ratings})
    assert (len(ratings), len(by_user), n_movies) == (100_836, 610, 9_724)
    assert_statistics(run, 610, 9_724, [float(row["rating"]) for row in ratings])
    # A fifth of each user's ratings is test, and a tenth of the others validation, halves rounded up.
    n_test = [math.floor(n / 5 + 0.5) for n in by_user.values()]
    n_validation = [
        math.floor((n - test) / 10 + 0.5) for n, test in zip(by_user.values(), n_test, strict=True)
    ]
    parts = {"validation": sum(n_validation), "test": sum(n_test)}
    assert part_counts(run) == {"train": 100_836 - sum(parts.values()), **parts}


def test_bad_rows_end_the_run_or_are_quarantined_as_asked(shop, tmp_path):
    file, root = tmp_path / "orders.csv", tmp_path / "root"
    lines = file.read_text().splitlines()
    # The last 100 are each customer's first order, which is for training.
    for line, stars in ((2402, "lots"), (2403, "55")):
        fields = lines[line - 1].split(";")
        lines[line - 1] = ";".join([*fields[:3], stars, *fields[4:]])
    file.write_text("\n".join([*lines, ""]))

    stopped = run_data_steps(shop, root)
    assert stopped.returncode == 1
    assert "✓" not in stopped.stdout
    assert (
        f"ExampleGen failed: {file}: 1 line cannot be used.\n"
        "  line 2402, stars: 'lots' is not a finite number\n" in stopped.stderr
    )
    assert [path for path in (root / "artifacts").rglob("*") if path.is_file()] == []

    done = run_data_steps(shop, root, "validation.quarantine=true")
    assert "warning: Quarantined 2 rows (0.080%): rating_out_of_scale 1, unreadable 1." in done.stdout
    run = made_by(done)
    assert written_in(run) == {
        **WRITTEN,
        "example-gen/examples": WRITTEN["example-gen/examples"] | {"unreadable.parquet"},
        "example-validator/anomalies": WRITTEN["example-validator/anomalies"] | {"quarantine.parquet"},
        "example-validator/validated_examples": WRITTEN["example-gen/examples"] | {"unreadable.parquet"},
    }
    rows = pq.read_table(run / "example-validator/anomalies/quarantine.parquet").to_pylist()
    assert [(row["file"], row["line"], row["reasons"]) for row in rows] == [
        ("orders.csv", 2402, ["unreadable"]),
        ("orders.csv", 2403, ["rating_out_of_scale"]),
    ]
    assert read_json(run, "example-validator/validated_examples/source.json")["n_ratings"] == 2500 - 2
    # Of a customer's 24 ratings 4.8 are test and of the 19 others 1.9 validation: 5 and 2, as before.
    assert part_counts(run) == {"train": 1800 - 2, "validation": 200, "test": 500}
