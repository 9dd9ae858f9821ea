"""The draw behind random splits: one number for each rating, the same on every engine."""

import hashlib
from typing import Final

from ibis.expr import types as ir

_WORD: Final = 0xFFFF_FFFF
_BITS: Final = 32
# Below 2^31, so that a word times one of them stays within int64, where both engines refuse to overflow.
_MULTIPLIERS: Final = (742_938_285, 1_226_874_159, 62_089_911, 1_343_714_438)
_SHIFT: Final = 15


def ticket(user_id: ir.IntegerValue, movie_id: ir.IntegerValue, seed: int) -> ir.IntegerValue:
    """A pseudo-random int64 for a rating; no two movies have the same one with the same user.

    A Feistel network of four rounds (Luby and Rackoff, How to construct pseudorandom permutations from
    pseudorandom functions, 1988) over the two 32-bit words of the movie's id. It can be run backwards, so it
    permutes all int64 values, so no two ratings of a user tie. A round takes a word, in exclusive or with its
    key, times a multiplier, and of the product the 32 bits from bit 15 on; the multipliers are of those that
    Fishman and Moore (1986) found best for generators modulo 2^31 - 1. The keys are words of the SHA-256 of
    the seed, each in exclusive or with a word to which two more such rounds bring the user's id.

    Whole numbers and bits only, so every engine and every number of threads draws the same.

    Args:
        user_id: int64, any value.
        movie_id: int64, any value.
        seed: Another seed, another draw.
    """
    digest = hashlib.sha256(str(seed).encode()).digest()
    keys = [int.from_bytes(digest[4 * place : 4 * place + 4], "little") for place in range(6)]
    user = _round(_round(_high(user_id), keys[4], 0) ^ _low(user_id), keys[5], 1)
    left, right = _high(movie_id), _low(movie_id)
    for place in range(4):
        left, right = right, left ^ _round(right ^ user, keys[place], place)
    # As a signed number: the product reaches from -2^63 to 2^63 - 2^32.
    return (right - 2 ** (_BITS - 1)) * 2**_BITS + left


def _round(word: ir.IntegerValue, key: int, place: int) -> ir.IntegerValue:
    return ((word ^ key) * _MULTIPLIERS[place] >> _SHIFT) & _WORD


def _high(number: ir.IntegerValue) -> ir.IntegerValue:
    return (number >> _BITS) & _WORD


def _low(number: ir.IntegerValue) -> ir.IntegerValue:
    return number & _WORD
