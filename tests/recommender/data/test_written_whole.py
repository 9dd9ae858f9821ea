import pytest

from recommender.data.written_whole import written_whole


def test_a_new_folder_appears_with_all_of_its_files(tmp_path):
    with written_whole(tmp_path / "below" / "out") as folder:
        (folder / "a.txt").write_text("a")
        (folder / "b.txt").write_text("b")
        assert not (tmp_path / "below" / "out").exists()

    assert sorted(path.name for path in (tmp_path / "below" / "out").iterdir()) == ["a.txt", "b.txt"]
    assert [path.name for path in (tmp_path / "below").iterdir()] == ["out"]


def test_a_failure_leaves_the_folder_as_it_was(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("before")

    with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "out") as folder:  # noqa: PT012
        (folder / "a.txt").write_text("half")
        raise KeyboardInterrupt

    assert (tmp_path / "out" / "a.txt").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_other_files_of_a_folder_stay(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")

    with written_whole(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("a")

    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "out" / "a.txt").read_text() == "a"
