"""`python -m pipelines` is the `marquee` command."""

from pipelines.cli import main

main()
