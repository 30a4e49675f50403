"""A date that is not in the calendar is named itself, and not a date beside it that is right."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import pushforward as pf
from pushforward.tables.date_format import not_in_calendar


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


@pytest.mark.parametrize("bad", ["31.02.2020", "99.99.9999", "30.02.2021"])
@pytest.mark.parametrize("place", [0, 57, 199])
def test_in_other_styles_too(bad, place, tmp_path):
    generator = np.random.default_rng(0)
    dates = [f"{day:02}.{month:02}.2020" for day, month in generator.integers([1, 1], [29, 13], (200, 2))]
    dates[place] = bad
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["e,x", *(f"{date},{k % 7}.{k}" for k, date in enumerate(dates))]) + "\n")
    said = f'column "e" of .*t.csv holds the text "{bad}" in row {place + 1}, which is not a date of the calendar; '
    with pytest.raises(pf.InputError, match=said):
        pf.fit_table(path, max_steps=1, progress=False)


def test_codes_like_dates_are_no_dates():
    parts = np.random.default_rng(0).integers([1, 1, 1000], [99, 99, 9999], (200, 3))
    codes = [f"{a:02}.{b:02}.{c}" for a, b, c in parts]
    assert len(not_in_calendar(pa.array(codes), 3)) == 0


@pytest.mark.parametrize(("good", "bad"), [("2020-03-{}", "2020-02-30"), ("{}.03.2020", "30.02.2020")])
def test_of_a_frame_the_remedy_is_an_argument(good, bad):
    days = [f"{day:02}" for day in np.random.default_rng(0).integers(1, 29, 200)]
    frame = pd.DataFrame({"e": [good.format(day) for day in days], "x": np.arange(200) % 7})
    frame.loc[5, "e"] = bad
    with pytest.raises(pf.InputError, match=r"in row 6, which is not a date of the calendar; .* name it with missing="):
        pf.fit_table(frame, max_steps=1, progress=False)
