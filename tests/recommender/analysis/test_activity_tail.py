import numpy as np
import pandas as pd
import pytest

from recommender.analysis.activity_tail import fit_power_law, tail, tail_chart


def test_the_tail_counts_who_has_so_many_or_more(tables):
    # One user with three ratings, one with two, two with one.
    who = [1, 1, 1, 2, 2, 3, 4]
    points = tail(tables([(user, movie, 3.0, 0) for movie, user in enumerate(who)]).ratings, "user_id")
    assert points["n"].tolist() == [1, 2, 3]
    assert points["count"].tolist() == [2, 1, 1]
    assert points["share"].tolist() == [4 / 4, 2 / 4, 1 / 4]


def test_a_power_law_is_found_again():
    n = np.array([1, 2, 4, 8, 16])
    law = fit_power_law(pd.DataFrame({"n": n, "share": 0.5 * n**-1.5}))
    assert law.slope == pytest.approx(-1.5)
    assert law.intercept == pytest.approx(np.log10(0.5))
    assert law.r_squared == pytest.approx(1)


def test_the_chart_has_points_and_the_lines_for_which_there_are_points():
    n = np.arange(1, 40)
    chart = tail_chart(pd.DataFrame({"n": n, "share": 1 / n}), "Movies")
    assert [trace.name.split(":")[0] for trace in chart.figure.data] == [
        "movies",
        "all",
        "the tenth with most",
    ]
    few = tail_chart(pd.DataFrame({"n": [1, 2], "share": [1, 0.5]}), "Movies")
    assert len(few.figure.data) == 2
    assert chart.titled().layout.title.text == "Movies with at least n ratings"
