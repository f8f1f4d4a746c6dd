"""Settings of action detection (Ch. 3)."""

from typing import Literal

FeatureName = Literal["i3d", "r101_i3d_nl", "slowfast_nl"]
