"""The parts of a model that nobody but their user knows, by name."""

from typing import Any


def own_parts(model: Any) -> str:
    """Name the classes of the parts of a model that are the user's own, for a message; nothing where there are none.

    Arguments:
        model: a module of torch.

    Example:
        >>> import torch
        >>> mine = type("Mine", (torch.nn.Linear,), {"__module__": "my_project"})
        >>> own_parts(torch.nn.Sequential(mine(2, 2))), own_parts(torch.nn.Linear(2, 2))
        (', with parts of your own (Mine),', '')
    """
    kinds = (type(part) for part in model.modules())
    names = dict.fromkeys(kind.__name__ for kind in kinds if kind.__module__.partition(".")[0] not in KNOWN)
    return f", with parts of your own ({', '.join(names)})," if names else ""


KNOWN = ("pushforward", "torch")
