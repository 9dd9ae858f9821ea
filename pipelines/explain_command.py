"""The `marquee explain` command."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.options import DEFAULT_ROOT, Root
from recommender.errors import MarqueeError
from recommender.explanations.context import Context, context_of
from recommender.explanations.evidence import Evidence, Explainer
from recommender.explanations.guard import WordingError
from recommender.explanations.language_model import LanguageModel, LanguageModelSettings, is_installed
from recommender.explanations.reasons import ranked, reasons_of
from recommender.explanations.wording import name_of
from recommender.release import Release
from recommender.retrieval.exact_index import ExactMovieIndex
from recommender.retrieval.recommend import Recommender

PARTS = {
    "profile": "the rest of the user's vector",
    "popularity": "how many rated it",
    "mean_rating": "its mean rating",
    "year_distance": "its year",
    "genre_match": "its genres",
    "base": "the same for all",
}
"""What the parts of a score are called."""

console = Console()


def explain(
    user: Annotated[int, typer.Option(help="Whom the movie is recommended to.")],
    movie: Annotated[int, typer.Option(help="The movie's id.")],
    release: Annotated[
        Path | None,
        typer.Option(help="A particular release's folder; the live one under --root if not given."),
    ] = None,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Say why a movie is recommended to a user: in a sentence, and in numbers that add up to its score.

    Where LLM_BASE_URL and LLM_MODEL name a language model, it words the sentence.
    """
    settings = LanguageModelSettings.from_environment()
    opened = Release.load(release) if release else Release.open_live(root / "releases")
    if opened.movie_position(movie) is None:
        raise MarqueeError(f"--movie {movie}: release {opened.version} has no such movie.")
    history = opened.history_of(user)
    if movie in history.movie_ids:
        raise MarqueeError(f"--movie {movie}: user {user} has rated it, and gets only others.")
    recommender = Recommender(opened, ExactMovieIndex(opened.movie_ids, opened.movie_vectors))
    answer = ranked(recommender, user, movie)
    if answer is None:
        raise MarqueeError(f"--movie {movie}: the index does not hold it. Run the pipeline again.")
    rank, found = answer
    explainer = Explainer(recommender)
    reason = reasons_of(explainer, found, history)[0]
    console.print(f"{escape(name_of(opened.movie(movie)))} is number {rank} for user {user}.")
    text, told = f"{reason.text}.", ""
    if reason.evidence is not None and settings is not None:
        words, told = _worded(settings, context_of(explainer, reason.evidence, history))
        text = words or text
    console.print(escape(text), highlight=False, soft_wrap=True)
    if told:
        console.print(escape(told), style="dim", highlight=False, soft_wrap=True)
    if reason.evidence is not None:
        console.print(_table(reason.evidence))


def _worded(settings: LanguageModelSettings, context: Context) -> tuple[str | None, str]:
    """A language model's words, None where they cannot be used, and which wording it is."""
    if not is_installed():
        return None, "LLM_BASE_URL is set, and its client is not installed: pip install 'marquee[llm]'"

    async def ask() -> str:
        model = LanguageModel(settings)
        try:
            return "".join([sentence async for sentence in model.sentences(context)])
        finally:
            await model.close()

    try:
        return asyncio.run(ask()), f"Worded by {settings.model}."
    except WordingError as error:
        return None, f"Not worded by {settings.model}: {error.reason}."


def _table(evidence: Evidence) -> Table:
    table = Table(title="What its score is made of")
    table.add_column("from")
    table.add_column("adds", justify="right")
    for ground in evidence.grounds:
        seen = f"{name_of(ground.movie)}, rated {ground.rating:g}"
        table.add_row(escape(seen), f"{ground.contribution:+.3f}")
    table.add_row("all other rated movies", f"{evidence.other_ratings:+.3f}")
    for name, value in evidence.parts.items():
        table.add_row(PARTS[name], f"{value:+.3f}")
    table.add_section()
    table.add_row("its score", f"{evidence.score:+.3f}")
    return table
