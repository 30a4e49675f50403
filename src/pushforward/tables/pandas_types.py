"""Types of pandas that pyarrow lacks: intervals as text, periods as their first moments, sparse columns as dense."""

from typing import Any


def plain_series(series: Any) -> Any:
    """Return a series of pandas in a type that pyarrow has; series of other libraries as they are.

    Arguments:
        series: of any library.
    """
    kind: Any = getattr(series, "dtype", None)
    name = type(kind).__name__
    if name == "CategoricalDtype" and type(kind.categories.dtype).__name__ == "IntervalDtype":
        return series.cat.rename_categories(str)
    if name == "IntervalDtype":
        return series.astype("string")
    if name == "PeriodDtype":
        return series.dt.to_timestamp()
    if name == "SparseDtype":
        return series.sparse.to_dense()
    if str(kind) in ("float96", "float128"):
        return series.astype("float64")
    if getattr(kind, "byteorder", "=") == ">":
        return series.astype(kind.newbyteorder("="))
    return series
