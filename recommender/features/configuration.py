"""How ratings get from disk to the model."""

from typing import Literal

from pydantic import Field

from recommender.configuration import Configuration


class InputConfig(Configuration):
    """Whether training holds its ratings in memory or streams them from disk."""

    mode: Literal["auto", "memory", "stream"] = "auto"
    """`memory` holds all ratings as tensors; `stream` reads them from disk in every epoch, in memory that
    does not grow with their number; `auto` streams above `memory_ratings`."""
    memory_ratings: int = Field(default=10_000_000, ge=0)
    """Most ratings that `auto` holds in memory; one takes about 270 bytes, most of them for shuffling."""
    chunk_ratings: int = Field(default=131_072, ge=1)
    """Ratings that `stream` reads at once, rounded up to whole users. About a row group of Parquet is good:
    smaller chunks mix better, but each reads whole row groups."""
    shuffle_chunks: int = Field(default=16, ge=1)
    """Chunks from all over the file that `stream` mixes before it cuts batches from them: the shuffle buffer
    holds `shuffle_chunks` x `chunk_ratings` ratings."""

    def streams(self, n_ratings: int) -> bool:
        """Whether so many ratings are streamed."""
        return self.mode == "stream" or (self.mode == "auto" and n_ratings > self.memory_ratings)
