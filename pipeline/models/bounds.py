"""Bounds of the numbers in a network's description: more than any network needs, and too little to use up memory."""

from typing import Annotated

from pydantic import ConfigDict, Field

# For the classes of descriptions: unknown fields and other types than the stated ones are refused.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Frames = Annotated[int, Field(ge=1, le=100_000)]
Layers = Annotated[int, Field(ge=0, le=100)]
Width = Annotated[float, Field(gt=0, le=16)]
Rate = Annotated[float, Field(gt=0, le=1000)]
Seconds = Annotated[float, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]
