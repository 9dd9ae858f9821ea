"""Changing the release that is served, while it is served."""

import asyncio
import gc
import logging
from dataclasses import replace
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State

from recommender.errors import MarqueeError
from recommender.release import live_version, promote
from serving.releases.loaded_release import LoadedRelease, OpenIndex

_LOG = logging.getLogger("marquee.serving")


class ReleaseSwitch:
    """Puts another release in the place of the one that is served.

    The new one is loaded beside the old one; then requests that begin get the new one, and those under way
    end with the one they began with.

    Attributes:
        releases: the folder of all releases.

    Args:
        state: of the app; its `service` is replaced as a whole.
        releases: the folder of all releases.
        open_index: opens the index of a release.
        seconds: how often to look whether `current` names another release.
    """

    def __init__(self, state: State, releases: Path, open_index: OpenIndex, *, seconds: float) -> None:
        self._state = state
        self.releases = releases
        self._open_index = open_index
        self._seconds = seconds
        self._one_at_a_time = asyncio.Lock()
        self._seen = self._stamp()

    async def activate(self, version: str) -> str:
        """Serve a release from now on, and point `current` at it, so that every other service follows.

        Returns:
            The version that was served before.

        Raises:
            ReleaseError: there is no such release, or it is not whole; nothing has changed.
            IndexUnavailableError: its index cannot be opened; nothing has changed.
            DataError: its models hold something else; nothing has changed.
            OSError: `current` cannot be written; nothing has changed.
        """
        async with self._one_at_a_time:
            before: str = self._state.service.release.version
            loaded = None if version == before else await self._load(version)
            await run_in_threadpool(promote, self.releases, version)
            if loaded is not None:
                self._serve(loaded)
            return before

    async def follow(self) -> None:
        """Serve whatever `current` names, whoever changes it, until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self._look()
            except (MarqueeError, OSError) as error:
                _LOG.error("%s Release %s is served on.", error, self._state.service.release.version)

    async def _look(self) -> None:
        stamp = await run_in_threadpool(self._stamp)
        if stamp == self._seen:
            return
        async with self._one_at_a_time:
            self._seen = stamp  # what cannot be loaded is not tried again until `current` changes
            version = await run_in_threadpool(live_version, self.releases)
            if version is not None and version != self._state.service.release.version:
                self._serve(await self._load(version))

    async def _load(self, version: str) -> LoadedRelease:
        return await run_in_threadpool(LoadedRelease.load, self.releases / version, self._open_index)

    def _serve(self, loaded: LoadedRelease) -> None:
        before = self._state.service
        self._state.service = replace(before, loaded=loaded)
        before.metrics.serve_release(loaded.release.version, before=before.release.version)
        gc.freeze()  # for the same reason as at the start, see `workers.start_app`
        _LOG.info("Release %s is served now, after %s.", loaded.release.version, before.release.version)

    def _stamp(self) -> tuple[int, int] | None:
        """What changes when `current` does; None where there is none."""
        try:
            found = (self.releases / "current").stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino
