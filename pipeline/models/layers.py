"""Layers as numbers, from which networks are described, built and counted."""

from dataclasses import dataclass

Sides = tuple[int, int, int]  # frames, height, width


def scaled(channels: int, width: float) -> int:
    """A published number of channels times a factor, truncated, at least one."""
    return max(1, int(channels * width))


@dataclass(frozen=True)
class Convolution:
    """A 3D convolution without bias, padded by half its odd kernel; a batch norm follows it."""

    before: int
    after: int
    kernel: Sides
    stride: Sides = (1, 1, 1)

    @property
    def padding(self) -> Sides:
        frames, height, width = self.kernel
        return (frames // 2, height // 2, width // 2)


@dataclass(frozen=True)
class Linear:
    """A linear layer."""

    before: int
    after: int
    bias: bool = True

    @property
    def parameters(self) -> int:
        return (self.before + self.bias) * self.after
