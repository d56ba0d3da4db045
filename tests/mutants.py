"""Mutants of a module: one small defect each, which the module's tests should detect.

Each mutant runs in a forked child, so that what all of them import is imported once.
"""

import ast
import copy
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 120.0
"""A mutant that runs for longer hangs, which somebody would notice [s]."""

_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_RENAMED = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min"} | {
    "any": "all",
    "all": "any",
    "ones": "zeros",
    "zeros": "ones",
}


@dataclass(frozen=True)
class Mutant:
    """A module with one defect.

    Attributes:
        where: line, and what was done there.
        tree: the module.
    """

    where: str
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module's source."""
    module = ast.parse(source)
    types = {id(node) for part in _annotations(module) for node in ast.walk(part)}
    for number, node in enumerate(ast.walk(module)):
        if id(node) in types:
            continue
        for kind in range(_kinds(node)):
            tree = copy.deepcopy(module)
            twin = next(n for i, n in enumerate(ast.walk(tree)) if i == number)
            before = ast.unparse(node)
            after = _wrong(twin, kind)
            line = getattr(node, "lineno", 0)
            yield Mutant(f"{line}: {before} -> {after}", ast.fix_missing_locations(tree))


def _annotations(module: ast.Module) -> Iterator[ast.AST]:
    """Types and decorators, which say nothing about what a program does to its values."""
    for node in ast.walk(module):
        for found in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if found is not None:
                yield found
        yield from getattr(node, "decorator_list", [])


def _kinds(node: ast.AST) -> int:
    """In how many ways a node can be made wrong."""
    match node:
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign():
            return int(type(node.op) in _SWAPPED)
        case ast.Compare():
            return int(type(node.ops[0]) in _SWAPPED)
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert()):
            return 1
        case ast.Constant(value=int() | float()):
            return 1
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return int(name in _RENAMED)
        case ast.Dict():
            return len(node.keys)
    return 0


def _wrong(node: ast.AST, kind: int) -> str:
    """Makes the node wrong; returns what it says then."""
    match node:
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign():
            node.op = _SWAPPED[type(node.op)]()
        case ast.Compare():
            node.ops[0] = _SWAPPED[type(node.ops[0])]()
        case ast.UnaryOp():
            node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
            if isinstance(node.op, ast.Not):
                node.operand = ast.Call(ast.Name("bool", ast.Load()), [node.operand], [])
                node.op = ast.UAdd()
        case ast.Constant():
            value = node.value
            assert isinstance(value, int | float)
            node.value = (not value) if isinstance(value, bool) else value * 1.5 + 1
        case ast.Call(func=ast.Attribute() as function):
            function.attr = _RENAMED[function.attr]
        case ast.Call(func=ast.Name() as name):
            name.id = _RENAMED[name.id]
        case ast.Dict():
            del node.keys[kind], node.values[kind]
    return ast.unparse(node)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module's mutant to whoever imports it."""

    def __init__(self, name: str, tree: ast.Module, path: Path) -> None:
        self._name, self._tree, self._path = name, tree, path

    def find_spec(
        self, name: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name == self._name else None

    def exec_module(self, module: object) -> None:
        exec(compile(self._tree, str(self._path), "exec"), vars(module))


def survives(name: str, path: Path, mutant: Mutant, tests: Sequence[str]) -> bool:
    """Whether all tests pass although the module is a mutant."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = _run(name, path, mutant, tests)
        finally:
            os._exit(code)
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run(name: str, path: Path, mutant: Mutant, tests: Sequence[str]) -> int:
    import pytest

    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    os.nice(5)
    # Whatever has seen the module as it is must be imported anew.
    for known in list(sys.modules):
        if known.split(".")[0] == "tests" or known.startswith("inhand.controller"):
            del sys.modules[known]
    sys.meta_path.insert(0, _Finder(name, mutant.tree, path))
    options = ["-q", "-x", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    return int(pytest.main([*options, *tests]))
