"""A movie as the service describes it."""

from pydantic import BaseModel, ConfigDict, Field


class MovieSummary(BaseModel):
    """What is shown of a movie."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    movie_id: int = Field(examples=[1214])
    """The movie's id in the ratings."""
    title: str = Field(examples=["Alien (1979)"])
    """Its title, as in the source."""
    release_year: int | None = Field(examples=[1979])
    """The year it came out, if known."""
    genres: list[str] = Field(examples=[["Horror", "Sci-Fi"]])
    """Its genres; may be empty."""
