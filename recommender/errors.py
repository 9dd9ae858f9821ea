"""What can go wrong for a person, each with where it went wrong and what to do about it."""


class MarqueeError(Exception):
    """Something a person can mend: the message says what, where and how."""


class ConfigurationError(MarqueeError):
    """A configuration file or an override that cannot be used."""


class DataError(MarqueeError):
    """Ratings or movies that cannot be read or trusted: names file, line, field and value."""


class FetchError(MarqueeError):
    """An archive that could not be fetched, or is not the one that was asked for."""


class TrainingError(MarqueeError):
    """A training run that cannot go on."""


class ReleaseError(MarqueeError):
    """A release that is missing, incomplete or altered."""


class IndexUnavailableError(MarqueeError):
    """A vector index that cannot be opened or did not answer."""


class IndexQualityError(MarqueeError):
    """A vector index that does not find what an exact search finds."""


class RatingStoreError(MarqueeError):
    """A store of ratings that cannot be opened, is not one, or did not answer."""


class StoreFullError(RatingStoreError):
    """A rating that was not stored, because it could not be written to disk."""


class RatingConflictError(RatingStoreError):
    """An idempotency key that was used before, for another rating."""
