"""The trials of a search as files."""

import csv
import json
import re

from recommender.training.tuning.report import parallel_coordinates, write_report
from recommender.training.tuning.trials import Trial, Trials


def trial(name: str, score: float | None, **values) -> Trial:
    return Trial(
        name=name,
        status="failed" if score is None else "completed",
        score=score,
        epochs=3,
        seconds=None if score is None else 1.5,
        continues=None,
        values=values,
    )


TRIALS = Trials(
    algorithm="random",
    names=("hidden", "dropout", "learning_rate"),
    trials=(
        trial("0", 0.1, hidden=(), learning_rate=0.001),
        trial("1", 0.3, hidden=(128,), dropout=0.2, learning_rate=0.01),
        trial("2", None, hidden=(128,), dropout=0.4, learning_rate=0.1),
    ),
    start=trial("start", 0.2, hidden=(), learning_rate=0.003),
)


def test_files_say_what_was_tried(tmp_path):
    write_report(TRIALS, tmp_path / "out")
    assert Trials.read(tmp_path / "out") == TRIALS
    assert [one.name for one in TRIALS.ranked()] == ["1", "0", "2"]
    with (tmp_path / "out/trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "trial": "0", "status": "completed", "val_ndcg@10": "0.1", "epochs": "3", "seconds": "1.5",
        "continues": "", "hidden": "[]", "dropout": "", "learning_rate": "0.001",
    }  # fmt: skip
    assert rows[3]["trial"] == "start"
    assert (rows[2]["status"], rows[2]["val_ndcg@10"], rows[2]["hidden"]) == ("failed", "", "[128]")


def test_the_page_opens_offline(tmp_path):
    write_report(TRIALS, tmp_path / "out")
    page = (tmp_path / "out/trials.html").read_text()
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert "0.3000" in page


def test_the_page_says_what_the_best_changes(tmp_path):
    write_report(TRIALS, tmp_path / "out")
    page = re.sub(r"<script.*?</script>", "", (tmp_path / "out/trials.html").read_text(), flags=re.DOTALL)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", page)]
    assert ["hidden", "[128]", "[]"] in rows
    assert ["dropout", "0.2", "not used"] in rows
    assert ["NDCG@10, validation", "0.3000", "0.2000"] in rows


def test_each_line_passes_where_its_values_are():
    axes = {axis.label: axis for axis in parallel_coordinates(TRIALS).data[0].dimensions}
    assert list(axes) == ["hidden", "dropout", "learning_rate", "epochs", "NDCG@10"]
    assert dict(zip(axes["dropout"].ticktext, axes["dropout"].tickvals, strict=True)) == {
        "not used": -1.0,
        "0.2": 0.0,
    }
    assert list(axes["dropout"].values) == [-1.0, 0.0]
    assert list(axes["NDCG@10"].values) == [0.1, 0.3]
    json.dumps([list(axis.values) for axis in axes.values()])
