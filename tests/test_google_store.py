"""A `gs://` storage, on a server that speaks Google's protocol: what is copied, fetched, and refused."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gcp_storage_emulator.server import create_server
from runs import TABLE

from distill_tune.errors import ConfigError
from distill_tune.mirror import Mirror

BOOK = "book.jsonl"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server that has a bucket called `bucket`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    with create_server("127.0.0.1", number, in_memory=True, default_bucket="bucket"):
        yield number


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service account's key, with which the client signs on its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    said = {"type": "service_account", "private_key_id": "1", "private_key": key.decode(), "client_email": "a@b.c"}
    path = tmp_path_factory.mktemp("account") / "key.json"
    path.write_text(json.dumps(said | {"client_id": "1", "token_uri": "http://127.0.0.1:1/token"}))
    return path


@pytest.fixture
def uri(port: int, account: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of the bucket for this test alone, as this machine and account reach it."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    return f"gs://bucket/{tmp_path.name}?endpoint_override=127.0.0.1:{port}&scheme=http&retry_limit_seconds=5"


def below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(made: Mirror, name: str, content: str) -> Path:
    path = made.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_a_result_is_brought_to_another_machine_as_it_is_now(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Mirror(uri, BOOK)
    made.store.check_writable()
    write(made, f"one/{BOOK}", "1\n")
    gone, grown = write(made, "one/gone", "x"), write(made, "one/deep/grown", "x")
    made.push("one")
    gone.unlink()
    grown.write_text("x and more")
    write(made, f"one/{BOOK}", "1\n2\nhalf an ent")
    made.push("one")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    elsewhere = Mirror(uri, BOOK)
    assert elsewhere.names == ["one"]
    assert elsewhere.fetch("one") is False
    assert below(elsewhere.folder) == {f"one/{BOOK}": b"1\n2\n", "one/deep/grown": b"x and more"}


def test_a_bucket_that_is_not_there_and_a_name_that_is_taken_are_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no bucket 'other'; make it, or name another\.$"):
        Mirror(uri.replace("//bucket", "//other"), BOOK)
    made = Mirror(uri, BOOK)
    write(made, "one/a", "x")
    made.push("one")
    with pytest.raises(ConfigError, match=r"^--name one: gs://bucket/\S+/one\S* holds another result; choose "):
        made.store.check_free("one")


def test_a_training_leaves_its_result_there(uri: str, tmp_path: Path) -> None:
    run = tmp_path / "run.toml"
    run.write_text(tomli_w.dumps(TABLE))
    asked = [sys.executable, "-m", "distill_tune.train", str(run), "--storage", uri, "--name", "trained"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    made = Mirror(uri, BOOK)
    there = {path.as_posix() for path in made.store.listed("trained")}
    assert {"trained/seed-0/student.safetensors", "trained/seed-0/run.toml"} <= there
    assert there == {f"trained/{path}" for path in below(made.folder / "trained")}
