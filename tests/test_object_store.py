"""URIs of object stores as users write them: what is opened, what is refused, and where results are kept locally."""

from pathlib import Path
from typing import Any

import pytest

from distill_tune.cli import storage_at
from distill_tune.errors import ConfigError
from distill_tune.object_store import folder_here, opened_store


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("s3://bucket", "bucket"),
        ("s3://bucket/", "bucket"),
        ("s3://bucket/a/b/", "bucket/a/b"),
        ("s3://bucket/with a space", "bucket/with a space"),
        ("s3://bucket/with%20a%20space", "bucket/with a space"),
        ("s3://bucket/größe", "bucket/größe"),
        ("s3://bucket/100%25", "bucket/100%"),
    ],
)
def test_a_folder_is_called_as_the_user_calls_it(store: Any, uri: str, path: str) -> None:
    assert opened_store(uri)[1] == path


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("ftp://bucket/x", "must be a folder, or s3://"),
        ("s3://", "must name a bucket, as s3://bucket/folder does."),
        ("s3:///x", "must name a bucket, as s3://bucket/folder does."),
        ("s3://[bucket/x", r"is no URI \(Invalid IPv6 URL\); correct it\.$"),
        ("s3://bucket/run#1", "must not have a '#', which ends the folder's name; write %23 for it."),
        ("s3://bucket/50%", r"cannot be opened \(.*\); correct it\.$"),
        ("s3://bucket/x?colour=red", r"cannot be opened \(.*\); correct it\.$"),
        ("s3://bucket/\udcff", r"cannot be opened \(.*\); correct it\.$"),
    ],
)
def test_what_is_no_uri_of_a_store_is_refused_in_a_line(store: Any, uri: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        opened_store(uri)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("scheme", "cure"), [("s3", "AWS_ACCESS_KEY_ID and "), ("gs", "GOOGLE_APPLICATION_")])
def test_keys_in_a_uri_are_refused_and_not_repeated(scheme: str, cure: str) -> None:
    with pytest.raises(ConfigError, match=f"keys must not be in the URI; set {cure}") as refused:
        opened_store(f"{scheme}://key:hidden@bucket/x")
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("endpoint", ["localhost:9000", "127.0.0.1", "ftp://host"])
def test_an_endpoint_that_is_no_address_does_not_send_results_to_amazon(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(ConfigError, match=r"^AWS_ENDPOINT_URL=.*: must be the address of a store, as http://host"):
        opened_store("s3://bucket/x")


def test_a_store_has_one_folder_here_however_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder_here("s3://bucket/a") == folder_here("s3://bucket/a/") != folder_here("s3://bucket/b")
    assert len(folder_here(f"s3://bucket/{'größe' * 100}").name) < 200


def test_where_nothing_can_be_written_here_it_is_said_what_moves_it(
    store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"is a file; set XDG_CACHE_HOME to another place\.$"):
        storage_at("s3://bucket/x", "book.jsonl")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "~nobody-of-that-name/cache")
    with pytest.raises(ConfigError, match=r"there is no home folder for the results here; set XDG_CACHE_HOME\.$"):
        folder_here("s3://bucket/x")
