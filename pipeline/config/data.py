"""Settings of the dataset and its frames."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.config.base import Fraction, JpegQuality, Pixels, Settings, Shards


class DataSettings(Settings):
    """Which videos, and how they are cut into shards."""

    adapter: Literal["demo", "folder", "ucf101", "hmdb51", "kinetics400"] = Field(
        description="How to read the dataset: `demo` (footage from pinned packages), `folder` (one folder per class), "
        "`ucf101` and `hmdb51` (the official split files), `kinetics400` (the official CSV)."
    )
    root: str = Field(
        min_length=1,
        description="Folder that holds the videos, absolute or relative to where snakemake runs. Moving the folder "
        "elsewhere reruns nothing.",
    )
    annotations: str | None = Field(
        description="ucf101: folder with classInd.txt and trainlist01.txt …; hmdb51: folder with "
        "`<class>_test_split1.txt` …; kinetics400: the CSV file. Otherwise null."
    )
    shards: Shards = Field(
        description="Number of shards into which videos are divided by a hash of their id; each is one job of a task. "
        "A shard of a few hundred videos is a good size (Kinetics-400: 1024). Choose it once: a change reruns nearly "
        "everything."
    )
    max_bad_fraction: Fraction = Field(
        description="A task fails when more than this fraction of a shard's videos (and more than one) is bad; fewer "
        "are left out and listed. Raise it for collections known to be damaged, 0 tolerates one per shard."
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
        description="Frames per second at which videos are looked at. null keeps every frame, as the thesis's clips of "
        "consecutive frames do (Sec. 5.3.1). A video slower than this keeps all of its frames. Lower it to save disk "
        "space and time in proportion; a clip then lasts longer."
    )


class FrameSettings(Settings):
    """How frames are stored."""

    size: Pixels | tuple[Pixels, Pixels] | None = Field(
        description="Pixels: a number is the shorter side (aspect ratio kept), [height, width] is exact, null is the "
        "video's own size. Choose the smallest that the networks need: disk space grows with its square. The thesis: "
        "[128, 171] for R(2+1)D and R3D, a shorter side of 256 to 320 for SlowFast (Sec. 5.3.1), 224 x 398 for Table "
        "4.6 (Sec. 4.2.5), 300 x 533 for the SoccerNet challenge (Sec. 4.3)."
    )
    jpeg_quality: JpegQuality = Field(
        description="libjpeg quality of the stored frames, 4:2:0. 90 is close to indistinguishable; 75 halves the disk "
        "space."
    )
