"""Table 2: its figures against those computed another way, and the paper's own."""

import io

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from pipeline.evaluation import ablation_table

NAMES = ["baseline", "+SAB", "+SAB+l1", "+SAB+TAB+l1"]


def predictions(correct, clips=171):
    """The first `correct` clips are right."""
    return pd.DataFrame(
        {
            "clip": [f"sub{number % 19:02d}/{number}" for number in range(clips)],
            "subject": [f"sub{number % 19:02d}" for number in range(clips)],
            "label": "tense",
            "predicted": ["tense"] * correct + ["disgust"] * (clips - correct),
        }
    )


def paper():
    """Table 2 of the paper, if every step only ever won clips."""
    steps = zip(NAMES, (122, 125, 128, 131), strict=True)
    return ablation_table.table("casme", (0,), 0, {name: {0: predictions(correct)} for name, correct in steps})


def noisy(seeds=(0, 1, 2)):
    """Random predictions; by name and seed."""
    rng = np.random.default_rng(4)
    found = {name: {} for name in NAMES}
    for name in NAMES:
        for seed in seeds:
            table = predictions(0, 40)
            table.loc[rng.random(40) < 0.6, "predicted"] = "tense"
            found[name][seed] = table
    return found


def test_the_figures_of_the_paper_are_whole_clips_and_its_steps_prove_nothing():
    text = ablation_table.as_text(paper())
    for share in ("71.35 %", "73.10 %", "74.85 %", "76.61 %"):
        assert share in text
    assert "Table 2 on casme: 171 clips of 19 subjects, seed 0" in text
    assert text.count("+3 clips (+1.75)") == 3 and text.count("0.250") == 3  # 2 * 0.5 ** 3
    assert "One clip is 0.58 points. The steps in clips are +SAB: +3, +SAB+l1: +3, +SAB+TAB+l1: +3." in text


def test_every_figure_of_the_csv_is_that_of_statsmodels():
    results = noisy()
    csv = pd.read_csv(io.StringIO(ablation_table.as_csv(ablation_table.table("synthetic", (0, 1, 2), 0, results))))
    assert list(csv["row"]) == [name for name in NAMES for _ in range(3)] and list(csv["seed"]) == [0, 1, 2] * 4
    for number, line in csv.iterrows():
        right = (results[line["row"]][line["seed"]]["predicted"] == "tense").to_numpy()
        assert (line["clips"], line["correct"]) == (40, right.sum())
        assert line["accuracy"] == right.mean()
        assert (line["low"], line["high"]) == pytest.approx(proportion_confint(right.sum(), 40, method="wilson"))
        accuracies = [(table["predicted"] == "tense").mean() for table in results[line["row"]].values()]
        assert line["mean"] == pytest.approx(np.mean(accuracies))
        assert line["sd"] == pytest.approx(np.std(accuracies, ddof=1))
        if line["row"] == "baseline":
            assert np.isnan(line["difference"]) and np.isnan(line["p"])
            continue
        above = (results[NAMES[number // 3 - 1]][line["seed"]]["predicted"] == "tense").to_numpy()
        assert line["difference"] == right.sum() - above.sum()
        cross = [[(above & right).sum(), (above & ~right).sum()], [(~above & right).sum(), (~above & ~right).sum()]]
        assert line["p"] == pytest.approx(mcnemar(cross, exact=True).pvalue)


def test_several_seeds_show_their_spread_and_every_p():
    table = ablation_table.table("synthetic", (0, 1, 2), 0, noisy())
    row = table.rows[1]
    text = ablation_table.as_text(table)
    [line] = [line for line in text.splitlines() if line.startswith("+SAB ")]
    assert f"{100 * np.mean(row.accuracies):.2f} %" in line
    assert f"{100 * np.std(row.accuracies, ddof=1):.2f}" in line
    assert f"{100 * min(row.accuracies):.2f} to {100 * max(row.accuracies):.2f}" in line
    assert f"{' '.join(map(str, row.correct))} of 40" in line
    assert line.endswith(" ".join(f"{p:.3f}" for p in row.p))
    assert "one for each seed" in text and "--seeds" not in text


def test_one_seed_has_no_spread_and_says_so():
    text = ablation_table.as_text(paper())
    assert "--seeds 3" in text and " sd " not in text and "range" not in text


@pytest.mark.parametrize("write", [ablation_table.as_text, ablation_table.as_markdown, ablation_table.as_html])
def test_every_form_says_what_the_table_cannot_show(write):
    text = " ".join(write(ablation_table.table("casme", (0,), 2, noisy((0,)))).split())
    assert "chosen on test data" in text and "One clip is 2.50 points" in text
    assert "PARTIAL: 2 subjects were never held out" in text
    assert "PARTIAL" not in write(paper())


def test_markdown_has_a_cell_for_every_column():
    rows = [line for line in ablation_table.as_markdown(paper()).splitlines() if line.startswith("|")]
    assert len(rows) == 6 and len({row.count("|") for row in rows}) == 1


def test_the_page_needs_nothing_else_and_escapes_names():
    page = ablation_table.as_html(paper())
    assert "http" not in page and "src=" not in page and page.count("<tr>") == 5
    assert "&lt;script&gt;" in ablation_table.as_html(ablation_table.table("<script>", (0,), 0, noisy((0,))))


def test_predictions_for_other_clips_are_not_compared():
    results = noisy((0,))
    results["+SAB"][0] = results["+SAB"][0].iloc[::-1].reset_index(drop=True)
    with pytest.raises(ValueError, match=r"\+SAB, seed 0"):
        ablation_table.table("synthetic", (0,), 0, results)
