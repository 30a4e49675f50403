"""Whether anything is to be differentiated."""

import torch
from torch.autograd import forward_ad


def derivatives_wanted() -> bool:
    """Whether results must carry derivatives, backward or forward.

    `torch.no_grad` switches off backward mode alone: `torch.func.jvp` and `jacfwd` differentiate within it.

    Example:
        >>> with torch.no_grad():
        ...     derivatives_wanted()
        False
    """
    return torch.is_grad_enabled() or forward_ad._current_level >= 0
