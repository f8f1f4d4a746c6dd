"""Settings of the dataset and its frames."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.config.base import Settings


class DataSettings(Settings):
    """Which videos, and how they are cut into shards."""

    adapter: Literal["demo", "folder", "ucf101", "hmdb51", "kinetics400"] = Field(
        description="How to read the dataset: `demo` (footage from pinned packages), `folder` (one folder per class), "
        "`ucf101` and `hmdb51` (the official split files), `kinetics400` (the official CSV)."
    )
    root: str = Field(min_length=1, description="Folder that holds the videos.")
    annotations: str | None = Field(
        description="ucf101: folder with classInd.txt and trainlist01.txt …; hmdb51: folder with "
        "<class>_test_split1.txt …; kinetics400: the CSV file. Otherwise null."
    )
    shards: int = Field(
        ge=1,
        le=100_000,
        description="Number of shards; a shard of a few hundred videos is a good size. Choose it once.",
    )
    max_bad_fraction: float = Field(
        ge=0,
        le=1,
        description="A stage fails when more than this fraction of a shard's videos (and more than one) is bad.",
    )

    @model_validator(mode="after")
    def _annotations_where_needed(self) -> "DataSettings":
        needs = self.adapter in ("ucf101", "hmdb51", "kinetics400")
        if needs and self.annotations is None:
            raise ValueError(f"adapter {self.adapter!r} needs `annotations`")
        return self


class SamplingSettings(Settings):
    """When to look at a video. Frames and detections share it, so that one detection fits every frame size."""

    rate: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        description="Frames per second. null keeps every frame. A video slower than this keeps all of its frames."
    )


class FrameSettings(Settings):
    """How frames are stored."""

    size: (
        Annotated[int, Field(ge=16, le=8192)]
        | tuple[Annotated[int, Field(ge=16, le=8192)], Annotated[int, Field(ge=16, le=8192)]]
        | None
    ) = Field(
        description="Pixels: a number is the shorter side (aspect ratio kept), [height, width] is exact, null is the "
        "video's own size."
    )
    jpeg_quality: int = Field(ge=1, le=100, description="libjpeg quality, 4:2:0.")
