"""Each protocol of the reports, and the split that its name stands for."""

import pytest

from recommender.data.protocols import PROTOCOLS, protocol_name
from recommender.data.splits import SplitConfig
from recommender.features.transform import TransformConfig, transform


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.option)
def test_a_split_has_the_name_of_its_protocol_also_after_a_round_trip(protocol):
    again = SplitConfig.from_mapping(protocol.split.model_dump(mode="json"))

    assert protocol_name(again) == protocol.name


@pytest.mark.parametrize(
    ("split", "name"),
    [
        (SplitConfig(strategy="leave_last_out"), "P-leave-last-out"),
        (SplitConfig(strategy="time_global", test_size=0.1), "P-time-global"),
        (SplitConfig(k_core=5), "P-random"),
        (SplitConfig(within="movie", test_size=0.5), "P-random-within-movie"),
    ],
)
def test_another_split_has_the_name_of_its_strategy(split, name):
    assert protocol_name(split) == name


def test_recboles_parts_are_8_1_and_1_in_10(write_examples, tmp_path):
    # 30 users rate the same 30 movies; the last movie gets 2 stars of everybody.
    rows = [(user, movie, 2.0 if movie == 29 else 4.0, movie) for user in range(30) for movie in range(30)]
    movies = [(movie, ["Drama"], 1990) for movie in range(30)]
    examples = write_examples(tmp_path / "examples", rows, movies)
    (recbole,) = (protocol for protocol in PROTOCOLS if protocol.option == "p-recbole")

    manifest = transform(examples, TransformConfig(split=recbole.split), 0, tmp_path / "transformed")

    # 29 ratings a user: 2.9, so 3, for the test; a ninth of 26 is 2.9, so 3, for validation.
    sizes = {name: part.n_ratings for name, part in manifest.parts.items()}
    assert sizes == {"train": 30 * 23, "validation": 30 * 3, "test": 30 * 3}
