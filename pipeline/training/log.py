"""What TensorBoard shows of a training: losses, learning rate, and how long a step waited for data."""

from pathlib import Path

from pipeline.training.steering import SCORE


class Log:
    """Events in ``folder``; earlier ones after ``step`` are discarded."""

    def __init__(self, folder: Path, step: int):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=step)

    def step(self, step: int, figures: dict[str, float], rate: float, waited: float, spent: float) -> None:
        """Log a step: the figures of its losses, its learning rate, seconds of waiting for data and in total."""
        for name, value in figures.items():
            self._writer.add_scalar(f"train/{name}", value, step)
        self._writer.add_scalar("train/learning_rate", rate, step)
        self._writer.add_scalar("seconds/data", waited, step)
        self._writer.add_scalar("seconds/compute", spent - waited, step)

    def validated(self, step: int, score: float) -> None:
        """Log the score after an epoch."""
        self._writer.add_scalar(SCORE, score, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
