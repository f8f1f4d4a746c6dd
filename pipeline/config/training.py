"""What the settings of all trainings have in common."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from pipeline.config.base import Count, Device, Precision, Settings, Threads

Epochs = Annotated[int, Field(ge=1, le=10_000)]


class CommonTrainingSettings(Settings):
    """How long a network is trained, and on what it is computed."""

    epochs: Epochs = Field(description="Each shows every sample once.")
    precision: Precision
    deterministic: bool = Field(
        description="Take only algorithms that give the same bytes each time. Without it, a training on a GPU that is "
        "repeated or resumed may differ in the last bits. It takes more time, and a training with an operation that "
        "has no such algorithm ends with an error. On a CPU trainings give the same bytes without it."
    )
    device: Device
    threads: Threads

    @property
    def recomputes(self) -> bool:
        """Whether activations are computed again for the backward pass; a small network need not."""
        return False


class TrainingTask(Settings):
    """What a training reads."""

    training: CommonTrainingSettings

    @property
    def threads(self) -> int:
        return self.training.threads


class SgdSettings(CommonTrainingSettings):
    """A training by stochastic gradient descent."""

    momentum: float = Field(
        ge=0, lt=1, description="SGD's momentum; 0.9 is usual. The thesis: 0.9 (Secs. 4.2.2 and 6.2.2)."
    )
    weight_decay: NonNegativeFloat = Field(
        description="Weight decay of SGD, on all parameters. Raise it when a network overfits. The thesis: 0.0001 "
        "(Secs. 4.2.2 and 6.2.2)."
    )
    recompute_activations: bool = Field(
        description="Keep only the inputs of a network's blocks, and compute them twice: less than half of the memory "
        "for a third more time, and the same result. It has no effect on `detector` and on networks that see features."
    )

    @property
    def recomputes(self) -> bool:
        return self.recompute_activations


class WarmupSettings(Settings):
    """A learning rate that first rises."""

    learning_rate: PositiveFloat = Field(description="Of SGD, at the end of the warm-up.")
    warmup_epochs: NonNegativeFloat = Field(
        description="Epochs in which the learning rate rises linearly. Raise it when the loss is not finite at the "
        "start. The thesis: 10 for R(2+1)D and R3D, 5 for SlowFast (Sec. 5.3.1), 1 for RMS-Net (Sec. 4.2.2)."
    )


class ScheduleSettings(WarmupSettings):
    """A learning rate over time, whose course can be chosen."""

    schedule: Literal["step", "cosine"] = Field(
        description="After the warm-up: divided by 10 every `step_epochs`, or half a cosine down to 0. The thesis: "
        "step for R(2+1)D and R3D, cosine for SlowFast (Sec. 5.3.1)."
    )
    step_epochs: PositiveFloat = Field(description="step: epochs between two divisions. The thesis: 10 (Sec. 5.3.1).")


class CosineSettings(WarmupSettings):
    """A learning rate that falls along half a cosine."""

    learning_rate: PositiveFloat = Field(description="Of SGD, at the end of the warm-up; half a cosine down to 0.")

    @property
    def schedule(self) -> Literal["cosine"]:
        return "cosine"

    @property
    def step_epochs(self) -> float:
        return 1.0


class BatchSettings(Settings):
    """How many samples are computed at once, and how many before a step."""

    batch: Count = Field(
        description="Samples in an optimiser step, over all processes; change the learning rate with it in proportion."
    )
    micro_batch: Count = Field(
        description="Samples that a process computes at once; gradients are summed up to `batch`. Lower it when memory "
        "is short."
    )

    @model_validator(mode="after")
    def _batches(self) -> "BatchSettings":
        if self.batch % self.micro_batch:
            raise ValueError(f"`batch` {self.batch} is not a multiple of `micro_batch` {self.micro_batch}")
        return self
