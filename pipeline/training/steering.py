"""How a training is steered: its optimiser, its learning rate, its validation, and when it ends."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from torch import nn
from torch.optim import SGD, Adam, Optimizer

from pipeline.config.training import CosineSettings, ScheduleSettings, SgdSettings
from pipeline.training.schedule import is_enough, learning_rate, plateau_rate

History = Sequence[dict[str, float]]
Schedule = ScheduleSettings | CosineSettings
SCORE = "validation"  # the figure of an epoch that steers


class Steering(Protocol):
    """What `pipeline.training.loop.fit` asks; its only state may be the history.

    ``copies``: how many times the weights' size a training writes: the model, and at most two checkpoints.
    """

    copies: int

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> Optimizer: ...

    def rate(self, epoch: float, history: History) -> float:
        """The learning rate of a step that ends at this time, in epochs."""

    def validate(self, model: nn.Module) -> float | None:
        """A score of the network after an epoch, higher is better; None: there is none, and the last weights count."""

    def enough(self, history: History) -> bool:
        """Whether the training ends before its last epoch."""


class SgdSchedule:
    """SGD with momentum, a warm-up and a schedule (Secs. 5.3.1 and 6.2.2)."""

    copies = 5

    def __init__(self, recipe: Schedule, training: SgdSettings):
        self._recipe, self._training = recipe, training

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        training = self._training
        return SGD(parameters, lr=0.0, momentum=training.momentum, weight_decay=training.weight_decay)

    def rate(self, epoch: float, history: History) -> float:
        return learning_rate(
            epoch,
            base=self._recipe.learning_rate,
            epochs=self._training.epochs,
            warmup=self._recipe.warmup_epochs,
            schedule=self._recipe.schedule,
            step_epochs=self._recipe.step_epochs,
        )

    def validate(self, model: nn.Module) -> float | None:
        return None

    def enough(self, history: History) -> bool:
        return False


class SgdValidated(SgdSchedule):
    """`SgdSchedule`, but the training ends after ``patience`` epochs without a better score (Sec. 4.2.2)."""

    copies = 7

    def __init__(self, recipe: Schedule, training: SgdSettings, patience: int, validate: Callable[[nn.Module], float]):
        super().__init__(recipe, training)
        self._patience, self._validate = patience, validate

    def validate(self, model: nn.Module) -> float | None:
        return self._validate(model)

    def enough(self, history: History) -> bool:
        scores = [epoch[SCORE] for epoch in history]
        return bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= self._patience


class AdamPlateau:
    """Adam; the rate drops and the training ends when the score of ``validate`` no longer improves (Sec. 3.2.2).

    Args:
        base: Learning rate at the start.
        drop_patience: Epochs without a better score after which the rate is divided by 10.
        stop_patience: Epochs without a better score, counted from the first drop on, after which the training ends.
        validate: Gives the score of a network.
    """

    copies = 9

    def __init__(self, base: float, drop_patience: int, stop_patience: int, validate: Callable[[nn.Module], float]):
        self._base, self._drop, self._stop, self.validate = base, drop_patience, stop_patience, validate

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        return Adam(parameters, lr=0.0, fused=True)

    def rate(self, epoch: float, history: History) -> float:
        return plateau_rate([e[SCORE] for e in history], base=self._base, patience=self._drop)

    def enough(self, history: History) -> bool:
        scores = [epoch[SCORE] for epoch in history]
        return is_enough(scores, drop_patience=self._drop, stop_patience=self._stop)
