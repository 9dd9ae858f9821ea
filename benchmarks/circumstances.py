"""What every benchmark says of itself: on which machine, when, at which commit and by which command."""

import os
import platform
import time
from typing import Any

from pipelines.source_digest import git_commit


def circumstances(module: str, arguments: str) -> dict[str, Any]:
    """The keys `machine`, `date`, `commit` and `command` of a result."""
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": git_commit(),
        "command": f"python -m benchmarks.{module} {arguments}".rstrip(),
    }
