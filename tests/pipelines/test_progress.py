"""What a person sees of a run, made from what kfp.local prints."""

import io
import json

from rich.console import Console

from pipelines.progress import RunProgress
from recommender.step import FAILURE, MESSAGE, WARNING


def watch(*lines):
    screen, log = io.StringIO(), io.StringIO()
    progress = RunProgress(("ExampleGen", "BulkInferrer"), Console(file=screen, width=100), log)
    for line in lines:
        # kfp.local prints in pieces, not in lines.
        for piece in (line[:7], line[7:], "\n"):
            progress.write(piece)
    return progress, screen.getvalue(), log.getvalue()


def test_steps_are_counted_and_their_messages_shown():
    _, screen, log = watch(
        "12:00:00.000 - INFO - Executing task \x1b[96m'example-gen'\x1b[0m",
        f"    {MESSAGE}{json.dumps('100,000 ratings [from a zip]')}",
        "    a library's chatter",
        "12:00:01.000 - INFO - Task \x1b[96m'example-gen'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m",
        "12:00:01.000 - INFO - Task bulk-inferrer cache hit (key=0123456789ab); skipping",
    )
    assert "100,000 ratings [from a zip]" in screen
    assert " 1/2  ✓ ExampleGen" in screen
    assert " 2/2  ✓ BulkInferrer     from the cache" in screen
    assert "chatter" not in screen
    assert "chatter" in log
    assert "\x1b" not in log


def test_a_warning_is_shown_however_soon_it_comes():
    _, screen, _ = watch(
        "Executing task 'example-gen'",
        f"    {MESSAGE}{json.dumps('Fetching an archive')}",
        f"    {WARNING}{json.dumps('its sha256 is another')}",
        f"    {WARNING}{json.dumps('12 ratings [of 100] dropped')}",
    )
    assert "warning: its sha256 is another" in screen
    assert "warning: 12 ratings [of 100] dropped" in screen


def test_the_reason_that_a_step_gave_is_kept():
    progress, _, _ = watch(
        "Executing task 'example-gen'",
        f"    {FAILURE}{json.dumps('u.data, line 7: rating is six')}",
        "Task 'example-gen' finished with status FAILURE",
    )
    assert (progress.failed_step, progress.failure) == ("ExampleGen", "u.data, line 7: rating is six")


def test_a_crash_is_told_by_the_exception():
    progress, _, _ = watch(
        "Executing task 'example-gen'",
        "    Traceback (most recent call last):",
        "    ZeroDivisionError: division by zero",
        "",
        "Task 'example-gen' finished with status FAILURE",
        "Pipeline finished with status FAILURE",
    )
    assert progress.failure is None
    assert progress.last_line == "ZeroDivisionError: division by zero"
