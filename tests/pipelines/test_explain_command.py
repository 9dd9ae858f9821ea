"""`marquee explain`: one movie, in a sentence and in numbers."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from recommender.errors import MarqueeError
from recommender.explanations.wording import name_of
from recommender.release import Release
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.recommend import Recommender
from tests.recommender.explanations.openai_endpoint import OpenAiEndpoint


def explain(release: Path, user: int, movie: int, **variables: str) -> str:
    words = ["explain", "--user", str(user), "--movie", str(movie), "--release", str(release)]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "120", **variables})
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_recommended_movie_is_explained_in_numbers_that_add_up(two_stage_release: Path) -> None:
    release = Release.load(two_stage_release)
    recommender = Recommender(release, ExactMovieIndex(release.movie_ids, release.movie_vectors))
    third = recommender.recommend(7, 10).movies[2]
    output = explain(two_stage_release, 7, third.movie_id)
    assert "is number 3 for user 7" in output
    *added, score = [float(number) for number in re.findall(r"[+-]\d+\.\d{3}", output)]
    assert score == pytest.approx(third.score, abs=0.0006)
    assert sum(added) == pytest.approx(score, abs=0.0006 * len(added))


def test_a_movie_that_is_not_recalled_is_explained_among_all(two_stage_release: Path) -> None:
    release = Release.load(two_stage_release)
    recommender = Recommender(release, ExactMovieIndex(release.movie_ids, release.movie_vectors))
    last = recommender.recommend(7, len(release.movie_ids)).movies[-1]
    rank = int(re.search(r"is number (\d+) for", explain(two_stage_release, 7, last.movie_id)).group(1))
    assert rank > recommender.re_ranking.candidates


def test_a_language_model_words_it_where_one_is_named(two_stage_release: Path) -> None:
    release = Release.load(two_stage_release)
    recommender = Recommender(release, ExactMovieIndex(release.movie_ids, release.movie_vectors))
    first = recommender.recommend(7, 1).movies[0].movie_id
    own = explain(two_stage_release, 7, first)
    endpoint = OpenAiEndpoint()
    variables = {"LLM_BASE_URL": endpoint.base_url, "LLM_MODEL": "small"}
    try:
        worded = explain(two_stage_release, 7, first, **variables)
        assert f"So {name_of(release.movie(first))} may be for you." in worded
        assert "Worded by small." in worded
        assert "its score" in worded
        endpoint.says = lambda _: "You liked Inception."
        refused = explain(two_stage_release, 7, first, **variables)
        assert "Not worded by small: invented." in refused
        assert refused.replace("Not worded by small: invented.\n", "") == own
    finally:
        endpoint.close()


def test_for_somebody_unknown_a_movie_is_popular(two_stage_release: Path) -> None:
    movie = int(Release.load(two_stage_release).popular_movie_ids[0])
    assert "Popular: rated by" in explain(two_stage_release, 10**9, movie)


def test_what_is_rated_or_unknown_is_not_explained(two_stage_release: Path) -> None:
    seen = int(Release.load(two_stage_release).history_of(7).movie_ids[0])
    with pytest.raises(MarqueeError, match=f"--movie {seen}: user 7 has rated it"):
        explain(two_stage_release, 7, seen)
    with pytest.raises(MarqueeError, match="has no such movie"):
        explain(two_stage_release, 7, 10**9)
