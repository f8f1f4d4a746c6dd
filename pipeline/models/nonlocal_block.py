"""The non-local block (Wang et al., CVPR 2018), with parameters named as in PySlowFast."""

from torch import Tensor, nn
from torch.nn import functional as F


class NonLocal(nn.Module):
    """Adds to every position what it attends to in the whole clip.

    Args:
        channels: Of the input; half as many inside.
        norm: After the last convolution, on ``channels``; it has a ``weight``.
        pool: Kernel and stride, over time, height and width, of the maximum that thins out what is attended to.
        softmax: Whether attention is the softmax of scaled products (embedded Gaussian), or the products divided by
            the number of positions (dot product).
    """

    def __init__(self, channels: int, norm: nn.Module, pool: tuple[int, int, int], softmax: bool):
        super().__init__()
        inner = max(1, channels // 2)
        self.conv_theta = nn.Conv3d(channels, inner, 1)
        self.conv_phi = nn.Conv3d(channels, inner, 1)
        self.conv_g = nn.Conv3d(channels, inner, 1)
        self.conv_out = nn.Conv3d(inner, channels, 1)
        self.bn = norm
        self._pool, self._softmax = pool, softmax
        for convolution in (self.conv_theta, self.conv_phi, self.conv_g, self.conv_out):
            nn.init.normal_(convolution.weight, 0, 0.01)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The input (n, channels, t, h, w) and what was attended to, together."""
        # A map smaller than the kernel is one position; the published networks never see one.
        pool = [min(kernel, size) for kernel, size in zip(self._pool, x.shape[2:], strict=True)]
        thinned = F.max_pool3d(x, pool, pool)
        theta = self.conv_theta(x).flatten(2)
        phi, g = self.conv_phi(thinned).flatten(2), self.conv_g(thinned).flatten(2)
        products = theta.transpose(1, 2) @ phi  # (n, positions, positions attended to)
        weights = (products * theta.shape[1] ** -0.5).softmax(2) if self._softmax else products / phi.shape[2]
        y = (g @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.bn(self.conv_out(y))
