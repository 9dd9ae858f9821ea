"""Serve a release as the `MARQUEE_*` environment variables say: `python -m serving`."""

import sys

from recommender.errors import MarqueeError
from serving.app import serve
from serving.settings import Settings


def main() -> None:
    """Serve until interrupted; a mistake that a person can mend ends in one message, not in a traceback."""
    try:
        serve(Settings.from_environment())
    except MarqueeError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
