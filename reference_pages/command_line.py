"""The reference of the `marquee` command, by Typer's own description of it."""

import subprocess
import sys


def command_line_page() -> str:
    """Every command and option, as Markdown."""
    command = [sys.executable, "-m", "typer", "pipelines.cli", "utils", "docs", "--name", "marquee"]
    command += ["--title", "The marquee command"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  our own
