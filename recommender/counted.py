"""How many of something, in words."""


def counted(count: int, noun: str) -> str:
    """A number and what it counts, one or many.

    Args:
        count: how many.
        noun: of one, such as `rating`; many are called so with an s.

    Example:
        >>> counted(1, "rating"), counted(20_000, "rating")
        ('1 rating', '20,000 ratings')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
