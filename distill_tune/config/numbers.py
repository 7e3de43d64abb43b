"""Kinds of numbers that several sections allow."""

from typing import Annotated

from pydantic import Field

Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""What every generator of random numbers in use can be seeded with."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
