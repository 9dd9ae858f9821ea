"""What is recalled for every user in advance."""

from pydantic import Field

from recommender.configuration import Configuration


class BulkInferrerConfig(Configuration):
    """What is computed for every user."""

    recommendations: int = Field(default=20, ge=1)
    """Recommendations for each user in `recommendations.parquet`."""
