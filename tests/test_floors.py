"""Who may import whom, and what nobody may import."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("components", "recommender", "pipelines", "serving")


def test_floors_import_downwards_only():
    # In a process of its own, because it disables all loggers that there are.
    script = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_keras_2_is_chosen_before_tensorflow_is_imported():
    script = "import os, recommender; print(os.environ['TF_USE_LEGACY_KERAS'])"
    environment = {"PATH": "", "SYSTEMROOT": ""}
    printed = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert printed.stdout.strip() == "1"


def test_nothing_imports_keras_past_tensorflow():
    direct = re.compile(r"^\s*(import|from) (keras|tf_keras)\b", re.MULTILINE)
    files = [file for floor in FLOORS for file in (ROOT / floor).rglob("*.py")]
    assert files
    assert not [str(file) for file in files if direct.search(file.read_text(encoding="utf-8"))]


def test_the_command_line_the_pipeline_and_the_service_start_without_tensorflow():
    script = (
        "import sys, pipelines.cli, pipelines.config, pipelines.movielens, serving.app\n"
        "slow = {'tensorflow', 'mlflow', 'keras_tuner', 'tensorflow_recommenders'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
