"""The expected time of an examination: the number of its answers times the measured time of one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from small import VALUES
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from distill_tune.config import Space
from distill_tune.data.dataset import open_test
from distill_tune.evaluation.portions import samples_at_a_time
from distill_tune.students import Student, student_on
from distill_tune.tuning.planning import examination_time
from distill_tune.tuning.planning.examination_time import examination_s, num_answers
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.examination import examine

LOOKS = 2 * 3
"""Passes over one portion to choose the thread count: three each."""


def test_it_is_known_how_often_each_student_will_be_asked(small_space: Space, preparation: Any, tmp_path: Path) -> None:
    config, dataset = small_space.at(VALUES), preparation.dataset
    student = student_on(Student.of(config.student), dataset)
    save_file(student.state_dict(), tmp_path / "student.safetensors")
    seeds = dict.fromkeys((1, 2, 3), tmp_path / "student.safetensors")
    candidate = Candidate("trial-0007", config, list(seeds), TrialRecord(7, "0007", VALUES), {}, seeds)
    of_teacher, asked = set(preparation.teacher.module.modules()), 0

    def count(module: nn.Module, inputs: Any) -> None:
        nonlocal asked
        if type(module) is type(student) and module not in of_teacher:
            asked += len(inputs[0])

    with register_module_forward_pre_hook(count):
        examine([candidate], preparation.teacher, dataset)
    portion = min(samples_at_a_time(dataset.input_shape), len(open_test(dataset).labels))
    assert asked == len(seeds) * num_answers(config, dataset) + LOOKS * portion


def test_each_answer_takes_what_the_quicker_number_of_threads_needs(
    small_space: Space, preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, dataset = small_space.at(VALUES), preparation.dataset
    monkeypatch.setattr(
        examination_time,
        "quickest_look_s",
        lambda student, inputs: (3 if torch.get_num_threads() > 1 else 2) * len(inputs),
    )
    assert examination_s(config, dataset) == pytest.approx(2 * num_answers(config, dataset))
