"""The student of an earlier search or training as the teacher: chains of results.

A student of the same size that learns from it is born again (Furlanello et al. 2018, "Born-Again Neural Networks",
https://arxiv.org/abs/1805.04770); one between a large teacher and a small student is a teacher assistant (Mirzadeh et
al. 2020, "Improved Knowledge Distillation via Teacher Assistant", https://arxiv.org/abs/1902.03393). Each link has its
own search, verdict and folder.

The data and their splits must be the same: a teacher trained on a later student's test samples would leak them. The
number of labels may differ, since an assistant may know more than its student.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from distill_tune.config.messages import named_apart
from distill_tune.errors import InputError, TeacherError
from distill_tune.paths import expanded
from distill_tune.registry import STUDENTS, TEACHERS
from distill_tune.students._folder import RUN_TOML, WEIGHTS, StudentFolder, open_student_folder, student_folders
from distill_tune.teachers import DataSpec, LoadedTeacher, Teacher, TeacherContext
from distill_tune.users_code import source_of

if TYPE_CHECKING:
    from distill_tune.config.sections import TeacherConfig


@TEACHERS.register
class Result(Teacher):
    """`[teacher] source = "result", path = "results/earlier"`."""

    needs: ClassVar[tuple[str, ...]] = ("path",)
    ignores: ClassVar[tuple[str, ...]] = ("trust",)
    built_as: ClassVar[str] = "those of [student] in run.toml, which is in the folder of the teacher's weights"
    fits_folds: ClassVar[bool] = False

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """The weights' checksum and the family, with the source code of a custom one; all is checked here."""
        from distill_tune.checksum import sha256_of

        folder = _folder(config)
        student = _opened(folder, data_spec).config
        own = source_of(STUDENTS.get(student.family)) if ":" in student.family else ""
        return f"{sha256_of(folder / WEIGHTS)} {student.model_dump_json()} {own}"

    def network_parts(self, config: TeacherConfig) -> list[str]:
        """The student's family."""
        return [_read(_folder(config)).config.family]

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        """The exported student, frozen."""
        opened = _opened(_folder(config), data_spec)
        if opened.warning:
            context.say(f"warning: teacher: {opened.warning}")
        module = opened.student.requires_grad_(False)
        return LoadedTeacher(parameters=sum(p.numel() for p in module.parameters()), module=module)


def _folder(config: TeacherConfig) -> Path:
    """The student's folder at `teacher.path`: the path itself, its best/, or its only seed-N/."""
    assert config.path is not None, "this source needs it"
    found = student_folders(expanded(config.path))
    if len(found) > 1:
        raise TeacherError(
            f"teacher.path: {config.path!r} holds {len(found)} students; name one of them, such as {str(found[0])!r}."
        )
    if not found:
        raise TeacherError(
            f"teacher.path: {config.path!r:.200} holds no student; give the folder of a search that has come to its "
            "verdict, or of a training."
        )
    return found[0]


def _opened(folder: Path, data_spec: DataSpec) -> StudentFolder:
    opened = _read(folder)
    _check(folder, opened, data_spec)
    return opened


def _read(folder: Path) -> StudentFolder:
    try:
        return open_student_folder(folder)
    except TeacherError:
        raise
    except InputError as error:
        raise TeacherError(f"teacher.path: {error}") from error


def _check(folder: Path, opened: StudentFolder, data_spec: DataSpec) -> None:
    who = f"teacher.path: the student in {str(folder)!r}"
    if opened.classes != data_spec.classes:
        theirs, ours = named_apart(opened.classes), named_apart(data_spec.classes)
        raise TeacherError(
            f"{who} knows {len(opened.classes)} classes ({theirs}), but the data have {len(data_spec.classes)} "
            f"({ours}), and they must be the same in the same order."
        )
    if opened.input_shape != data_spec.input_shape:
        raise TeacherError(
            f"{who} reads samples of shape {opened.input_shape}, but the data have {data_spec.input_shape}."
        )
    if opened.split_fingerprint != data_spec.split_fingerprint:
        raise TeacherError(
            f"{who} has learned other data, or another split of them, so that it may know test samples; use [data] "
            f"as in {str(folder / RUN_TOML)!r} (path, passes, student_samples and rest may differ), "
            "and leave a data source of your own as it was."
        )
