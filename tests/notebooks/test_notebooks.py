"""Every notebook runs from top to bottom, and stays in the repository without what it printed."""

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from recommender.evaluation.result import TABLE_METRICS, Evaluation, SliceResult
from recommender.release import OPTIONAL_PARTS, PARTS, read_manifest, write_release

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLOTLY = "application/vnd.plotly.v1+json"

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def judged_release(two_stage_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release that says how good it is, as those of the pipeline do."""
    evaluation = Evaluation(
        protocol="P-random",
        models={"retrieval": {f"{metric}@10": 0.5 for metric in TABLE_METRICS}},
        baselines={},
        intervals={},
        slices=(
            SliceResult(
                by="new users",
                name="10 to 19 ratings",
                metric="ndcg@10",
                n_users=2,
                means={"retrieval": 0.5},
                interval=(0.4, 0.6),
                differences={},
            ),
        ),
        ranking={},
        validation={},
        n_users=200,
        n_users_left_out=0,
    )
    parts = {name: two_stage_release / name for name in (*PARTS, *OPTIONAL_PARTS)}
    manifest = {**manifest_of(two_stage_release), "metrics": evaluation.model_dump(mode="json")}
    releases = tmp_path_factory.mktemp("judged") / "releases"
    return releases / write_release(releases, parts, manifest)


def manifest_of(release: Path) -> dict[str, Any]:
    """What a release says of itself, but for what its writer sets."""
    of_writer = {"format", "version", "created_at", "content_digest", "files"}
    return read_manifest(release).model_dump(mode="json", exclude=of_writer)


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_a_notebook_runs_and_draws_titled_figures(
    path: Path, examples_folder: Path, judged_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    shutil.copy(path, folder)
    root = tmp_path / "var"
    monkeypatch.setenv("MARQUEE_RATINGS", str(examples_folder))
    monkeypatch.setenv("MARQUEE_RELEASE", str(judged_release))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MARQUEE_ROOT", str(root))
    monkeypatch.setenv("PLOTLY_RENDERER", "plotly_mimetype")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))

    notebook = nbformat.read(folder / path.name, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    figures = [output["data"][PLOTLY] for output in outputs if PLOTLY in output.get("data", {})]
    assert figures
    for figure in figures:
        layout = figure["layout"]
        assert layout["title"]["text"]
        for axis in ("xaxis", "yaxis"):
            if axis in layout:
                assert layout[axis]["title"]["text"], (layout["title"], axis)
    assert not root.exists(), "with examples given, nothing is fetched or written"


@each_notebook
def test_a_notebook_is_kept_without_outputs(path: Path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [], cell.id
            assert cell.execution_count is None, cell.id
