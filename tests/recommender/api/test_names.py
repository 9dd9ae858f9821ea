"""The names that `recommender` itself has."""

import subprocess
import sys

import pytest

import recommender

SLOW = ("tensorflow", "pandas", "ibis", "pyarrow")


def test_importing_the_library_imports_nothing_that_takes_long():
    loaded = f"import sys, recommender; sys.exit(any(name in sys.modules for name in {SLOW}))"
    subprocess.run([sys.executable, "-c", loaded], check=True)


def test_the_names_that_need_no_training_import_no_tensorflow():
    names = ", ".join(recommender.__all__)
    code = f"import sys; from recommender import {names}; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_is_there_and_listed():
    assert set(recommender.__all__) <= set(dir(recommender))
    for name in recommender.__all__:
        assert getattr(recommender, name).__name__ == name


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        _ = recommender.trane
