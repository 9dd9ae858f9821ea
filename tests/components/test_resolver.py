from pathlib import Path

import pytest

from components.resolver import resolver
from recommender.release import promote
from tests.recommender.small_releases import small_release


def test_what_is_live_is_found_unless_another_release_is_named(tmp_path: Path, library_log: None) -> None:
    resolve = resolver.python_func
    assert resolve(named="", releases=str(tmp_path)) == ""
    first, second = small_release(tmp_path, seed=1), small_release(tmp_path, seed=2)
    promote(tmp_path, second)
    assert resolve(named="", releases=str(tmp_path)) == str(tmp_path / second)
    assert resolve(named=str(tmp_path / first), releases=str(tmp_path)) == str(tmp_path / first)


def test_a_mark_of_the_live_release_that_is_broken_ends_the_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], library_log: None
) -> None:
    (tmp_path / "current").write_text("nonsense")
    with pytest.raises(SystemExit):
        resolver.python_func(named="", releases=str(tmp_path))
    assert "marquee releases promote" in capsys.readouterr().out
