"""A date that is not in the calendar is named itself, and not a date beside it that is right."""

import numpy as np
import pytest

import pushforward as pf


@pytest.mark.parametrize("bad", ["2020-02-30", "0000-00-00", "2021-02-29"])
@pytest.mark.parametrize("time", ["", "T10:00:00Z", " 10:30:00"])
@pytest.mark.parametrize("place", [0, 57, 199])
def test_it_is_named_with_its_row(bad, time, place, tmp_path):
    days = np.random.default_rng(0).integers(1, 29, 200)
    dates = [f"2020-03-{day:02}{time}" for day in days]
    dates[place] = bad + time
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["e,x", *(f"{date},{k % 7}.{k}" for k, date in enumerate(dates))]) + "\n")
    said = (
        f'column "e" of .*t.csv holds the text "{bad}{time}" in row {place + 1}, which is not a date of the calendar; '
    )
    with pytest.raises(pf.InputError, match=said):
        pf.fit_table(path, max_steps=1, progress=False)
