"""Options that several commands have."""

from pathlib import Path
from typing import Annotated, Final

import typer

Root = Annotated[Path, typer.Option(help="Where data, runs and releases live.", file_okay=False)]
Config = Annotated[Path, typer.Option(help="YAML file, or the name of one that comes with Marquee.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override a field, such as trainer.epochs=3. Repeatable.")
]

DEFAULT_ROOT: Final = Path("var")
DEFAULT_CONFIG: Final = Path("ml-100k.yaml")
