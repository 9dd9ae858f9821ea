"""Explanations worded by a language model, as often as it may be asked."""

import logging
from collections.abc import AsyncIterator
from typing import Final, Literal

from recommender.explanations.context import Context
from recommender.explanations.guard import WordingError
from recommender.explanations.language_model import LanguageModel, LanguageModelSettings, is_installed
from serving.access.rate_limits import RateLimits

_LOG = logging.getLogger("marquee.serving")
_BUDGET = "language model"

Fallback = Literal["budget", "invented", "nonsense", "timeout", "rate_limited", "unreachable"]
"""Why a language model's words were not used."""
SETTLED: Final = ("invented", "nonsense")
"""What asking again would not change."""


class NoWordsError(Exception):
    """There are no words of a language model to use.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: Fallback) -> None:
        super().__init__(reason)
        self.reason: Final = reason


class ModelWording:
    """Asks a language model within its budget.

    Args:
        settings: where it is, and how often it may be asked.
        limits: counts how often.

    Attributes:
        name: the model's name.
    """

    def __init__(self, settings: LanguageModelSettings, limits: RateLimits) -> None:
        self.name: Final = settings.model
        self._model = LanguageModel(settings)
        self._limits = limits
        self._per_minute = settings.per_minute

    @classmethod
    def where_there_is_one(cls, limits: RateLimits) -> "ModelWording | None":
        """By the `LLM_*` variables; None without them, or without the client.

        Raises:
            ConfigurationError: a variable holds what it cannot.
        """
        settings = LanguageModelSettings.from_environment()
        if settings is None:
            return None
        if not is_installed():
            _LOG.warning(
                "LLM_BASE_URL is set, and the client is not installed: explanations are worded without a "
                "language model. Run `pip install 'marquee[llm]'`."
            )
            return None
        return cls(settings, limits)

    async def sentences(self, context: Context) -> AsyncIterator[str]:
        """An explanation sentence by sentence, each checked.

        Raises:
            NoWordsError: there is none, or what was said before must be thrown away.
        """
        if not (await self._limits.take(_BUDGET, self._per_minute)).allowed:
            raise NoWordsError("budget")
        try:
            async for sentence in self._model.sentences(context):
                yield sentence
        except WordingError as error:
            _LOG.info("The language model's words are not used: %s.", error.reason)
            raise NoWordsError(error.reason) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._model.close()
