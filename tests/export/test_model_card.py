"""The model card, and the sentences that it shares with the end of a search."""

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from summaries import TEST, TWO, summary, verdict

from distill_tune.data.encoder import TableEncoder
from distill_tune.export.model_card import input_sentence, model_card
from distill_tune.export.verdict_words import curse_sentence, p_value_sentences, verdict_sentences
from distill_tune.tuning.showing.final_report import final_report


def test_it_says_of_which_seed_the_student_is() -> None:
    assert " this folder holds that of seed 1001, which is best on validation)." in model_card(summary(TWO))


def test_it_says_what_failed_how_often_test_was_opened_and_that_default_distillation_has_a_mix_of_its_own() -> None:
    plain, found = model_card(summary(TWO)), summary(TWO)
    assert "among 64 trials; the test split was opened once, after the choice." in plain
    assert "Default distillation is T = 4 and soft_weight = 0.9.\n" in plain
    found["trials"]["failed"], found["test_opened"] = 3, 2
    found["teacher"]["members"] = {"a": {}, "b": {}}
    other = model_card(found)
    assert "among 64 trials, of which 3 failed; the test split was opened 2 times: later choices may have been" in other
    assert "after the choice" not in other
    assert "and soft_weight = 0.9, from the mix of teachers that the space gives to all trials, which may be" in other


def test_one_comparison_is_not_said_to_be_corrected() -> None:
    one, two = (model_card(summary(found)) for found in ({"no_teacher": verdict()}, TWO))
    assert "McNemar's exact test, twice the median over seeds: no teacher p = 0.6." in one
    assert "Holm" not in one
    assert "over seeds, corrected likewise: no teacher p = 0.6, default distillation p = 0.6." in two


def test_several_comparisons_are_told_with_their_corrected_p_values_and_what_the_words_follow() -> None:
    assert p_value_sentences(summary(TWO)) == [
        "Corrected for 2 comparisons (Holm): no teacher p = 0.041, default distillation p = 0.2. "
        "The verdicts above are not corrected."
    ]
    small = {**TWO, "no_teacher": verdict(holm=0.00012)}
    assert "no teacher p < 0.001, " in p_value_sentences(summary(small))[0]


def test_one_comparison_needs_no_correction() -> None:
    assert p_value_sentences(summary({"no_teacher": verdict()})) == []
    assert p_value_sentences(summary({})) == []


def test_the_p_values_leave_the_words_as_they_were() -> None:
    sentences = verdict_sentences(summary({"no_teacher": verdict(holm=0.9)}))
    assert sentences == [
        "BEATS the same student without a teacher: +0.89 points of test accuracy (95 % interval +0.03 to +1.75)."
    ]


@pytest.mark.parametrize(
    ("bias", "objective", "told"),
    [
        (
            0.0042,
            "val/accuracy",
            "Winner's curse: val/accuracy of the winner looked better in the search than on average in 5 fresh "
            "seeds, by 0.42 points.",
        ),
        (
            0.01234,
            "val/loss",
            "Winner's curse: val/loss of the winner looked better in the search than on average in 5 fresh seeds, "
            "by 0.0123 nats.",
        ),
        (
            -0.0002,
            "val/accuracy",
            "No winner's curse: val/accuracy of the winner was better on average in 5 fresh seeds than in the "
            "search, by 0.02 points.",
        ),
        (
            1.1e-16,
            "val/accuracy",
            "No winner's curse: val/accuracy of the winner looked as good in the search as on average in 5 fresh "
            "seeds.",
        ),
    ],
)
def test_the_winners_curse_is_told_in_the_objectives_own_unit(bias: float, objective: str, told: str) -> None:
    assert curse_sentence(summary(TWO, bias, objective)) == told


def test_the_winners_curse_of_a_trial_that_was_stopped_early_is_told_with_its_epochs() -> None:
    assert curse_sentence(summary(TWO, epochs=9)) == (
        "Winner's curse: val/accuracy of the winner after 9 of 27 epochs looked better in the search than on "
        "average in 5 fresh seeds, by 0.42 points."
    )
    assert curse_sentence(summary(TWO, bias=None, epochs=9)) == (
        "Winner's curse: unknown, for the winner had trained 9 of 27 epochs in the search."
    )


def test_what_is_not_known_of_a_teacher_is_a_dash(tmp_path: Path) -> None:
    found = summary(TWO)
    found["teacher"]["test"]["accuracy"] = None
    found["best"]["test"] = TEST | {"agreement": None}
    card = model_card(found).splitlines()
    assert "| teacher | - | | | | 94,186 |" in card
    assert "| **this student** | 97.00% (96.00% to 98.00%) | 0.1000 | 0.0200 | - | 1,810 |" in card
    console = Console(record=True, width=80, force_terminal=False)
    final_report(console, found, tmp_path)
    assert re.search(r"^teacher +- +- +- +- +94,186 *$", console.export_text(), re.MULTILINE)


def test_a_teacher_of_logits_alone_is_not_said_to_have_no_parameters() -> None:
    found = summary(TWO)
    found["teacher"]["parameters"] = 0
    assert "| teacher | 98.00% | | | | - |" in model_card(found).splitlines()


def test_the_card_has_words_p_values_both_intervals_and_the_curse() -> None:
    found = summary(TWO)
    card = model_card(found).splitlines()
    told = [*verdict_sentences(found), *(f"- {each}" for each in (*p_value_sentences(found), curse_sentence(found)))]
    assert [line for line in card if line in told] == told
    assert (
        "- McNemar's exact test, twice the median over seeds, corrected likewise: no teacher p = 0.6, "
        "default distillation p = 0.6."
    ) in card
    assert (
        "- 95 % interval by bootstrap over seeds and samples: no teacher -0.04 to +1.82, "
        "default distillation -0.04 to +1.82 points."
    ) in card


def test_the_card_says_what_the_student_reads() -> None:
    frame = pd.DataFrame({"age": [1.0, 2.0], "same": [3, 3], "zone": ["a", "b"]})
    table = input_sentence((4,), TableEncoder.fit(frame).to_dict(), ";")
    assert "a table, CSV (separated by ';') with a header line or Parquet, with the columns `age`, `zone` (in" in table
    assert 'or .npy or .npz, [n, 3], with all input columns in the order of "columns" in student.json, also' in table
    wide = pd.DataFrame({f"x{i}": [0.0, 1.0] for i in range(21)})
    assert "`x0`, `x1`, " in (many := input_sentence((21,), TableEncoder.fit(wide).to_dict()))
    assert "`x19`, ..., all in `student.json` (in" in many
    images = input_sentence((3, 5, 4), None)
    assert images.endswith("or CSV or Parquet with 60 columns, a row an image with its pixels in that order.")
    assert ".npy or .npz, [n, 3, 5, 4] (channels, height, width), or CSV or Parquet with 60 columns" in images
    assert images.startswith("INPUT is a picture, a folder of pictures, or a file of images")
    assert input_sentence((4, 5, 4), None).startswith("INPUT is a file of images")
    assert input_sentence((3, 5, 4), None, brightest=128) == images
    dark = input_sentence((3, 5, 4), None, brightest=16)
    assert dark.startswith("INPUT is a file of images in the training data's units, integers from 0 to 16: .npy")
    card = model_card(summary(TWO), images)
    assert f"FOLDER is the folder of this card. {images}" in card.splitlines()


def test_columns_of_any_name_are_read_as_they_are_in_the_card() -> None:
    names = ["a`b", "``", "`", " both ", "x|y", "<b>", "*c*", "two\nlines\n\n# no head"]
    frame = pd.DataFrame({name: [0.0, 1.0] for name in names})
    page = MarkdownIt().render(input_sentence((len(names),), TableEncoder.fit(frame).to_dict()))
    assert [html.unescape(name) for name in re.findall("<code>(.*?)</code>", page)] == [
        *names[:-1],
        r"two\nlines\n\n# no head",
    ]
    assert page.count("<p>") == 1
    assert "<h1>" not in page


def test_a_card_says_that_its_student_is_judged_by_the_seeds_that_chose_it() -> None:
    said = "- It is judged by the seeds that chose it, which flatters it: "
    assert said in model_card(summary(TWO) | {"flattered": True})
    assert said not in model_card(summary(TWO))


def test_a_card_says_what_failed_in_the_confirmation_and_what_the_student_is_not_compared_with() -> None:
    known = {"failed_seeds": {"trial-0007": 3, "no_teacher": 4}, "not_compared": ["no_teacher"]}
    card = model_card(summary({"default_distillation": verdict()}) | known)
    assert "- Some trainings of the confirmation failed; seeds that failed: trial-0007 in 3, no" in card
    assert (
        "- Not compared, because too few seeds are shared with the winner: the same student without a teacher." in card
    )
    assert "Some trainings of the confirmation failed" not in model_card(
        summary(TWO) | {"failed_seeds": {}, "not_compared": []}
    )
    assert model_card(summary(TWO) | {"failed_seeds": {}, "not_compared": []}) == model_card(summary(TWO))


def test_it_names_the_teacher_and_the_classes() -> None:
    found = summary(TWO)
    found["best"]["config"]["teacher"] = {"source": "torch", "path": "big.pt", "mode": "cached"}
    few = model_card(found, classes=["cat", "a dog"]).splitlines()
    assert "Teacher: `source = 'torch'`, `path = 'big.pt'`." in few
    assert "Classes (2): `cat`, `a dog`." in few
    members = {"one": {"family": "mlp"}, "two": {"source": "logits", "path": "l.npy"}}
    found["best"]["config"]["teacher"] = {"source": "ensemble", "ensemble": {"members": members}}
    many = model_card(found, classes=[f"c{place}" for place in range(12)]).splitlines()
    two = "`two` is `source = 'logits'`, `path = 'l.npy'`"
    assert f"Teacher: `one` is `source = 'train'`, `family = 'mlp'`; {two}." in many
    assert (
        "Classes (12): `c0`, `c1`, `c2`, `c3`, `c4`, `c5`, `c6`, `c7`, `c8`, `c9`, ..., all in `student.json`." in many
    )


def test_a_card_without_a_comparison_still_tells_the_curse() -> None:
    card = model_card(summary({}))
    assert f"- {curse_sentence(summary({}))}" in card
    assert "McNemar" not in card
    assert "bootstrap" not in card


def test_the_end_of_a_search_tells_words_p_values_and_the_curse_a_line_each(tmp_path: Path) -> None:
    found = json.loads(json.dumps(summary(TWO)))
    console = Console(record=True, width=80, force_terminal=False)
    (tmp_path / "report.html").touch()
    final_report(console, found, tmp_path)
    told = [*verdict_sentences(found), *p_value_sentences(found), curse_sentence(found)]
    said = console.export_text().splitlines()
    assert [line for line in said if line in told] == told
    assert any(line.startswith("report ") for line in said)


def test_a_page_that_could_not_be_written_is_not_said_to_be_there(tmp_path: Path) -> None:
    console = Console(record=True, width=80, force_terminal=False)
    final_report(console, summary(TWO), tmp_path)
    starts = [line.partition(" ")[0] for line in console.export_text().splitlines()]
    assert "student" in starts
    assert "report" not in starts
