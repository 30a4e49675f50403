"""The options that several architectures share, as types that check themselves."""

from typing import Annotated, Literal

from pydantic import Field

Features = Annotated[int, Field(ge=1, le=100_000)]
Context = Annotated[int, Field(ge=0, le=100_000)]
Layers = Annotated[int, Field(ge=1, le=1_000)]
Hidden = tuple[Annotated[int, Field(ge=1, le=100_000)], ...]
Activation = Literal["relu", "elu", "silu", "gelu", "tanh"]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Order = Literal["alternating", "same"] | tuple[int, ...]
Adjacency = tuple[tuple[bool, ...], ...] | None
Mixing = Literal["none", "lu", "householder", "actnorm"]
BaseName = Literal["normal", "logistic", "uniform", "student_t", "mixture"]
