"""What is told of columns with names, and batches of them."""

import pytest
from clipper_container import columns
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def test_many_columns_are_cut_short_for_people() -> None:
    assert columns.shown(["age", "city"]) == "{age, city}"
    assert columns.shown([str(n) for n in range(30)]).endswith("18, 19, ...}")


def test_columns_by_place_are_not_taken_for_names() -> None:
    rows = [[1.0, 0.0], [2.0, 1.0]]
    by_place = make_column_transformer((StandardScaler(), slice(0, 1)), (OneHotEncoder(), [1])).fit(
        rows
    )
    assert not columns.selects_by_name(by_place)
    assert not columns.has_texts(by_place)
    assert columns.guess_of(by_place, ["a", "b"]) == {"a": 0.0, "b": 0.0}


def test_records_and_rows_become_frames_in_the_order_of_the_columns() -> None:
    frame = columns.frame_of([{"b": 2, "a": 1}], ["a", "b"])
    assert list(frame) == ["a", "b"]
    assert columns.frame_of([[1, 2]], ["a", "b"]).equals(frame)
    with pytest.raises(ValueError, match="Input 1 of the batch is no record"):
        columns.frame_of([[1, 2], "ab"], ["a", "b"])
