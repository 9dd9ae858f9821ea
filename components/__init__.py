"""Pipeline steps: declared inputs, declared outputs, no logic of their own.

Each step is one function that Kubeflow Pipelines runs in a process of its own, so it imports what it needs in
its body; the name and the meaning of the steps are those of TensorFlow Extended (TFX).
"""
