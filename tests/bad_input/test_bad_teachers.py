"""Teachers that do not fit or cannot be read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from good import TEACHERS, Refuse, rows
from safetensors.torch import save_file

from distill_tune.search import main


@pytest.mark.parametrize(
    ("logits", "said"),
    [
        (np.zeros((59, 3)), "one row of logits for each row of the data, shape (60, 3), but has shape (59, 3); let"),
        (np.zeros((60, 4)), "one row of logits for each row of the data, shape (60, 3), but has shape (60, 4); write"),
        (np.zeros(60), "one row of logits for each row of the data, shape (60, 3), but has shape (60,); let the"),
        (np.full((60, 3), np.nan), "the logits of 'teacher.npy' must be finite numbers"),
        (np.full((60, 3), "a"), "the logits of 'teacher.npy' must be finite numbers"),
    ],
)  # fmt: skip
def test_logits_that_do_not_fit_the_data(refuse: Refuse, logits: np.ndarray, said: str) -> None:
    np.save("teacher.npy", logits)
    told = refuse()
    assert told.startswith("error: teacher.path: ")
    assert said in told


def test_logits_that_cannot_be_read(refuse: Refuse, folder: Path) -> None:
    assert f"teacher.path: gone.npy: no such file; it must be the teacher's file (seen from {folder})." in refuse(
        "teacher.path=gone.npy"
    )
    (folder / "teacher.txt").write_text("1 2 3")
    said = "teacher.path: logits are read from .npy, .npz and Parquet files, but 'teacher.txt' is a CSV (text) file; "
    assert said in refuse("teacher.path=teacher.txt")
    path = folder / "teacher.npy"
    path.write_bytes(path.read_bytes()[:300])
    assert "teacher.path: teacher.npy: is truncated or damaged; write it again." in refuse()


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("absent:net", "'absent:net': there is no module 'absent' in "),
        ("my_teachers:nett", "module 'my_teachers' has no 'nett'. Did you mean 'my_teachers:net'?"),
        ("my_teachers", "must be 'package.module:function', but got 'my_teachers'."),
        ("my_teachers:not_a_function", "must be a function, but is int."),
        ("my_teachers:number", "must return a torch.nn.Module, but returned int."),
        ("my_teachers:fails", "no licence found"),
        ("my_teachers:ends", "failed with arguments {} (SystemExit: 0); mend it or teacher.torch.arguments."),
    ],
)
def test_a_factory_that_makes_no_teacher(refuse_torch: Refuse, factory: str, said: str) -> None:
    told = refuse_torch(factory)
    assert told.startswith("error: teacher.torch.factory: ")
    assert said in told


@pytest.mark.parametrize(("source", "said"), [("result", "holds no student"), ("huggingface", "no folder")])
def test_a_folder_that_is_not_there_or_whose_name_none_can_have(refuse: Refuse, source: str, said: str) -> None:
    if source == "huggingface":
        pytest.importorskip("transformers", reason="pip install transformers")
    for path in ("gone", "long" * 90, f"above/{'long' * 90}"):
        told = refuse(f"teacher.source={source}", f"teacher.path={path}")
        assert told.startswith("error: teacher.path: ")
        assert said in told


def test_a_folder_below_the_home_folder_is_found(refuse: Refuse, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "home"))
    for seed in (0, 1):
        (folder / "home" / "trained" / f"seed-{seed}").mkdir(parents=True)
    assert "'~/trained' holds 2 students" in refuse("teacher.source=result", "teacher.path=~/trained")
    pytest.importorskip("transformers", reason="pip install transformers")
    said = refuse("teacher.source=huggingface", "teacher.path=~/trained")
    assert "'~/trained' has no model.safetensors" in said


def test_weights_that_do_not_fit(refuse_torch: Refuse) -> None:
    said = "teacher.path: the weights of 'weights.safetensors' do not fit"
    assert said in refuse_torch("my_teachers:net", "teacher.torch.arguments.width=5")
    assert said in refuse_torch("my_teachers:wide")


def test_weights_that_give_no_finite_logits_leave_nothing_behind(refuse_torch: Refuse, folder: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    save_file(
        {name: weight * torch.nan for name, weight in network.state_dict().items()}, folder / "weights.safetensors"
    )
    assert "teacher: one of its logits is not a finite number; check its weights" in refuse_torch("my_teachers:net")


def test_a_dry_run_loads_the_teacher_and_refuses_what_a_search_would(refuse: Refuse, folder: Path) -> None:
    (folder / "my_teachers.py").write_text(TEACHERS)
    (folder / "weights.safetensors").write_bytes(b"no tensors")
    named = ("teacher.source=torch", "teacher.path=weights.safetensors", "teacher.torch.factory=my_teachers:net")
    told = refuse(*named, arguments=("space.toml", "--dry-run"))
    assert "teacher.path: 'weights.safetensors' is no " in told


def test_arguments_that_the_factory_does_not_take(refuse_torch: Refuse) -> None:
    assert "teacher.torch.factory: " in refuse_torch("my_teachers:net", "teacher.torch.arguments.depth=5")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_weights_that_are_damaged(refuse_torch: Refuse, folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00 no weights at all")
    assert f"teacher.path: '{name}' is no " in refuse_torch("my_teachers:net", f"teacher.path={name}")


def test_a_teacher_that_does_not_take_the_data_or_knows_other_classes(refuse_torch: Refuse, folder: Path) -> None:
    save_file(torch.nn.Linear(7, 3).state_dict(), folder / "weights.safetensors")
    assert "inputs of shape (3,)" in refuse_torch("my_teachers:wide")
    save_file(torch.nn.Linear(3, 4).state_dict(), folder / "weights.safetensors")
    assert "for the 3 classes of the data, but returned [2, 4]" in refuse_torch("my_teachers:four_classes")


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
def test_views_that_the_data_do_not_have_or_that_nobody_can_label(refuse: Refuse, arguments: tuple[str, ...]) -> None:
    assert "augmentation.flip: cannot be used on tables; for tables there are: " in refuse(
        "augmentation.flip=0.5", arguments=arguments
    )
    assert "augmentation.noise: the teacher must label what the student sees, but source = 'logits' has" in refuse(
        "augmentation.noise=0.1", arguments=arguments
    )
    assert "teacher.mode: 'live' needs a teacher that can run, but source = 'logits' has only logits" in refuse(
        "teacher.mode=live", arguments=arguments
    )


def test_a_member_that_cannot_label_is_refused_before_another_is_trained(refuse: Refuse) -> None:
    trained = "{source='train',family='mlp',mlp={widths=[8]},train={epochs=2}}"
    said = refuse(
        "teacher={source='ensemble'}",
        f"teacher.ensemble.members.a={trained}",
        "teacher.ensemble.members.b={source='logits',path='teacher.npy'}",
        "augmentation.noise=0.1",
    )
    member = "teacher.ensemble.members.b.source = 'logits'"
    assert f"augmentation.noise: the teacher must label what the student sees, but {member} has" in said


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
@pytest.mark.parametrize(
    ("member", "said"),
    [
        (
            "{source='train',family='mlp',train={augmentation={flip=0.5}}}",
            "teacher.ensemble.members.big.train.augmentation.flip: cannot be used on tables",
        ),
        ("{source='train',family='convnet'}", "teacher.ensemble.members.big.family: convnet needs images "),
        (
            "{source='logits',path='teacher.best.npy'}",
            "teacher.ensemble.members.big.path: teacher.best.npy: no such file",
        ),
        ("{source='logits',path='no.npy'}", "teacher.ensemble.members.big.path: no.npy: no such file"),
        (
            "{source='torch',path='whole.pt',torch={factory='my_teachers:net'}}",
            "or let teacher.ensemble.members.big.trust = true read any pickle",
        ),
    ],
)
def test_what_is_wrong_with_a_member_is_said_with_its_own_key(
    refuse: Refuse, folder: Path, arguments: tuple[str, ...], member: str, said: str
) -> None:
    torch.save(torch.nn.Linear(3, 3), folder / "whole.pt")
    others = ("teacher={source='ensemble'}", "teacher.ensemble.members.a={source='logits',path='teacher.npy'}")
    assert said in refuse(*others, f"teacher.ensemble.members.big={member}", arguments=arguments)


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
def test_a_network_that_reads_a_feature_which_a_fold_lacks(
    refuse: Refuse, folder: Path, arguments: tuple[str, ...]
) -> None:
    table = rows()
    table["colour"] = ["red", "green"] * 29 + ["blue", "red"]  # blue is in one fold only
    table[["colour", "height", "width", "weight", "kind"]].to_csv("data.csv", index=False)
    (folder / "folds.py").write_text("import torch\n\ndef net():\n    return torch.nn.Linear(6, 3)\n")
    save_file(torch.nn.Linear(6, 3).state_dict(), folder / "weights.safetensors")
    network = ("teacher={source='torch',path='weights.safetensors',torch={factory='folds:net'}}", "data.folds=3")
    said = refuse(*network, arguments=arguments)
    assert "teacher.source: 'torch' reads 6 features, but without fold " in said
    assert "of data.folds = 3 there are 5, since a value or a gap is nowhere else" in said


def test_an_ensemble_of_teachers_that_are_trained_here_fits_folds_that_lack_a_feature(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = rows()
    table["colour"] = ["red", "green"] * 29 + ["blue", "red"]  # blue is in one fold only
    table[["colour", "height", "width", "weight", "kind"]].to_csv("data.csv", index=False)
    given = ["teacher={source='ensemble'}", "data.folds=3"]
    for seed, name in enumerate("ab"):
        trained = f"{{source='train',family='mlp',mlp={{widths=[8]}},train={{epochs=2,seed={seed}}}}}"
        given.append(f"teacher.ensemble.members.{name}={trained}")
    assert main(["space.toml", "--dry-run", *(word for each in given for word in ("--set", each))]) == 0
    assert "nothing has been started" in capsys.readouterr().out
