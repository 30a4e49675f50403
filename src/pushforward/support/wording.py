"""Numbers in sentences: things that are counted, and shares."""

import math


def counted(number: int, noun: str) -> str:
    """A number of things.

    Example:
        >>> counted(1, "row"), counted(4000, "row")
        ('1 row', '4,000 rows')
    """
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def option(name: str, in_python: str | None = None) -> str:
    """An option of commands that is an argument in Python as well, maybe of another name.

    Example:
        >>> option("log_prior"), option("chain", "walk")
        ('--log-prior (log_prior= in Python)', '--chain (walk= in Python)')
    """
    return f"--{name.replace('_', '-')} ({in_python or name}= in Python)"


def percent(share: float) -> str:
    """A share with two digits that count, of what is left to the whole where that is less.

    Example:
        >>> percent(0.25), percent(0.00004), percent(0.9996), percent(1)
        ('25%', '0.0040%', '99.960%', '100%')
    """
    least = min(share, 1 - share)
    digits = 1 - math.floor(math.log10(100 * least)) if least > 0 else 0
    return f"{share:.{max(digits, 0)}%}"


def shortest(number: float) -> str:
    """The fewest digits that are read back as the same number.

    Example:
        >>> shortest(99.9), shortest(-999.0), shortest(1e20)
        ('99.9', '-999', '1e+20')
    """
    return repr(float(number)).removesuffix(".0")


def nats(value: float, digits: int = 3) -> str:
    """A log-density, with so many digits after the point; a huge one in powers of ten.

    Example:
        >>> nats(-1.5), nats(0.25, 4), nats(-6.4554e67)
        ('-1.500', '0.2500', '-6.4554e+67')
    """
    return f"{value:.{digits}f}" if abs(value) < 1e9 else f"{value:.6g}"


def with_minus(number: str) -> str:
    """A number as text with a minus sign in place of each hyphen, for sentences.

    Example:
        >>> with_minus(f"{-0.25:+.2f}"), with_minus(f"{-3e-6:.2g}")
        ('−0.25', '−3e−06')
    """
    return number.replace("-", "\N{MINUS SIGN}")


def p_value_is(p_value: float) -> str:
    """A p-value for sentences; one that is too small for any number is below the least.

    Example:
        >>> p_value_is(0.0312), p_value_is(2.1e-7), p_value_is(0.0)
        ('p-value 0.031', 'p-value 2.1e-07', 'p-value < 1e-300')
    """
    return "p-value < 1e-300" if p_value < 1e-300 else f"p-value {p_value:.2g}"
