"""The same pipeline as Kubeflow Pipelines YAML."""

import subprocess
import sys

import yaml

from pipelines.movielens import STEPS


def test_compile_writes_every_step_with_its_inputs_and_the_configuration(tmp_path):
    file = tmp_path / "compiled pipeline.yaml"
    command = ["compile", "--set", "trainer.epochs=3", "--root", str(tmp_path), "--output", str(file)]
    subprocess.run([sys.executable, "-m", "pipelines", *command], check=True)

    specification, _ = yaml.safe_load_all(file.read_text())
    assert specification["pipelineInfo"]["name"] == "ml-100k"
    tasks = specification["root"]["dag"]["tasks"]
    assert {task["taskInfo"]["name"] for task in tasks.values()} == {*STEPS, "Resolver"}
    # Bad data stops the run before anything is made of it.
    assert "example-validator" in tasks["transform"]["dependentTasks"]
    wiring = tasks["evaluator"]["inputs"]["artifacts"]
    assert wiring["model"]["taskOutputArtifact"] == {"outputArtifactKey": "model", "producerTask": "trainer"}
    assert not tasks["pusher"]["cachingOptions"]
    compared_with = tasks["evaluator"]["inputs"]["parameters"]["live"]
    assert compared_with["taskOutputParameter"]["producerTask"] == "resolver"
    parameters = specification["root"]["inputDefinitions"]["parameters"]
    assert '"epochs":3' in parameters["trainer_config"]["defaultValue"]
    assert parameters["seed"]["defaultValue"] == 42.0
