"""Copies that keep holes."""

from pathlib import Path

import pytest

from recommender.sparse_copy import copy_sparse


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, 3 << 16])
@pytest.mark.parametrize("ends_with", [b"\0", b"x"])
def test_a_copy_has_the_same_bytes(tmp_path: Path, size: int, ends_with: bytes) -> None:
    content = (b"x" * 10 + b"\0" * size + ends_with)[-size:] if size else b""
    (tmp_path / "a").write_bytes(content)
    copy_sparse(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content


def test_zeros_take_no_room(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0" * (1 << 24) + b"end")
    copy_sparse(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
    assert (tmp_path / "b").stat().st_blocks * 512 < 1 << 20
