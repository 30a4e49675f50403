"""Full precision within automatic mixed precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch

Method = TypeVar("Method", bound=Callable[..., Any])


def in_full_precision(method: Method) -> Method:
    """Switch `torch.autocast` off within a method whose first argument is a tensor.

    Networks may round their products. A map may not: its value and its log-determinant would belong to different maps.
    """

    @wraps(method)
    def switched_off(self: Any, value: torch.Tensor, *arguments: Any, **named: Any) -> Any:
        device = value.device.type
        if not torch.is_autocast_enabled(device):
            return method(self, value, *arguments, **named)
        with torch.autocast(device, enabled=False):
            return method(self, value, *arguments, **named)

    return cast(Method, switched_off)
