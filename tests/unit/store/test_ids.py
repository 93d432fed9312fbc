from __future__ import annotations

import pytest

from smsgw.store.ids import EPOCH_MS, IdSource


class TestLayout:
    def test_an_id_is_milliseconds_node_and_sequence(self) -> None:
        ids = IdSource(3, lambda: EPOCH_MS / 1000 + 1.5)
        assert ids.next() == 1500 << 22 | 3 << 12 | 0
        assert ids.next() == 1500 << 22 | 3 << 12 | 1

    def test_an_id_fits_63_bits_until_2089(self) -> None:
        ids = IdSource(1023, lambda: EPOCH_MS / 1000 + (2**41 - 1) / 1000)
        assert 2**62 < ids.next() < 2**63

    @pytest.mark.parametrize("node", [-1, 1024])
    def test_a_node_outside_ten_bits_is_refused(self, node: int) -> None:
        with pytest.raises(ValueError, match=r"node: -?\d+, allowed 0 to 1023"):
            IdSource(node, lambda: 0.0)

    def test_two_nodes_never_make_the_same_id(self) -> None:
        one, two = (IdSource(node, lambda: 1_800_000_000.0) for node in (1, 2))
        assert not set(one.take(9000)) & set(two.take(9000))


class TestOrder:
    def test_ids_grow_when_the_clock_goes_back(self) -> None:
        times = iter([2e9, 1.9e9, 1.9e9, 2.1e9])
        ids = IdSource(0, lambda: next(times))
        made = [ids.next() for _ in range(4)]
        assert made == sorted(set(made))

    def test_more_ids_than_a_millisecond_holds_borrow_from_the_next(self) -> None:
        ids = IdSource(7, lambda: 1_800_000_000.0)
        made = [*ids.take(5000), ids.next()]
        assert made == sorted(set(made))
        assert {number >> 12 & 1023 for number in made} == {7}

    @pytest.mark.parametrize("node", [899, 900, 901])
    def test_ids_go_on_right_after_one_of_any_node(self, node: int) -> None:
        used = IdSource(900, lambda: 1_800_000_000.0).take(50)[-1]
        ids = IdSource(node, lambda: 1_700_000_000.0)
        ids.continue_after(used)
        following = ids.next()
        assert used < following
        assert (following >> 22) - (used >> 22) == (1 if node < 900 else 0)
        assert node != 900 or following == used + 1

    def test_ids_go_on_after_one_that_is_used_already(self) -> None:
        ids = IdSource(0, lambda: 1_700_000_000.0)
        used = IdSource(900, lambda: 1_800_000_000.0).take(50)[-1]
        ids.continue_after(used)
        assert ids.next() > used
