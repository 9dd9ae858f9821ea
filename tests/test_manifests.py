"""What Kubernetes is told to run: the manifests, and what kustomize makes of them."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from pipelines.cli import app
from pipelines.config import PipelineConfig
from serving.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATIONS = sorted(FOLDER.rglob("kustomization.yaml"))
MANIFESTS = sorted(set(FOLDER.rglob("*.yaml")) - set(KUSTOMIZATIONS))
VERSIONS = ("1.32", "1.35")
"""Of Kubernetes: the oldest and the newest that the manifests are checked against."""


def named(path: Path) -> str:
    return str(path.relative_to(FOLDER))


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the specification of each kind of pod."""
    for document in (each for file in MANIFESTS for each in documents(file)):
        specification = document.get("spec", {})
        specification = specification.get("jobTemplate", document).get("spec", {})
        if "template" in specification:
            yield document["metadata"]["name"], specification["template"]["spec"]


def variables(pod: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in pod["containers"][0].get("env", [])}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", MANIFESTS, ids=named)
def test_manifests_are_as_kubernetes_says(file: Path, version: str):
    for document in documents(file):
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("file", KUSTOMIZATIONS, ids=named)
def test_kustomizations_name_what_is_there(file: Path):
    (kustomization,) = documents(file)
    resources = [(file.parent / each).resolve() for each in kustomization["resources"]]
    beside = {path for path in file.parent.glob("*.yaml") if path != file}
    assert {path for path in resources if path.suffix == ".yaml"} == beside
    there = {
        (document["kind"], document["metadata"]["name"])
        for folder in (path for path in resources if path.is_dir())
        for manifest in folder.glob("*.yaml")
        if manifest not in KUSTOMIZATIONS
        for document in documents(manifest)
    }
    targets = {(each["target"]["kind"], each["target"]["name"]) for each in kustomization.get("patches", [])}
    assert targets <= there


@pytest.mark.parametrize("file", KUSTOMIZATIONS, ids=named)
def test_what_kustomize_makes_is_as_kubernetes_says(file: Path):
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which brings kustomize, is not installed")
    built = subprocess.run(
        ["kubectl", "kustomize", file.parent], check=False, capture_output=True, text=True, timeout=60
    )
    assert built.returncode == 0, built.stderr
    made = list(yaml.safe_load_all(built.stdout))
    assert made
    for document in made:
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "marquee"


def test_pods_run_unprivileged_on_a_file_system_that_they_cannot_change():
    checked = dict(pods())
    assert {"api", "sync", "qdrant", "redis", "spark", "spark-worker"} == checked.keys()
    for name, pod in checked.items():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert not pod["automountServiceAccountToken"], name
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"], name
            assert not security["allowPrivilegeEscalation"], name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


def test_no_secret_has_a_value_here():
    for document in (each for file in MANIFESTS for each in documents(file)):
        assert document["kind"] != "Secret"
    for name, pod in pods():
        for variable, each in variables(pod).items():
            if re.search("KEY|PASSWORD", variable):
                assert each["valueFrom"]["secretKeyRef"]["name"] == "marquee", name


def test_the_service_is_set_as_settings_can_be():
    (config_map,) = documents(FOLDER / "base" / "settings.yaml")
    settings = Settings.from_environment(config_map["data"])
    assert settings.ratings_url.startswith("postgresql+psycopg://")
    given = config_map["data"].keys() | variables(dict(pods())["api"]).keys()
    assert given - {"PGPASSWORD"} <= {PREFIX + name.upper() for name in Settings.model_fields}


def test_images_are_those_that_are_composed():
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    images = {name: pod["containers"][0]["image"] for name, pod in pods()}
    assert (images["qdrant"], images["redis"]) == (composed["qdrant"]["image"], composed["redis"]["image"])
    (base,) = documents(FOLDER / "base" / "kustomization.yaml")
    tag = base["images"][0]["newTag"]
    assert composed["api"]["image"] == f"{images['api']}:{tag}" == f"{images['sync']}:{tag}"


def test_the_sync_is_a_command_that_there_is():
    container = dict(pods())["sync"]["containers"][0]
    python, flag, module, *words = container["command"] + container["args"]
    assert (python, flag, module) == ("python", "-m", "pipelines")
    command = get_command(app)
    for word in words[:2]:
        command = command.commands[word]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words[2:] if word.startswith("--")} <= options


def test_steps_mount_the_claim_that_the_service_reads():
    (claim,) = documents(FOLDER / "base" / "volume.yaml")
    assert claim["metadata"]["name"] == PipelineConfig().cluster.volume
    for name in ("api", "sync", "spark-worker"):
        mounted = [each for each in dict(pods())[name]["volumes"] if "persistentVolumeClaim" in each]
        assert [each["persistentVolumeClaim"]["claimName"] for each in mounted] == [claim["metadata"]["name"]]
