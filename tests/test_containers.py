"""What runs in containers: the service's image, and the services beside it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from qdrant_client.common.version_check import is_compatible

from recommender.explanations import language_model
from serving.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = ROOT / "docker-compose.yml"
BIN = Path(sys.executable).parent
PINNED = re.compile(r"[\w./-]+:v?\d+(\.\d+)+(-[a-z]+)*(@sha256:[0-9a-f]{64})?")
REFUSE_MODULES_AND_RUN = """
import json, runpy, sys

class NotInTheImage:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"The image has no module {name}", name=name)

refused = set(json.loads(sys.argv.pop()))
sys.meta_path.insert(0, NotInTheImage())
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1].strip()) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def final_stage(instructions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    last = max(row for row, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[last:]


def copied(instructions: list[tuple[str, str]]) -> list[str]:
    """What `COPY` takes from the repository."""
    arguments = [value.split() for name, value in instructions if name == "COPY"]
    return [source for words in arguments if not words[0].startswith("--from") for source in words[:-1]]


def distributions_with_dependencies(names: list[str]) -> set[str]:
    """Canonical names of distributions and of all that they need, without extras."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += [Requirement(line) for line in metadata.requires(name) or []]
    return found


def test_nothing_is_wrong_with_the_dockerfile():
    linted = subprocess.run(
        [BIN / "hadolint", "--no-color", ROOT / "Dockerfile"], check=False, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_compose_file_is_as_the_specification_says():
    schema = ("--builtin-schema", "vendor.compose-spec")
    checked = subprocess.run(
        [BIN / "check-jsonschema", *schema, COMPOSE], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_services_are_reachable_from_this_machine_only(services: dict[str, dict[str, Any]]):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == len(services.keys() - {"sync"})
    assert not [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)]


def test_services_are_checked_and_restarted(services: dict[str, dict[str, Any]]):
    for name in services.keys() - {"sync"}:
        service = services[name]
        assert service["restart"] == "unless-stopped", name
        assert {"interval", "timeout", "retries"} <= service["healthcheck"].keys(), name
        # The image that is built here brings its own command.
        assert "test" in service["healthcheck"] or service["build"] == ".", name


def test_what_serving_does_not_need_is_started_on_demand(services: dict[str, dict[str, Any]]):
    always = {name for name, service in services.items() if "profiles" not in service}
    assert always == {"api", "sync", "qdrant", "redis"}


def test_images_are_pinned(services: dict[str, dict[str, Any]], instructions: list[tuple[str, str]]):
    bases = [value.split() for name, value in instructions if name == "FROM"]
    stages = {words[-1] for words in bases if len(words) > 1}
    images = [service["image"] for service in services.values()]
    images += [words[0] for words in bases if words[0] not in stages]
    assert images
    assert not [image for image in images if not PINNED.fullmatch(image)]


def test_qdrant_is_one_that_its_client_supports(services: dict[str, dict[str, Any]]):
    server = services["qdrant"]["image"].rpartition(":v")[2]
    assert is_compatible(metadata.version("qdrant-client"), server)


def test_volumes_are_declared_and_releases_are_read_only(services: dict[str, dict[str, Any]]):
    declared = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"]
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith(".")}
    assert named == set(declared)
    assert not [mount for mount in mounts if mount.startswith(".") and not mount.endswith(":ro")]
    for name in ("api", "sync"):
        assert "./var/releases:/releases:ro" in services[name]["volumes"]


def test_the_service_waits_for_nothing_that_it_does_not_use(services: dict[str, dict[str, Any]]):
    assert "depends_on" not in services["api"]


def test_docker_accepts_the_compose_file():
    def compose(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["docker", "compose", *words], check=False, capture_output=True, text=True)

    if shutil.which("docker") is None or compose("version").returncode:
        pytest.skip("the docker client or its compose plugin is not installed")
    checked = compose("-f", str(COMPOSE), "config", "--quiet")
    assert checked.returncode == 0, checked.stderr


def test_the_image_runs_unprivileged_and_is_checked(final_stage: list[tuple[str, str]]):
    values = dict(final_stage)
    assert values["USER"].split(":")[0] not in ("root", "0")
    assert "/healthz" in values["HEALTHCHECK"]
    assert json.loads(values["CMD"]) == ["python", "-m", "serving"]


def test_the_image_sets_what_the_service_reads(final_stage: list[tuple[str, str]]):
    words = dict(final_stage)["ENV"].split()
    variables = dict(word.split("=", 1) for word in words if word.startswith(PREFIX))
    settings = Settings.from_environment(variables)
    assert (settings.releases, settings.host) == (Path("/releases"), "0.0.0.0")
    assert ("EXPOSE", str(settings.port)) in final_stage
    assert variables.keys() <= {PREFIX + name.upper() for name in Settings.model_fields}


def test_the_composed_service_is_set_as_settings_can_be(services: dict[str, dict[str, Any]]):
    variables = services["api"]["environment"]
    assert variables.keys() <= {PREFIX + name.upper() for name in Settings.model_fields} | {
        language_model.PREFIX + name.upper() for name in language_model.LanguageModelSettings.model_fields
    }
    settings = Settings.from_environment(
        {
            name: value
            for name, value in variables.items()
            if name.startswith(PREFIX) and name.endswith("_URL")
        }
    )
    assert settings.redis_url.get_secret_value() == "redis://redis:6379/0"
    assert settings.qdrant_url == services["sync"]["environment"]["QDRANT_URL"] == "http://qdrant:6333"
    # No key has a default that everybody could know.
    assert {variables[name] for name in variables if "KEYS" in name} == {
        "${MARQUEE_API_KEYS:-}",
        "${MARQUEE_ADMIN_KEYS:-}",
    }
    assert variables["LLM_API_KEY"] == "${LLM_API_KEY:-}"


def test_the_image_copies_only_what_is_there_and_not_ignored(instructions: list[tuple[str, str]]):
    assert "ADD" not in dict(instructions)
    kept = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line[:1] == "!"
    ]
    sources = copied(instructions)
    assert set(sources) == set(kept)
    assert not [source for source in sources if not (ROOT / source).exists()]


def test_the_image_holds_every_module_that_the_service_and_the_sync_import(
    services: dict[str, dict[str, Any]], final_stage: list[tuple[str, str]], tmp_path: Path
):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    installed = distributions_with_dependencies(extras["serving"] + extras["postgresql"])
    refused = {
        module
        for module, owners in metadata.packages_distributions().items()
        if not installed & {canonicalize_name(owner) for owner in owners}
    }
    refused -= {source.rstrip("/") for source in copied(final_stage)}
    assert {"tensorflow", "pandas", "components", "kfp"} <= refused

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", REFUSE_MODULES_AND_RUN, *words, json.dumps(sorted(refused))],
            check=False,
            env={**os.environ, "MARQUEE_RELEASES": str(tmp_path), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
        )

    # It imports all it needs before it finds that there is no release.
    started = run("serving")
    assert started.returncode == 1
    assert started.stderr.startswith(f"error: No release in {tmp_path} is live."), started.stderr
    synced = run(*services["sync"]["command"][2:-1], str(tmp_path))
    assert synced.returncode == 1
    assert synced.stderr.startswith(f"error: No release in {tmp_path / 'releases'} is live."), synced.stderr
