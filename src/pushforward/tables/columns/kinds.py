"""All kinds of columns, and the one order in which they are tried on values that nobody declared."""

from pushforward.tables.columns.all_missing import AllMissing
from pushforward.tables.columns.base import KINDS, Column, Schema
from pushforward.tables.columns.bounded import Bounded
from pushforward.tables.columns.category import Category
from pushforward.tables.columns.constant import Constant
from pushforward.tables.columns.continuous import Continuous
from pushforward.tables.columns.date_category import DateCategory
from pushforward.tables.columns.date_time import DateTime
from pushforward.tables.columns.integer import Integer
from pushforward.tables.columns.mixed import Mixed
from pushforward.tables.columns.periodic import Periodic
from pushforward.tables.columns.positive import Positive

# The first kind whose `infer` returns a column is taken: those that ask for more evidence come first. After Category
# all values are numbers; Continuous takes any.
INFERENCE_ORDER: list[type[Column]] = [
    AllMissing, DateCategory, DateTime, Constant, Periodic, Integer, Category, Mixed, Positive, Bounded, Continuous,
]  # fmt: skip

__all__ = [
    "INFERENCE_ORDER",
    "KINDS",
    "AllMissing",
    "Bounded",
    "Category",
    "Column",
    "Constant",
    "Continuous",
    "DateCategory",
    "DateTime",
    "Integer",
    "Mixed",
    "Periodic",
    "Positive",
    "Schema",
]
