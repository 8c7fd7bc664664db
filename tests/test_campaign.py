"""The campaign of faults is what docs/faults.md says; it is run by hand, but for what takes a second."""

from collections import Counter

import pytest

from tests.campaign import inputs
from tests.campaign.outcome import Outcome

CASES = list(inputs.cases())


def test_there_are_enough_bad_inputs_and_each_has_words_of_its_error():
    assert len(CASES) > 500 and all(word for case in CASES for word in case.words) and all(case.words for case in CASES)
    assert not [name for name, count in Counter((case.kind, case.name) for case in CASES).items() if count > 1]


def test_damaged_results_are_errors_by_name(monkeypatch):
    monkeypatch.setattr(inputs, "cases", lambda: [case for case in CASES if case.kind.startswith("results")])
    outcome = Outcome()
    inputs.run(outcome)
    assert outcome.text() == "\n".join(
        f"bad inputs: results, {kind}: {count} tried, {count} right"
        for kind, count in (("tables", 12), ("classes.json", 10), ("manifests", 5), ("inputs", 7), ("folds.json", 7))
    )


@pytest.mark.parametrize(
    ("give", "fault"),
    [
        (lambda folder: None, "it was accepted"),
        (lambda folder: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_accepted_or_ends_in_a_traceback_is_a_failure(monkeypatch, give, fault):
    monkeypatch.setattr(inputs, "cases", lambda: [inputs.Case("a kind", "a case", give, ("word",))])
    outcome = Outcome()
    inputs.run(outcome)
    assert outcome.text() == f"bad inputs: a kind: 1 tried, 0 right\nbad inputs: a kind: a case: {fault}"
