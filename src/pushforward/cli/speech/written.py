"""What is said of a sound that was written."""

from collections.abc import Callable

from pushforward.cli.output import print_json, say


def doubting(quiet: bool) -> Callable[[str], None]:
    """Return what says doubts about the frames that a sound follows."""
    return lambda sentence: say(f"Warning: {sentence}", quiet)


def say_written(output: str, samples: int, clipped: int, rate: int, json: bool, quiet: bool) -> None:
    """Say how long a sound is, and how many samples were clipped; with `json` as JSON as well.

    Arguments:
        output: name of the file.
        samples: that it has.
        clipped: samples that lay beyond full scale.
        rate: samples per second.
        json: whether to print JSON.
        quiet: whether to say nothing to people.
    """
    seconds = samples / rate
    if json:
        figures = {"samples": samples, "rate": rate, "seconds": seconds, "clipped": clipped}
        print_json({"output": output, **figures}, output)
    beyond = f"; {clipped} samples beyond full scale were clipped" if clipped else ""
    say(f"{seconds:.2f} s of sound in {output}{beyond}", quiet)
