"""Releases: which there are, and which one is served."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from recommender.errors import MarqueeError, ReleaseError
from recommender.release import Manifest, list_releases, live_version, read_manifest
from serving.access.security import AdminAccess
from serving.dependencies import Limit, Offset, Service, ServiceDependency
from serving.problems import documented
from serving.releases.release_switch import ReleaseSwitch
from serving.routes.release_summary import ReleaseSummary, release_fields

router = APIRouter(prefix="/api/v1/releases", tags=["releases"])
_LOG = logging.getLogger("marquee.serving")

Version = Annotated[
    str,
    PathParameter(
        pattern=r"^\d{8}T\d{6}Z-[0-9a-f]{8}$",
        description="The release's version.",
        examples=["20260314T092653Z-5f0c6f1f"],
    ),
]


class ListedRelease(ReleaseSummary):
    """One release."""

    live: bool = Field(examples=[True])
    """Whether `current` names it, so that services start with it."""
    served: bool = Field(examples=[True])
    """Whether this answer comes from it."""


class Releases(BaseModel):
    """Releases, newest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    total: int = Field(examples=[3])
    """How many there are in all."""
    items: list[ListedRelease]
    """Those from `offset` on that can be read."""


class Activated(BaseModel):
    """A release is served now."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    release: str = Field(examples=["20260314T092653Z-5f0c6f1f"])
    """Its version."""
    before: str = Field(examples=["20260301T101500Z-8a31f0de"])
    """The version that was served before; the same if nothing changed."""


@router.get("", summary="Which releases are there?", responses=documented(401, 422, 429, 500, 503))
def releases(
    request: Request, response: Response, service: ServiceDependency, offset: Offset = 0, limit: Limit = 10
) -> Releases:
    """All releases, newest first, with the headline metrics of each, and which one is live."""
    response.headers["Cache-Control"] = "no-store"
    switch: ReleaseSwitch | None = request.app.state.switch
    if switch is None:
        only = _listed(service.release.manifest, service, live=None)
        return Releases(total=1, items=[only][offset:])
    versions = list_releases(switch.releases)[::-1]
    live = _live(switch.releases)
    manifests = (_manifest(switch.releases / version) for version in versions[offset : offset + limit])
    return Releases(
        total=len(versions),
        items=[_listed(manifest, service, live) for manifest in manifests if manifest is not None],
    )


@router.post(
    "/{version}:activate",
    summary="Serve another release",
    responses=documented(401, 403, 404, 409, 422, 429, 500, 503),
)
async def activate(request: Request, _access: AdminAccess, version: Version) -> Activated:
    """Switch to a release, or back to one, without failing a request.

    The release is verified and loaded beside the one being served. Requests under way end with the release
    that they began with. Every service of the same folder follows within seconds.
    """
    switch: ReleaseSwitch | None = request.app.state.switch
    if switch is None:
        raise HTTPException(409, "This service was told to serve one particular release (MARQUEE_RELEASE).")
    if not (switch.releases / version).is_dir():
        raise HTTPException(
            404, f"There is no release {version}. GET /api/v1/releases lists those there are."
        )
    try:
        # Shielded, because whoever asked may leave: what has begun is then finished all the same.
        before = await asyncio.shield(switch.activate(version))
    except MarqueeError as error:
        _LOG.error("%s", error)
        raise HTTPException(
            409,
            f"Release {version} cannot be served; the service's log says why. The one before is served on.",
        ) from error
    except OSError as error:
        _LOG.error("Release %s cannot be made the live one: %s.", version, error)
        raise HTTPException(
            409,
            "The service may not write the folder of releases. Promote the release where it was made, with "
            f"`marquee releases promote {version}`: the service follows.",
        ) from error
    return Activated(release=version, before=before)


def _live(releases: Path) -> str | None:
    try:
        return live_version(releases)
    except ReleaseError as error:
        _LOG.warning("%s", error)
        return None


def _manifest(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except ReleaseError as error:
        _LOG.warning("%s It is not listed.", error)
        return None


def _listed(manifest: Manifest, service: Service, live: str | None) -> ListedRelease:
    return ListedRelease(
        **release_fields(manifest),
        live=manifest.version == live,
        served=manifest.version == service.release.version,
    )
