"""When an asset runs by itself. Each condition is named for what it does and explained term by term."""

import dagster as dg

AC = dg.AutomationCondition

SCORED_IN_THE_SAME_RUN = "icecore/scored-in-the-same-run"
"""Tag of the jobs that score what they make: no scoring needs to follow from it."""

_MADE_TO_BE_SCORED = (
    AC.newly_updated()
    & ~AC.executed_with_root_target()
    & ~AC.all_new_updates_have_run_tags(tag_keys={SCORED_IN_THE_SAME_RUN})
)
_NEW_INPUT_BUT_FOR_THE_NETWORK = AC.any_deps_match(_MADE_TO_BE_SCORED | AC.will_be_requested()).ignore(
    dg.AssetSelection.assets("cnn_model")
)

WHEN_INPUTS_ARE_SOUND = (
    _NEW_INPUT_BUT_FOR_THE_NETWORK.since_last_handled()
    & ~AC.any_deps_missing()
    & ~AC.any_deps_in_progress()
    & ~AC.in_progress()
    & AC.all_deps_blocking_checks_passed()
).with_label("when inputs are sound")
"""For what is made per segment.

since_last_handled: an input was made anew after this cell was last made or requested, in a run that does not make this
    cell as well. The jobs that do are tagged, so that their runs are known by it whoever started them (the landing
    folder, a backfill, a person): a job's run does not say which assets it makes, and whether it is still going on is
    looked up later than what it has made. Plain `eager` would ask for every new cell besides, because it is missing.
but for the network: a new network is followed by a new labelled map, and only then do the models belong together
    again; the map's renewal is what makes the segments score anew.
~any_deps_missing, ~any_deps_in_progress, ~in_progress: every input is there, none of them nor this cell is being made.
all_deps_blocking_checks_passed: no input's blocking check failed for this cell; one bad segment gates itself alone.
"""

WHEN_THE_NETWORK_IS_NEW = (
    AC.any_deps_updated().since_last_handled()
    & ~AC.any_deps_missing()
    & ~AC.any_deps_in_progress()
    & ~AC.in_progress()
    & AC.all_deps_blocking_checks_passed()
).with_label("when the network is new")
"""For the labelled map: the network or the forest was trained anew, nothing it needs is missing or being made."""

_A_SCORE_IS_NEW = AC.any_deps_updated().ignore(dg.AssetSelection.assets("segment_crops"))

WHEN_A_SEGMENT_IS_DONE = (
    _A_SCORE_IS_NEW.since_last_handled() & ~AC.any_deps_in_progress() & ~AC.in_progress()
).with_label("when a segment is done")
"""For what is rolled up per core.

since_last_handled: some segment of the core was scored after the last roll-up (plain `eager` would wait for every cell
    of the matrix, imaged or not, and so for ever).
but for the crops: they are packed before there is a score to roll up.
~any_deps_in_progress: wait for segments that are being scored, so that a core delivered at once is rolled up once.
~in_progress: never two roll-ups of one core at a time.
"""
