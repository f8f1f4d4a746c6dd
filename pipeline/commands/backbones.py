"""Names of networks that the help repeats."""

# As pipeline.config.classify and pipeline.config.detect have them, whose import would take longer than the help may;
# a test compares them.
BACKBONES = ("r2plus1d_18", "r3d_18", "slowfast_4x16_r50", "slowfast_8x8_r101", "slowfast_8x8_r50")
ACTOR_BACKBONES = (
    "i3d",
    "r101_i3d_nl",
    "slowfast_nl_8x8_r50",
    "slowfast_nl_8x8_r101",
    "slowfast_nl_16x8_r50",
    "slowfast_nl_16x8_r101",
)
FEATURES = ("i3d", "r101_i3d_nl", "slowfast_nl")
