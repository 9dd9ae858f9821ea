"""Every notebook runs from top to bottom, and stays in the repository without what it printed."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
PLOTLY = "application/vnd.plotly.v1+json"

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_a_notebook_runs_and_draws_titled_figures(
    path: Path, examples_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    shutil.copy(path, folder)
    root = tmp_path / "var"
    monkeypatch.setenv("MARQUEE_EXAMPLES", str(examples_folder))
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
