"""How true explanations are, and how long they take.

    python -m benchmarks.explanations > result.json

One JSON object on standard output, progress on standard error. A release is made of MovieLens 100K by the
shipped configuration. Users get recommendations with explanations; then the rated movies that an explanation
names are taken from the history, and the movie's rank is looked at again, both stages included. What was
taken away does not come back, or it would push others down by itself.
"""

import asyncio
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pyarrow.parquet as pq
import typer

from benchmarks.circumstances import circumstances
from pipelines.config import PipelineConfig, read_config
from recommender.data.sources import ExampleGenConfig, ingest
from recommender.explanations.context import context_of
from recommender.explanations.evidence import NAMED, Explainer
from recommender.explanations.guard import WordingError
from recommender.explanations.language_model import LanguageModel, LanguageModelSettings
from recommender.explanations.wording import because, name_of
from recommender.features.transform import transform
from recommender.features.transformed_examples import TransformedExamples
from recommender.release import OPTIONAL_PARTS, PARTS, History, Release, write_release
from recommender.retrieval.build_index import build_index
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.recommend import Recommender

logger = logging.getLogger("recommender.benchmarks.explanations")

RECOMMENDED: Final = 10


def main(
    users: Annotated[int, typer.Option(help="Users who get explanations, evenly chosen.", min=1)] = 100,
    data: Annotated[
        Path | None, typer.Option(help="Folder or .zip of the data set; else it is fetched.")
    ] = None,
    release: Annotated[Path | None, typer.Option(help="A release to look at instead of a new one.")] = None,
    words: Annotated[
        int, typer.Option(help="Explanations to ask the language model of the LLM_* variables for.", min=0)
    ] = 0,
    root: Annotated[Path, typer.Option(help="Downloads are kept here.")] = Path("var"),
    seed: Annotated[int, typer.Option(help="Of the model, and of what is taken away at random.")] = 0,
) -> None:
    """Measure how faithful explanations are."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments = f"--users {users} --seed {seed}"
    with tempfile.TemporaryDirectory() as scratch:
        opened = Release.load(release or _make_release(data, root, seed, Path(scratch)))
        result = measured(opened, users, seed)
        if words:
            result["language_model"] = asyncio.run(_worded(opened, words))
            arguments += f" --words {words}"
        circumstances_of = circumstances("explanations", arguments)
    json.dump(
        {"dataset": opened.manifest.dataset, "release": opened.version, **result, **circumstances_of},
        sys.stdout,
        indent=2,
    )
    sys.stdout.write("\n")


def measured(release: Release, users: int, seed: int) -> dict[str, Any]:
    """What the benchmark says of a release."""
    recommender = Recommender(release, ExactMovieIndex(release.movie_ids, release.movie_vectors))
    started = time.perf_counter()
    explainer = Explainer(recommender)
    ready_s = time.perf_counter() - started
    generator = np.random.default_rng(seed)
    places = np.unique(np.linspace(0, len(release.raters) - 1, users).astype(int))
    lowered: dict[str, list[bool]] = {"named": [], "random": []}
    errors, evidence_s, wording_s, lengths = [], 0.0, 0.0, []
    for user_id in release.raters[places].tolist():
        history = release.history_of(user_id)
        found = recommender.recommend_for(history, RECOMMENDED)
        started = time.thread_time()
        evidence = explainer.explain(found)
        evidence_s += time.thread_time() - started
        if evidence is None:
            raise SystemExit(f"{release.folder} was made without what explanations take: make another one.")
        started = time.thread_time()
        for each in evidence:
            because(each)
        wording_s += time.thread_time() - started
        lengths.append(len(history.movie_ids))
        for rank, each in enumerate(evidence, start=1):
            told = sum(ground.contribution for ground in each.grounds) + sum(each.parts.values())
            errors.append(abs(told + each.other_ratings - each.score))
            named = [ground.movie.movie_id for ground in each.grounds]
            chosen = generator.choice(history.movie_ids, min(NAMED, len(history.movie_ids)), replace=False)
            for what, taken in (("named", named), ("random", chosen.tolist())):
                lowered[what].append(_rank_without(recommender, history, taken, each.movie.movie_id) > rank)
        logger.info(
            "user %d, %d ratings: named %.3f, random %.3f so far",
            user_id,
            lengths[-1],
            np.mean(lowered["named"]),
            np.mean(lowered["random"]),
        )
    count = len(lowered["named"])
    return {
        "faithful_share": float(np.mean(lowered["named"])),
        "random_share": float(np.mean(lowered["random"])),
        "by_rank": {
            what: np.reshape(shares, (-1, RECOMMENDED)).mean(axis=0).round(4).tolist()
            for what, shares in lowered.items()
        },
        "wording_ms": 1000 * (evidence_s + wording_s) / count,
        "evidence_ms": 1000 * evidence_s / count,
        "sentence_ms": 1000 * wording_s / count,
        "timed_by": "processor time of the one thread that computes",
        "ready_s": ready_s,
        "largest_error": max(errors),
        "explanations": count,
        "users": len(lengths),
        "ratings_of_a_user": {"median": float(np.median(lengths)), "most": max(lengths)},
    }


async def _worded(release: Release, words: int) -> dict[str, Any]:
    """What a language model makes of the first recommendation of some users, and how long it takes."""
    settings = LanguageModelSettings.from_environment()
    if settings is None:
        raise SystemExit("Set LLM_BASE_URL and LLM_MODEL to the language model that --words asks.")
    recommender = Recommender(release, ExactMovieIndex(release.movie_ids, release.movie_vectors))
    explainer, model = Explainer(recommender), LanguageModel(settings)
    seconds, outcomes, examples = [], Counter[str](), []
    places = np.unique(np.linspace(0, len(release.raters) - 1, words).astype(int))
    for user_id in release.raters[places].tolist():
        history = release.history_of(user_id)
        (evidence,) = explainer.explain(recommender.recommend_for(history, 1)) or ()
        started = time.perf_counter()
        said, outcome = "", "used"
        try:
            async for sentence in model.sentences(context_of(explainer, evidence, history)):
                said += sentence
        except WordingError as error:
            said, outcome = error.said, error.reason
        seconds.append(time.perf_counter() - started)
        outcomes[outcome] += 1
        examples.append(
            {
                "user_id": user_id,
                "movie": name_of(evidence.movie),
                "outcome": outcome,
                "said": said,
                "default": because(evidence),
            }
        )
        logger.info("user %d: %s in %.1f s: %s", user_id, outcome, seconds[-1], said)
    await model.close()
    return {
        "model": settings.model,
        "asked": len(seconds),
        "outcomes": dict(outcomes),
        "seconds": {"median": float(np.median(seconds)), "p90": float(np.quantile(seconds, 0.9))},
        "examples": examples[:10],
    }


def _rank_without(recommender: Recommender, history: History, taken: Iterable[int], movie_id: int) -> int:
    """The rank of a movie once some rated movies are taken away, which do not count themselves."""
    away = set(taken)
    kept = ~np.isin(history.movie_ids, list(away))
    shorter = History(history.movie_ids[kept], history.ratings[kept], history.timestamps[kept])
    second = recommender.re_ranking
    limit = len(recommender.release.movie_ids) if second is None else second.candidates
    rank = 1
    for movie in recommender.recommend_for(shorter, limit).movies:
        if movie.movie_id == movie_id:
            return rank
        rank += movie.movie_id not in away
    return rank


def _make_release(data: Path | None, root: Path, seed: int, folder: Path) -> Path:
    """Train as the shipped configuration says, and write a release."""
    from recommender.models.embeddings import write_embeddings
    from recommender.training.configuration import Tracking
    from recommender.training.fit import train

    config: PipelineConfig = read_config(Path("ml-100k"))
    source = config.example_gen
    if data is not None:
        source = ExampleGenConfig(source="directory", path=str(data))
    report = ingest(source, folder / "examples", root / "downloads")
    transform(folder / "examples", config.transform, seed, folder / "transformed")
    examples = TransformedExamples(folder / "transformed")
    parts = folder / "parts"
    parts.mkdir()
    train(examples, config.trainer, seed, Tracking(), parts)
    write_embeddings(folder / "examples", examples, parts, parts)
    build_index(parts, config.indexer, parts / "index")
    rows = {
        name: pq.read_metadata(parts / f"{name}.parquet").num_rows for name in ("users", "movies", "history")
    }
    said = {
        "dataset": report.source,
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "git_commit": None,
        "libraries": {},
        "data": {},
        "counts": {"users": rows["users"], "movies": rows["movies"], "ratings": rows["history"]},
        "dimension": config.trainer.model.output_dimension,
        "metrics": {},
    }
    there = {name: parts / name for name in (*PARTS, *OPTIONAL_PARTS) if (parts / name).exists()}
    return folder / "releases" / write_release(folder / "releases", there, said)


if __name__ == "__main__":
    typer.run(main)
