"""The pattern of a row: which of its values are missing, and which others have a density and which a probability."""

import numpy as np

from pushforward.table_models.roles import ColumnRoles

MISSING, DENSITY, PROBABILITY, CONDITION = b"-", b"d", b"p", b"c"


def patterns_of(features: np.ndarray, roles: ColumnRoles) -> np.ndarray:
    """Return the patterns of rows, (n,), texts of one letter for each feature.

    Log-densities of rows with one pattern are all in the same unit; those of others cannot be compared with them.

    Arguments:
        features: codes of `roles.features`, (n, features), NaN where a value is missing.
        roles: of the columns.

    Example:
        >>> patterns_of(np.array([[0.5, np.nan], [1.5, 2.0]]), ColumnRoles(["mass", "radius"], [], {}, {}))
        array(['d-', 'dd'], dtype='<U2')
    """
    letters = np.full(features.shape, DENSITY, dtype="S1")
    for place, name in enumerate(roles.features):
        if name in roles.given:
            letters[:, place] = CONDITION
        elif roles.schema[name].has_probabilities:
            letters[roles.schema[name].has_probability(features[:, place]), place] = PROBABILITY
    letters[np.isnan(features)] = MISSING
    return np.ascontiguousarray(letters).view(f"S{features.shape[1]}")[:, 0].astype(str)


def patterns_vary(roles: ColumnRoles) -> bool:
    """Whether rows can have different patterns."""
    kinds = (roles.schema[name] for name in roles.modeled)
    return roles.allows_gaps or any(kind.has_probabilities and not kind.discrete for kind in kinds)
