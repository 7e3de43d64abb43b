"""One seed from several numbers and names, so that streams of random numbers have nothing in common."""

import hashlib


def seed_of(*parts: int | str) -> int:
    """A number in [0, 2^63), another one for any other `parts`; the same in every process and on every machine."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
