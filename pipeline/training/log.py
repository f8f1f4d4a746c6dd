"""What TensorBoard shows of a training."""

from pathlib import Path

from pipeline.training.steering import SCORE


class Log:
    """TensorBoard: losses, learning rate, and how long a step waited for data."""

    def __init__(self, folder: Path, step: int):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=step)

    def step(self, step: int, figures: dict[str, float], rate: float, waited: float, spent: float) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(f"train/{name}", value, step)
        self._writer.add_scalar("train/learning_rate", rate, step)
        self._writer.add_scalar("seconds/data", waited, step)
        self._writer.add_scalar("seconds/compute", spent - waited, step)

    def validated(self, step: int, score: float) -> None:
        self._writer.add_scalar(SCORE, score, step)

    def close(self) -> None:
        self._writer.close()
