"""Where training runs are reported to."""

import os
from pathlib import Path


def tracking_server() -> str | None:
    """The address of MLflow's server, where `MLFLOW_TRACKING_URI` names one."""
    return os.environ.get("MLFLOW_TRACKING_URI")


def tracking_database(root: Path) -> Path:
    """The file that stands for a server where there is none."""
    return root / "mlflow.db"
