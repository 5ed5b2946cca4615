"""The house rules that a machine can check, each a pure function of a path and a text.

A rule returns what is wrong as `path:line: what, and what to do instead`; an empty list means that it holds.
`tests/tidy/test_tidy.py` holds every rule against every file of ours and against its own counterexamples.
"""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatchcase
from functools import cache

from tests.tidy.sources import ROOT

MAX_LINES = 500
# A file of tests is a list of cases: long to scroll, but never to be held in the head at once.
MAX_LINES_OF_TESTS = 700
LONG_FILE_REASON = "One file because"

# Written in two pieces, so that this file does not break its own rule.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:home|Users|root|work|workspace|mnt|scratch)/[\w.-]+")
REGISTRY = re.compile(
    r"pypi\.or" + r"g|pythonhoste" + r"d|--(?:extra-)?index-ur" + r"l|--find-link" + r"s|artifactor" + r"y",
    re.IGNORECASE,
)
PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
API_KEY = re.compile(r"(?<![\w+/=-])[A-Za-z0-9]{64}(?![\w+/=-])")
LINK = re.compile(r"\]\(([^()\s]+)\)")

# Where a binary floating point number would sooner or later be money.
MONEY = (
    "protocols/*.py",
    "actors/account/*.py",
    "actors/book/*.py",
    "actors/journal/*.py",
    "actors/portfolio/*.py",
    "actors/risk/*.py",
    "actors/router/*.py",
)
BROAD = frozenset({"Exception", "BaseException"})
# Calls that can fail a test, by the beginning of their names.
ASSERTING = ("assert", "check", "expect", "verify", "fail", "raises", "warns", "run_state_machine_as_test", "until")


def too_long(path: str, text: str) -> list[str]:
    """A Python file over the limit says in its docstring why it is one file."""
    lines = text.count("\n")
    most = MAX_LINES_OF_TESTS if path.startswith("tests/") else MAX_LINES
    if lines <= most or LONG_FILE_REASON in (ast.get_docstring(_parsed(text)) or ""):
        return []
    return [f"{path}:1: {lines} lines: split it, or say `{LONG_FILE_REASON} ...` in its docstring"]


def unfinished(path: str, text: str) -> list[str]:
    """No note to do something later: do it, or open an issue."""
    return _matches(path, text, UNFINISHED, "finish it, or open an issue")


def machine_path(path: str, text: str) -> list[str]:
    """No absolute path of somebody's machine."""
    return _matches(path, text, MACHINE_PATH, "use a path relative to the repository or a setting")


def registry(path: str, text: str) -> list[str]:
    """No package index by host or option: what installs decides where from."""
    return _matches(path, text, REGISTRY, "name packages only; the machine knows its index")


def secret(path: str, text: str) -> list[str]:
    """No private key and nothing that looks like a venue's API key; tests use the vectors that venues publish."""
    if path.startswith("tests/"):
        return []
    keys = _matches(path, text, PRIVATE_KEY, "keys live in Vault or in the encrypted key file")
    tokens = [m for m in API_KEY.finditer(text) if not m[0].isdigit() and m[0] not in (m[0].lower(), m[0].upper())]
    return keys + [
        f"{path}:{text.count(chr(10), 0, m.start()) + 1}: looks like an API key: keys live in Vault" for m in tokens
    ]


def broken_link(path: str, text: str) -> list[str]:
    """A relative link of a document leads to a file that is there."""
    if not path.endswith(".md"):
        return []
    folder = (ROOT / path).parent
    return [
        f"{path}: link to {target!r} leads nowhere"
        for target in LINK.findall(text)
        if "://" not in target and not target.startswith("#") and not (folder / target.partition("#")[0]).exists()
    ]


def untyped(path: str, text: str) -> list[str]:
    """Every function of the packages says what it takes and what it returns."""
    if path.startswith("tests/"):
        return []
    found = []
    for node in ast.walk(_parsed(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            every = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            every += [arg for arg in (node.args.vararg, node.args.kwarg) if arg is not None]
            bare = [arg.arg for arg in every if arg.annotation is None and arg.arg not in {"self", "cls"}]
            if node.returns is None and node.name != "__init__":
                bare.append("return")
            if bare:
                found.append(f"{path}:{node.lineno}: {node.name}: no type for {', '.join(bare)}")
    return found


def no_docstring(path: str, text: str) -> list[str]:
    """Every module says what it is for; an empty `__init__.py` has nothing to say."""
    if not text and path.endswith("__init__.py"):
        return []
    return [] if ast.get_docstring(_parsed(text)) else [f"{path}:1: no module docstring: say what it is for"]


def silent_except(path: str, text: str) -> list[str]:
    """No bare `except`, no swallowed surprise.

    A broad handler raises, or uses the exception that it caught; a narrow one that does nothing has a comment
    that says why doing nothing is right.
    """
    found = []
    lines = text.splitlines()
    for node in ast.walk(_parsed(text)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            found.append(f"{path}:{node.lineno}: bare except: name what you expect")
        elif _is_broad(node.type) and not _raises(node) and not _uses_caught(node):
            found.append(f"{path}:{node.lineno}: a broad except that neither raises nor uses what it caught")
        elif _does_nothing(node) and not _has_comment(lines, node):
            found.append(f"{path}:{node.lineno}: an except that does nothing and does not say why")
    return found


def float_near_money(path: str, text: str) -> list[str]:
    """No float literal and no use of the name `float` where prices, quantities and balances are handled."""
    if not any(fnmatchcase(path, pattern) for pattern in MONEY):
        return []
    found = []
    for node in ast.walk(_parsed(text)):
        match node:
            case ast.Constant(value=float() | complex()):
                found.append(f"{path}:{node.lineno}: float {node.value!r}: use Decimal or an integer of a named unit")
            case ast.Name(id="float"):
                found.append(f"{path}:{node.lineno}: float: use Decimal or an integer of a named unit")
    return found


def mutable_global(path: str, text: str) -> list[str]:
    """No mutable state in a module: no `global`, no list, dict or set under a name that is no constant."""
    tree = _parsed(text)
    found = [
        f"{path}:{node.lineno}: global {', '.join(node.names)}: give the state an owner"
        for node in ast.walk(tree)
        if isinstance(node, ast.Global)
    ]
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if _is_mutable(value) and not name.lstrip("_").isupper() and not name.startswith("__"):
                if name != "pytestmark":
                    found.append(f"{path}:{node.lineno}: {name}: mutable and global: give the state an owner")
    return found


def prints(path: str, text: str) -> list[str]:
    """Only what people run talks to the terminal; everything else logs."""
    if path.startswith(("tools/", "tests/")):
        return []
    return [
        f"{path}:{node.lineno}: print: log it, or return it to who shows it"
        for node in ast.walk(_parsed(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def cannot_fail(path: str, text: str) -> list[str]:
    """Every test can fail: it asserts something, and not a constant."""
    if not path.rpartition("/")[2].startswith("test_"):
        return []
    found = []
    tree = _parsed(text)
    helpers = _asserting_helpers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            inner = list(ast.walk(node))
            if not any(_asserts(child, helpers) for child in inner):
                found.append(f"{path}:{node.lineno}: {node.name} asserts nothing")
            found += [
                f"{path}:{child.lineno}: {node.name} asserts a constant"
                for child in inner
                if isinstance(child, ast.Assert) and isinstance(child.test, ast.Constant) and child.test.value
            ]
    return found


@cache
def _parsed(text: str) -> ast.Module:
    """The syntax tree of a text; shared by all rules, so treat it as read-only."""
    return ast.parse(text)


def _matches(path: str, text: str, pattern: re.Pattern[str], advice: str) -> list[str]:
    return [
        f"{path}:{number}: {match[0]!r}: {advice}"
        for number, line in enumerate(text.splitlines(), start=1)
        for match in pattern.finditer(line)
    ]


def _is_broad(node: ast.expr) -> bool:
    names = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(isinstance(name, ast.Name) and name.id in BROAD for name in names)


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def _uses_caught(handler: ast.ExceptHandler) -> bool:
    return handler.name is not None and any(
        isinstance(node, ast.Name) and node.id == handler.name
        for statement in handler.body
        for node in ast.walk(statement)
    )


def _does_nothing(handler: ast.ExceptHandler) -> bool:
    return all(
        isinstance(node, ast.Pass | ast.Continue)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in handler.body
    )


def _has_comment(lines: list[str], handler: ast.ExceptHandler) -> bool:
    """A comment inside the handler, or on the line right above it."""
    last = max(node.end_lineno or node.lineno for node in handler.body)
    return any("#" in line for line in lines[max(handler.lineno - 2, 0) : last])


def _is_mutable(value: ast.expr) -> bool:
    match value:
        case ast.List() | ast.Dict() | ast.Set() | ast.ListComp() | ast.DictComp() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="list" | "dict" | "set" | "deque" | "defaultdict" | "bytearray")):
            return True
    return False


def _asserting_helpers(tree: ast.Module) -> frozenset[str]:
    """Functions and methods of the file that can fail the test that calls them."""
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("test_")
        if any(_asserts(child, frozenset()) for child in ast.walk(node))
    )


def _asserts(node: ast.AST, helpers: frozenset[str]) -> bool:
    match node:
        case ast.Assert() | ast.Raise():
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in helpers or name.lstrip("_").startswith(ASSERTING)
    return False
