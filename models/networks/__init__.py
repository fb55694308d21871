"""Networks: functions ``(p, x, prior, out) -> f`` in the array namespace only, for either language."""

from collections.abc import Callable

from .convolutional import alexnet, lenet5, vgg
from .dense import lenet_300_100, mlp, residual_mlp
from .layers import Network

__all__ = ["NETWORKS", "Network", "alexnet", "lenet5", "lenet_300_100", "mlp", "residual_mlp", "vgg"]

NETWORKS: dict[str, Callable[..., Network]] = {
    f.__name__: f for f in (mlp, residual_mlp, lenet_300_100, lenet5, alexnet, vgg)
}
