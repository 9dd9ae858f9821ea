"""The service: a release, loaded and checked, behind a REST interface and a page."""

import contextlib
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from recommender.data.rating_store import RatingStore
from recommender.errors import ConfigurationError
from recommender.release import Release
from recommender.retrieval.edge_index import EdgeMovieIndex
from recommender.retrieval.recommend import Recommender
from serving import events, problems
from serving.cache import MemoryCache
from serving.dependencies import Service
from serving.headers import ResponseHeaders
from serving.routes import health, ratings, recommendations, users
from serving.settings import Settings

_LOG = logging.getLogger("marquee.serving")
_WEB = Path(__file__).parent / "web"
_TAGS = [
    {"name": "recommendations", "description": "Movies for a user."},
    {"name": "users", "description": "Users, and how much they have rated."},
    {"name": "ratings", "description": "What users have rated, and what they think now."},
    {"name": "health", "description": "Whether the service is up, and what it serves."},
]


def create_app(settings: Settings) -> FastAPI:
    """Check and load a release, and make the app that serves it.

    Raises:
        ReleaseError: nothing is live, or a file of the release is missing or altered.
        IndexUnavailableError: the release's index cannot be opened.
        RatingStoreError: the store of ratings cannot be opened.
    """
    service = _load(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.index.close()
        service.ratings.close()

    app = FastAPI(
        title="Marquee",
        summary="Movie recommendations from a two-tower model.",
        version="1",
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.add_middleware(ResponseHeaders)
    problems.install(app)
    app.include_router(recommendations.router)
    app.include_router(users.router)
    app.include_router(ratings.router)
    app.include_router(health.router)
    app.add_api_route("/docs", _documentation, include_in_schema=False)
    app.mount("/", StaticFiles(directory=_WEB, html=True))
    return app


def serve(settings: Settings) -> None:
    """Serve a release until interrupted; nothing listens before it is checked and loaded.

    Raises:
        ReleaseError: nothing is live, or a file of the release is missing or altered.
        IndexUnavailableError: the release's index cannot be opened.
        RatingStoreError: the store of ratings cannot be opened.
        ConfigurationError: the address or port cannot be listened at.
    """
    _log_to_terminal()
    app = create_app(settings)
    listener = _listen(settings)
    server = _Server(uvicorn.Config(app, log_level="warning", access_log=False))
    with listener, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    _LOG.info("Marquee has stopped.")


class _Server(uvicorn.Server):
    """Says where it listens once it answers there, and can be stopped."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start answering."""
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            _LOG.info("Marquee listens at http://%s:%d/", f"[{host}]" if ":" in host else host, port)


def _load(settings: Settings) -> Service:
    started = time.perf_counter()
    if settings.release is not None:
        release = Release.load(settings.release)
    else:
        release = Release.open_live(settings.releases)
    store = RatingStore.open(settings.ratings_url)
    index = EdgeMovieIndex.open(release.index_folder)
    counts = release.manifest.counts
    _LOG.info(
        "Release %s is whole: %d users, %d movies, %d ratings, loaded in %.1f s.",
        release.version,
        counts.users,
        counts.movies,
        counts.ratings,
        time.perf_counter() - started,
    )
    return Service(
        release=release,
        index=index,
        recommender=Recommender(release, index),
        cache=MemoryCache(settings.cache_entries, settings.cache_seconds),
        ratings=store,
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"Nothing can listen at {settings.host}:{settings.port} ({error.strerror or error}). "
            "Choose another port or host, or stop what listens there."
        ) from error
    # Connections inherit this. asyncio sets it only where a socket names its protocol, and without it every
    # answer on a connection that is kept open waits some 40 ms for the other side's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _log_to_terminal() -> None:
    """Messages to stderr for a person, events to stdout for a program."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(logging.Formatter("%(message)s"))
    events.LOGGER.handlers = [lines]
    events.LOGGER.setLevel(logging.INFO)
    events.LOGGER.propagate = False


def _documentation() -> HTMLResponse:
    """The interactive documentation: the one page that needs the internet, for its viewer."""
    page = get_swagger_ui_html(openapi_url="openapi.json", title="Marquee: the REST interface")
    page.headers["Content-Security-Policy"] = (
        "default-src 'self'; script-src 'unsafe-inline' https:; style-src 'unsafe-inline' https:; "
        "img-src 'self' data: https:"
    )
    return page
