"""Each request gets the results of its own images, or the error of the first that failed."""

import numpy as np
import pytest

from iqa import ItemError
from iqa.metric import Scores
from serving.split import split

ERROR = ItemError("image_too_small", "Too small.")


def results(errors: list[ItemError | None], *, details: bool = False) -> Scores:
    scores = np.arange(len(errors), dtype=np.float64)
    return Scores(scores, errors, np.outer(scores, [1, 10]) if details else None)


def test_results_go_to_their_requests_in_order() -> None:
    one, three, two = split(results([None] * 6, details=True), [1, 3, 2])
    np.testing.assert_array_equal(one.scores, [[0]])
    np.testing.assert_array_equal(three.scores, [[1], [2], [3]])
    np.testing.assert_array_equal(two.scores, [[4], [5]])
    np.testing.assert_array_equal(two.details, [[4, 40], [5, 50]])
    assert one.scores.dtype == np.float32
    assert two.details is not None
    assert two.details.dtype == np.float32


def test_a_failure_stays_with_its_request() -> None:
    before, failed, after = split(results([None, ERROR, None]), [1, 1, 1])
    assert failed.error == "image_too_small: Too small."
    assert before.error is None
    assert after.error is None
    np.testing.assert_array_equal(after.scores, [[2]])


def test_a_stack_names_the_image_that_failed() -> None:
    (answer,) = split(results([None, None, ERROR, None]), [4])
    assert answer.error == "image_too_small: Too small. (image 3 of 4)"


def test_each_request_gets_maps_of_its_own_size() -> None:
    small, large = np.zeros((2, 3), np.float32), np.ones((4, 5), np.float32)
    maps = [small, large, large + 1, None]
    errors = [None, None, None, ERROR]
    one, stack, failed = split(Scores(np.zeros(4), errors, maps=maps), [1, 2, 1])
    np.testing.assert_array_equal(one.maps, [small])
    np.testing.assert_array_equal(stack.maps, [large, large + 1])
    assert failed.maps is None
    assert failed.error == "image_too_small: Too small."


@pytest.mark.parametrize("counts", [[], [1], [1, 3]])
def test_counts_must_add_up(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="2 results"):
        list(split(results([None, None]), counts))
