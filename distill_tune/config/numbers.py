"""Types of numbers that several sections use."""

from typing import Annotated

from pydantic import AfterValidator, Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
LARGEST = 2**53
"""Up to here every integer has a distinct floating-point number."""


def _is_not_beyond_all_counting(value: int) -> int:
    if value > LARGEST:
        raise ValueError("must be at most 2^53")
    return value


Positive = Annotated[int, Field(ge=1), AfterValidator(_is_not_beyond_all_counting)]
COLDEST, HOTTEST = 1e-6, 1e6
"""Between these the gradient of T^2 * KL of softened logits is more than rounding error in single precision: at the
hottest it is off by 3 to 7 %. The value itself is rounding error from 1e5 on, and may be reported below 0."""


def _is_held_in_single_precision(value: float) -> float:
    if not COLDEST <= value <= HOTTEST:
        raise ValueError("must be from 1e-6 to 1e6, beyond which single precision gives nothing or NaN")
    return value


Temperature = Annotated[float, Field(gt=0), AfterValidator(_is_held_in_single_precision)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed that every random number generator in use accepts."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _is_count_or_share(value: float) -> float:
    if value < 1 if isinstance(value, int) else not 0 < value < 1:
        raise ValueError("must be a count (an integer from 1 on) or a share (a number between 0 and 1)")
    return value


CountOrShare = Annotated[int | float, AfterValidator(_is_count_or_share)]
