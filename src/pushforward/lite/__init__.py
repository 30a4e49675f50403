"""Model files without PyTorch: numpy alone reads a `.safetensors` file and evaluates its density.

    from pushforward import lite

    model = lite.load("flow.safetensors")
    model.log_prob(rows)
    model.sample(1000, seed=0)
    jax.jit(lambda rows: model.log_prob(rows, xp=jax.numpy))(rows)

How it is written: `reading` turns a file into plain dictionaries, a map of a `kind` with its numbers as arrays of
numpy. `maps`, `families` and `bases` hold one function for each kind. A function of a map serves both directions; those
with networks go all at once where everything is known, and otherwise unit by unit (`networks.sequence`). Every function
is given `n`, the arrays of a namespace in one precision (`arrays.Arrays`), and is written in what numpy, jax.numpy and
the array API standard share: nothing is assigned in place, and no branch depends on a value. Rows are always (n, D) in
there. `density.Density` holds the methods that people call.
"""

from pushforward.lite.density import Density as Density
from pushforward.lite.files import load as load

__all__ = ["Density", "load"]
