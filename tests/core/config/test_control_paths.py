"""The run that is to be halted is found, whatever else is wrong with its file."""

from __future__ import annotations

import pytest

from axon_quant.config import load_config, parse_config
from axon_quant.config.paths import control_paths
from axon_quant.errors import ConfigError


def test_they_stand_beside_the_journal(minimal, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text(minimal)
    config = parse_config(minimal, file)
    assert control_paths(file) == config.control
    assert config.control.socket.name == config.journal.path.name + ".sock"
    assert config.control.halt_file.name == config.journal.path.name + ".halted"


def test_a_socket_may_be_named(minimal, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text(minimal + '\n[operations]\nsocket = "run/axon.sock"\n')
    assert control_paths(file) == parse_config(file.read_text(), file).control
    assert control_paths(file).socket == tmp_path / "run" / "axon.sock"


def test_a_mistake_elsewhere_does_not_keep_a_halt_from_coming_through(minimal, tmp_path):
    file = tmp_path / "c.toml"
    text = minimal.replace(
        "[exchange]", '[risk]\nmax_drawdwon = "a lot"\n\n[exchange]\napi_key = "env:NO_SUCH_VARIABLE"'
    )
    file.write_text(text)
    with pytest.raises(ConfigError):
        parse_config(text, file)
    assert control_paths(file).socket.parent == control_paths(file).halt_file.parent


@pytest.mark.parametrize(
    ("text", "said"),
    [("= =", "not valid TOML"), ("[journal]\npath = 7\n", r"no \[journal\] path"), ("", r"no \[journal\] path")],
)
def test_a_file_that_names_no_journal_is_an_error(tmp_path, text, said):
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        control_paths(file)


def test_a_file_that_is_not_there_is_told_as_by_every_other_command(tmp_path):
    file = tmp_path / "none.toml"
    with pytest.raises(ConfigError) as controlled:
        control_paths(file)
    with pytest.raises(ConfigError) as loaded:
        load_config(file)
    assert str(controlled.value) == str(loaded.value)
