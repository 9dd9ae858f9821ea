"""The service: a release, loaded and checked, behind a REST interface and a page."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Lifespan
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from recommender.data.rating_store import RatingStore
from recommender.errors import ConfigurationError, IndexUnavailableError
from recommender.release import Release
from recommender.retrieval.edge_index import EdgeMovieIndex
from recommender.retrieval.movie_index import MovieIndex
from serving import problems
from serving.access.callers import Callers
from serving.access.headers import REQUEST_ID, ResponseHeaders
from serving.access.rate_limits import MemoryRateLimits, RateLimits, RedisRateLimits, SteadyRateLimits
from serving.access.request_limits import RequestLimits
from serving.access.security import KEY_HEADER, Access
from serving.caching.answers import Answers
from serving.caching.memory_cache import MemoryCache
from serving.caching.redis_cache import RedisCache
from serving.caching.repeats import RepeatedRequests, Repeats
from serving.computing import Computing
from serving.dependencies import Service
from serving.model_wording import ModelWording
from serving.page_files import PageFiles
from serving.records import logs
from serving.records.metrics import Metrics
from serving.records.observation import Observation
from serving.redis_link import RedisLink
from serving.releases.loaded_release import LoadedRelease, OpenIndex
from serving.releases.release_switch import ReleaseSwitch
from serving.routes import (
    batch_recommendations,
    explanations,
    health,
    metrics,
    movies,
    ratings,
    recommendations,
    releases,
    users,
    visitor_recommendations,
)
from serving.server_index import ServerIndex
from serving.settings import Settings
from serving.workers import announce, run_workers, server_config, start_app

_LOG = logging.getLogger("marquee.serving")
_WEB = Path(__file__).parent / "web"
_TAGS = [
    {"name": "recommendations", "description": "Movies for a user, a visitor, or many users."},
    {"name": "movies", "description": "Movies: found by title, described, and those like one."},
    {"name": "users", "description": "Users, and how much they have rated."},
    {"name": "ratings", "description": "What users have rated, and what they think now."},
    {"name": "releases", "description": "Releases: which there are, and which one is served."},
    {"name": "health", "description": "Whether the service is up, what it serves, and how it fares."},
]


def create_app(settings: Settings) -> FastAPI:
    """Check and load a release, and make the app that serves it.

    Raises:
        ReleaseError: nothing is live, or a file of the release is missing or altered.
        IndexUnavailableError: the release's index cannot be opened.
        RatingStoreError: the store of ratings cannot be opened.
        ConfigurationError: Redis's address or a file of keys cannot be used.
    """
    access = Access.from_settings(settings)
    open_index = _opener(settings)
    service = _load(settings, open_index)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        following = None if app.state.switch is None else asyncio.create_task(app.state.switch.follow())
        yield
        if following is not None:
            following.cancel()
        last = app.state.service
        await last.answers.close()
        last.loaded.close()
        last.ratings.close()
        if last.wording is not None:
            await last.wording.close()

    app = describe_api(lifespan)
    app.state.service = service
    app.state.switch = (
        ReleaseSwitch(app.state, settings.releases, open_index, seconds=settings.release_check_seconds)
        if settings.release is None
        else None
    )
    _add_middleware(app, settings, service, access)
    app.add_api_route("/docs", _documentation, include_in_schema=False)
    app.mount("/", PageFiles(directory=_WEB, html=True))
    return app


def describe_api(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The routes and the OpenAPI document; without what `create_app` adds, it describes but cannot answer.

    Args:
        lifespan: what begins and ends with the app.
    """
    app = FastAPI(
        title="Marquee",
        summary="Movie recommendations from a two-tower model.",
        version="1",
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    problems.install(app)
    for routes in (
        recommendations,
        visitor_recommendations,
        batch_recommendations,
        explanations,
        movies,
        users,
        ratings,
        releases,
        health,
        metrics,
    ):
        app.include_router(routes.router)
    return app


def serve(settings: Settings) -> None:
    """Serve a release until interrupted; nothing listens before it is checked and loaded.

    Raises:
        ReleaseError: nothing is live, or a file of the release is missing or altered.
        IndexUnavailableError: the release's index cannot be opened.
        RatingStoreError: the store of ratings cannot be opened.
        ConfigurationError: the address or port cannot be listened at.
    """
    logs.configure(settings.log_format)
    if settings.development:
        _LOG.warning("DEVELOPMENT: anybody on this machine may write without a key.")
    with _listener(settings) as listener:
        if settings.workers > 1:
            run_workers(create_app, settings, listener)
        else:
            server = _Server(server_config(start_app(create_app, settings), settings))
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
            gc.unfreeze()
    _LOG.info("Marquee has stopped.")


class _Server(uvicorn.Server):
    """Says where it listens once it answers there, and can be stopped."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start answering."""
        await super().startup(sockets)
        for listener in sockets or []:
            announce(listener)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop once what is under way is answered; when told again by Ctrl-C, at once."""
        if not self.should_exit:
            super().handle_exit(sig, frame)
        elif sig == signal.SIGINT:
            self.force_exit = True  # no more than that: uvicorn raises again each signal that it takes itself

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop answering, and close what the service holds, also when it has to be quick."""
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()


def _add_middleware(app: FastAPI, settings: Settings, service: Service, access: Access) -> None:
    """From the innermost, next to the routes, to the outermost."""
    app.add_middleware(RepeatedRequests, repeats=service.repeats)
    app.add_middleware(RequestLimits, body=settings.body_bytes, seconds=settings.request_seconds)
    app.add_middleware(
        Callers,
        access=access,
        # Not of the service itself, which would keep its release for good.
        limits=_limits(service.redis, service.metrics),
        per_key=settings.requests_per_minute_key,
        per_address=settings.requests_per_minute_address,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=[KEY_HEADER, "Authorization", REQUEST_ID],
            expose_headers=[REQUEST_ID, "ETag", "Retry-After", "RateLimit", "RateLimit-Policy"],
        )
    app.add_middleware(Observation, metrics=service.metrics, log_requests=settings.log_requests)
    app.add_middleware(ResponseHeaders)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))


def _limits(redis: RedisLink | None, metrics: Metrics) -> RateLimits:
    """Counts requests in Redis where there is one, else in this process."""
    own = MemoryRateLimits()
    if redis is None:
        return own
    return SteadyRateLimits(RedisRateLimits(redis), own, lambda: metrics.count_degradation("rate_limits"))


def _opener(settings: Settings) -> OpenIndex:
    """How the index of a release is opened: on the server that settings name, or in this process."""
    url, key = settings.qdrant_url, settings.qdrant_api_key
    if url is None:
        return _open_here

    from recommender.retrieval.qdrant_index import connect

    def open_on_server(release: Release) -> MovieIndex:
        client = connect(
            url,
            api_key=None if key is None else key.get_secret_value(),
            timeout_s=settings.qdrant_seconds,
        )
        return ServerIndex(
            client, release.version, seconds=settings.qdrant_seconds, pause=settings.qdrant_pause_seconds
        )

    return open_on_server


def _open_here(release: Release) -> MovieIndex:
    index = EdgeMovieIndex.open(release.index_folder)
    if index.count() != len(release.movie_ids):
        count = index.count()
        index.close()
        raise IndexUnavailableError(
            f"The index in {release.index_folder} holds {count} movies, and the release has "
            f"{len(release.movie_ids)}. Run the pipeline to build it again."
        )
    return index


def _load(settings: Settings, open_index: OpenIndex) -> Service:
    if settings.release is not None:
        release = Release.load(settings.release)
    else:
        release = Release.open_live(settings.releases)
    store = RatingStore.open(settings.ratings_url)
    loaded = LoadedRelease.of(release, open_index)
    redis = None
    if settings.redis_url is not None:
        redis = RedisLink(
            settings.redis_url.get_secret_value(),
            seconds=settings.redis_seconds,
            pause=settings.redis_pause_seconds,
        )
    counts_of = Metrics()
    counts_of.serve_release(release.version)
    computing = Computing(waits=settings.qdrant_url is not None or store.is_on_server)
    return Service(
        loaded=loaded,
        ratings=store,
        answers=Answers(
            MemoryCache(settings.cache_entries, settings.cache_seconds)
            if redis is None
            else RedisCache(redis, settings.cache_seconds),
            computing,
        ),
        computing=computing,
        repeats=Repeats(),
        metrics=counts_of,
        redis=redis,
        wording=ModelWording.where_there_is_one(_limits(redis, counts_of)),
    )


def _listener(settings: Settings) -> socket.socket:
    """A socket at the address, which starts to listen when a server takes it."""
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Nothing can listen at {settings.host}:{settings.port} ({error.strerror or error}). "
            "Choose another port or host, or stop what listens there."
        ) from error
    # Connections inherit this. asyncio sets it only where a socket names its protocol, and without it every
    # answer on a connection that is kept open waits some 40 ms for the other side's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _documentation() -> HTMLResponse:
    """The interactive documentation: the one page that needs the internet, for its viewer."""
    page = get_swagger_ui_html(openapi_url="openapi.json", title="Marquee: the REST interface")
    page.headers["Content-Security-Policy"] = (
        "default-src 'self'; script-src 'unsafe-inline' https:; style-src 'unsafe-inline' https:; "
        "img-src 'self' data: https:"
    )
    return page
