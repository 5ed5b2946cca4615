"""What the documents tell people to type exists: every `bulkhead` command with its options, every make target."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from tests.tidy.sources import read, text_files
from tools.cli.app import cli
from tools.simulator.cli import build_parser

PAGES = [path for path in text_files() if path.suffix == ".md"]
# Only what stands in a code block of its own, indented or after a prompt: prose may shorten.
COMMAND = re.compile(r"^(?: {4,}|\$ )(?:\.venv/bin/)?bulkhead (?P<rest>[^#\n]+)", re.MULTILINE)
MODULE = re.compile(r"^(?: {4,}|\$ )(?:\.venv/bin/)?python -m (?P<module>[\w.]+)", re.MULTILINE)
TARGET = re.compile(r"^ {4,}make (?P<target>[a-z]+)", re.MULTILINE)

COMMANDS = sorted({match["rest"].strip() for page in PAGES for match in COMMAND.finditer(read(page))})
MODULES = sorted({match["module"] for page in PAGES for match in MODULE.finditer(read(page))})
TARGETS = sorted({match["target"] for page in PAGES for match in TARGET.finditer(read(page))})


def misfit(line: str) -> str | None:
    """What is wrong with a documented command line (without the leading `bulkhead`), or None."""
    words = shlex.split(line)
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name!r}"
        command = found
        context = click.Context(command, parent=context)
    known = {option for parameter in command.get_params(context) for option in parameter.opts}
    if command.context_settings.get("ignore_unknown_options"):  # `sim` gives its words to the simulator's own parser
        known |= {option for action in build_parser()._actions for option in action.option_strings}
    unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]
    return f"no option {unknown[0]!r}" if unknown else None


@pytest.mark.parametrize("line", COMMANDS)
def test_every_documented_command_exists(line: str) -> None:
    assert misfit(line) is None


@pytest.mark.parametrize("module", MODULES)
def test_every_documented_module_can_be_run(module: str) -> None:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    if spec.submodule_search_locations is not None:
        assert importlib.util.find_spec(f"{module}.__main__") is not None
    else:
        assert spec.origin is not None
        assert "__main__" in Path(spec.origin).read_text(encoding="utf-8")


def test_every_documented_make_target_exists() -> None:
    makefile = read(next(path for path in text_files() if path.name == "Makefile"))
    assert {"run", "test"} <= set(TARGETS)
    assert [target for target in TARGETS if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_a_wrong_command_or_option_would_be_seen() -> None:
    assert COMMANDS
    assert misfit("no-such-command") == "no command 'no-such-command'"
    assert misfit("actor no-such-verb PATH") == "no command 'no-such-verb'"
    assert misfit("inspect --no-such-option") == "no option '--no-such-option'"
    assert misfit("sim --no-such-option") == "no option '--no-such-option'"
