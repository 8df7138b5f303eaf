from __future__ import annotations

import copy
import json
import os
import pickle
import string
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.config import parse_config
from axon_quant.errors import ConfigError
from axon_quant.secrets import Secret

Mistakes = Callable[[str], list[str]]

EXAMPLE = Path(__file__).with_name("complete.toml")
EXAMPLE_TEXT = EXAMPLE.read_text()
VALUE = "hunter2-hunter2"


def with_keys(text: str, api_key: str, api_secret: str) -> str:
    return text.replace("[exchange]", f"[exchange]\napi_key = {api_key}\napi_secret = {api_secret}")


def test_no_way_of_printing_shows_a_secret() -> None:
    secret = Secret(VALUE)
    for text in (repr(secret), str(secret), f"{secret}", f"{secret:>40}", "%s" % secret):  # noqa: UP031
        assert text == "***"
    assert repr([secret]) == "[***]"
    assert secret.reveal() == VALUE


@pytest.mark.parametrize(
    "export",
    [
        json.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        msgspec.to_builtins,
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        list,
        len,
        hash,
        vars,
        bytes,
    ],
)
def test_nothing_exports_a_secret(export: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        export(Secret(VALUE))
    assert VALUE not in "".join(traceback.format_exception(caught.value))


def test_a_configuration_with_a_secret_is_printed_and_flattened_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API", VALUE)
    config = parse_config(with_keys(EXAMPLE_TEXT, '"env:API"', '"env:API"'), EXAMPLE)
    assert config.exchange.api_key == Secret(VALUE)
    assert VALUE not in repr(config) + str(attrs.asdict(config)) + str(attrs.astuple(config))
    with pytest.raises(TypeError):
        pickle.dumps(config)
    with pytest.raises(TypeError):
        msgspec.json.encode(config)
    with pytest.raises(TypeError):
        copy.deepcopy(config)


def test_secrets_are_compared_by_value_and_only_with_secrets() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("another")
    assert Secret("ü") != Secret("u")
    assert Secret(VALUE) != VALUE


def test_a_secret_cannot_be_changed_emptied_or_made_of_something_else() -> None:
    secret = Secret(VALUE)
    with pytest.raises(AttributeError):
        secret._reveal = lambda: "other"
    with pytest.raises(ValueError, match="must not be empty"):
        Secret("")
    with pytest.raises(TypeError, match="is a string"):
        Secret(secret)  # type: ignore[arg-type]


def test_a_secret_is_read_from_a_private_file_next_to_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{VALUE}\n")
    file.chmod(0o600)
    assert Secret.from_source("file:key", tmp_path) == Secret(VALUE)
    assert Secret.from_source(f"file:{file}") == Secret(VALUE)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o620])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_text(VALUE)
    file.chmod(mode)
    with pytest.raises(ConfigError, match="open to the group or to everyone") as caught:
        Secret.from_source("file:key", tmp_path)
    assert caught.value.hint == "chmod 600 it"


def test_a_file_that_cannot_be_a_secret_is_refused(tmp_path: Path) -> None:
    for name, data in (("empty", b"\n"), ("binary", b"\xff"), ("large", b"x" * 70_000)):
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o600)
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir()
    for name, message in (
        ("empty", "is empty"),
        ("binary", "is not UTF-8"),
        ("large", "is larger than"),
        ("pipe", "is not a regular file"),
        ("folder", "is not a regular file"),
        ("none", "cannot be read: No such file"),
        ("nul\x00", "cannot be read: not a path"),
    ):
        with pytest.raises(ConfigError, match=message):
            Secret.from_source(f"file:{name}", tmp_path)


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_says_what_to_do(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("API", raising=False)
    else:
        monkeypatch.setenv("API", value)
    with pytest.raises(ConfigError, match="is not set or empty") as caught:
        Secret.from_source("env:API")
    assert caught.value.hint == "export it before axon starts"


@pytest.mark.parametrize("written", ['"hunter2-hunter2"', "12345678", '["hunter2-hunter2"]', '"env:"', '""', "true"])
def test_a_literal_secret_is_refused_with_its_line(mistakes: Mistakes, minimal: str, written: str) -> None:
    found = mistakes(with_keys(minimal, written, '"env:PATH"'))
    assert found[0].startswith("c.toml:16: exchange.api_key: a secret must not stand in the configuration (write 'env:")
    assert "hunter2" not in "".join(found)
    assert "12345678" not in "".join(found)


@pytest.mark.parametrize("given", ["api_key", "api_secret"])
def test_half_a_key_pair_is_a_mistake(mistakes: Mistakes, minimal: str, given: str) -> None:
    other = {"api_key": "api_secret", "api_secret": "api_key"}[given]
    found = mistakes(minimal.replace("[exchange]", f'[exchange]\n{given} = "env:PATH"'))
    assert found == [f"c.toml:15: exchange.{other}: required with {given}, but missing"]


# A prefix that no message contains by chance, so that finding the text means that it leaked.
SECRETS = st.text(string.ascii_letters + string.digits + "+/=-_!%:", min_size=6, max_size=40).map("Zq9".__add__)


def everything_said(error: ConfigError) -> str:
    formatted = "".join(traceback.format_exception(error))
    return "\n".join([formatted, str(error), repr(error), repr(error.problems), repr(vars(error)), repr(error.args)])


PLACES = [
    'api_key = "{}"',
    'api_key = "env:{}"',
    'api_key = "file:{}"',
    'api_key = "{}:x"',
    'api_key = ["{}"]',
    'api_key = {{ x = "{}" }}',
    'api_kye = "{}"',
    'passphrase = "{}"',
    "api_key = {}",
    'api_key = "{}',
    'api_key = "env:PATH"\napi_key = "{}"',
]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PLACES), SECRETS)
def test_no_error_repeats_what_stands_in_the_place_of_a_secret(place: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(EXAMPLE_TEXT.replace("[exchange]", f"[exchange]\n{place.format(value)}"), EXAMPLE)
    assert value not in everything_said(caught.value)


@settings(max_examples=40, deadline=None)
@given(SECRETS, st.sampled_from([0o600, 0o644]))
def test_no_error_and_no_repr_shows_a_secret_that_was_read(value: str, mode: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AXON_TEST_SECRET", value)
        file = Path(folder) / "key"
        file.write_text(value)
        file.chmod(mode)
        text = with_keys(EXAMPLE_TEXT, '"env:AXON_TEST_SECRET"', f'"file:{file}"')
        try:
            config = parse_config(text, EXAMPLE)
        except ConfigError as error:
            assert mode == 0o644
            said = everything_said(error)
        else:
            assert mode == 0o600
            assert config.exchange.api_secret == Secret(value)
            said = repr(config) + str(config.exchange.api_key)
        assert value not in said
        with pytest.raises(ConfigError) as caught:
            parse_config(text.replace("seed = 7", "sede = 7"), EXAMPLE)
        assert value not in everything_said(caught.value)
