"""Names of networks, for the settings and for the help of commands, which must not wait for the settings' imports."""

from typing import Literal

BackboneName = Literal[
    "r2plus1d_18",
    "r3d_18",
    "slowfast_4x16_r50",
    "slowfast_8x8_r50",
    "slowfast_8x8_r101",
]
# Those of which torchvision publishes weights trained on Kinetics-400.
PublishedName = Literal["r2plus1d_18", "r3d_18"]
ActorBackboneName = Literal[
    "i3d",
    "r101_i3d_nl",
    "slowfast_nl_8x8_r50",
    "slowfast_nl_8x8_r101",
    "slowfast_nl_16x8_r50",
    "slowfast_nl_16x8_r101",
]
FeatureName = Literal["i3d", "r101_i3d_nl", "slowfast_nl"]
FrameBackboneName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2"]
