"""The reference of what `from recommender import ...` gives, by mkdocstrings."""

import recommender

_ABOUT = """# Python

What `from recommender import ...` gives. [Python API](../python-api.md) shows how it is used.
"""


def python_api_page() -> str:
    """A directive for every public name, as Markdown."""
    public = getattr(recommender, "__all__", ())
    return "\n".join([_ABOUT, *(f"::: recommender.{name}\n" for name in public)])
