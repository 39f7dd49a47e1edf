from connectors.consuming.positions import Arrival, Move, Positions

PLACE = ("t", 0)


def placed(offset: int = 10) -> Positions:
    positions = Positions()
    positions.assign([PLACE])
    positions.place(PLACE, offset)
    return positions


def test_a_partition_without_a_position_takes_no_records() -> None:
    positions = Positions()
    positions.assign([PLACE])
    assert positions.arrive(PLACE, 0) is Arrival.FOREIGN


def test_a_record_at_the_position_is_next() -> None:
    assert placed().arrive(PLACE, 10) is Arrival.NEXT


def test_missing_offsets_are_told_only_at_the_first_record() -> None:
    positions = placed()
    assert positions.arrive(PLACE, 12) is Arrival.GAP
    assert positions.arrive(PLACE, 15) is Arrival.NEXT


def test_a_record_before_the_position_is_behind() -> None:
    assert placed().arrive(PLACE, 9) is Arrival.BEHIND


def test_a_record_that_was_read_already_is_behind() -> None:
    positions = placed()
    assert positions.arrive(PLACE, 10) is Arrival.NEXT
    assert positions.arrive(PLACE, 10, following=11) is Arrival.BEHIND
    assert positions.arrive(PLACE, 11, following=11) is Arrival.NEXT


def test_a_log_that_begins_anew_is_read_on_below_the_position() -> None:
    positions = placed()
    assert positions.arrive(PLACE, 0) is Arrival.BEHIND
    assert positions.arrive(PLACE, 1, following=1) is Arrival.NEXT


def test_a_revoked_partition_takes_no_records() -> None:
    positions = placed()
    positions.revoke([PLACE])
    assert positions.arrive(PLACE, 10) is Arrival.FOREIGN
    assert positions.assigned == []


def test_a_written_batch_moves_only_what_is_still_ours() -> None:
    positions = placed()
    positions.moved([Move("t", 0, 10, 20), Move("t", 1, 0, 5)])
    assert positions.placed == {PLACE: 20}


def test_a_distrusted_partition_needs_its_position_again() -> None:
    positions = placed()
    assert positions.distrust([PLACE, ("t", 1)]) == [PLACE]
    assert positions.unplaced == {PLACE}
    assert positions.arrive(PLACE, 10) is Arrival.FOREIGN


def test_an_assignment_that_comes_again_forgets_the_old_position() -> None:
    positions = placed()
    positions.assign([PLACE])
    assert positions.placed == {}
    assert positions.unplaced == {PLACE}


def test_only_positions_that_differ_in_the_target_are_named() -> None:
    positions = placed()
    assert positions.differing({PLACE: 10}, [PLACE]) == []
    assert positions.differing({}, [PLACE]) == [PLACE]
