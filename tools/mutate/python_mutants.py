"""Make mutants of a Python module. Each has one small change, like a typical mistake.

Some parts can neither lose nor double anything and are not changed: annotations, docstrings, log lines and
their values (`about`), the words of errors, keys of dictionaries (but their entries are dropped), and
decorators without which nothing works.
"""

import ast
import builtins
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from types import CodeType
from typing import Any

from tools.mutate.sql_mutants import IS_SQL, changes

type New = ast.AST | list[ast.AST]
# The replacement of a node, and the short texts before and after.
type Change = tuple[New, str, str]

OTHER_OPERATOR: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
OTHER_NAME = {"min": "max", "max": "min", "any": "all", "all": "any"}
# Each of their arguments is a condition.
CONDITIONS = {"where", "and_", "or_", "filter"}
# `query.limit(1)` becomes `query`.
LINKS = {
    "with_for_update",
    "order_by",
    "limit",
    "distinct",
    "on_conflict_do_update",
    "on_conflict_do_nothing",
}
# `sorted(these)` becomes `these`.
WRAPPERS = {"sorted", "reversed", "set", "suppress"}
KEPT_DECORATORS = {"dataclass", "property", "contextmanager", "classmethod", "logger.inject_lambda_context"}
LINE = 120


@dataclass(frozen=True)
class Mutant:
    """A changed module.

    Attributes:
        key: its name in survivors.toml, without line numbers.
        line: of the change.
        lines: the change only has an effect if one of them is executed; None if it has one on import.
        before, after: the change in short.
        code: the compiled module, or the text of a statement that the module reads.
    """

    key: str
    line: int
    lines: range | None
    before: str
    after: str
    code: CodeType | str


@dataclass(frozen=True)
class _Slot:
    """The place of a node in its parent."""

    owner: ast.AST
    field: str
    index: int | None

    def compile_with(self, new: New, tree: ast.Module, path: str) -> CodeType | None:
        """Compile the module with a replacement here; None if that is not valid Python."""
        before = getattr(self.owner, self.field)
        nodes = new if isinstance(new, list) else [new]
        if self.index is None:
            setattr(self.owner, self.field, nodes[0])
        else:
            setattr(self.owner, self.field, [*before[: self.index], *nodes, *before[self.index + 1 :]])
        try:
            return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
        except SyntaxError:
            return None
        finally:
            setattr(self.owner, self.field, before)


@dataclass(frozen=True)
class _Around:
    """The surroundings of a node: the function, the lines of its statement, and its parent."""

    scope: str = ""
    lines: range | None = None
    parent: ast.AST | None = None
    in_error: bool = False
    in_function: bool = False


def mutants(source: str, path: str, only: Sequence[str] = ()) -> list[Mutant]:
    """Make all mutants of a module.

    Args:
        source: its text.
        path: of the file, for tracebacks.
        only: the functions, classes and constants to change; () for all.
    """
    tree = ast.parse(source)
    seen: Counter[str] = Counter()
    made = []
    for slot, node, around in _walk(tree, _Around()):
        if only and not any(around.scope == name or around.scope.startswith(f"{name}.") for name in only):
            continue
        for new, before, after in _changes(node, around):
            code = slot.compile_with(_located(new, node), tree, path)
            if code is not None:
                key = named(f"{around.scope or 'module'}: {shown(before)} → {shown(after)}", seen)
                line = getattr(node, "lineno", 0) or (around.lines.start if around.lines else 0)
                made.append(Mutant(key, line, around.lines, before, after, code))
    return made


def named(key: str, seen: Counter[str]) -> str:
    """Return the key, with a number if it was seen before."""
    seen[key] += 1
    return key if seen[key] == 1 else f"{key} ({seen[key]})"


def shown(text: str) -> str:
    """Return a piece of code as one short line."""
    line = " ".join(text.split()) or "nothing"
    return line if len(line) <= LINE else f"{line[: LINE - 1]}…"


def _located(new: New, old: ast.AST) -> New:
    for node in new if isinstance(new, list) else [new]:
        if not hasattr(node, "lineno"):
            ast.copy_location(node, old)
    return new


def _walk(node: ast.AST, around: _Around) -> Iterator[tuple[_Slot, ast.AST, _Around]]:
    """Yield the nodes that may be changed, with their places."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "type_params", "bases", "decorator_list", "keys"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _is_left_alone(child):
                continue
            inner = _inner(child, node, around)
            yield _Slot(node, field, index), child, inner
            yield from _walk(child, inner)


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(
        node, ast.Import | ast.ImportFrom | ast.TypeAlias | ast.Assert | ast.expr_context | ast.alias
    ):
        return True
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) == "about"
    if isinstance(node, ast.Expr):
        text = ast.unparse(node.value)
        return isinstance(node.value, ast.Constant) or text.startswith("logger.")
    return False


def _inner(node: ast.AST, parent: ast.AST, around: _Around) -> _Around:
    scope, lines, in_function = around.scope, around.lines, around.in_function
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        scope = f"{scope}.{node.name}" if scope else node.name
    elif isinstance(parent, ast.Module) and isinstance(node, ast.Assign | ast.AnnAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        scope = ast.unparse(target).strip("()")
    if isinstance(node, ast.FunctionDef):
        lines, in_function = range(node.body[0].lineno, (node.end_lineno or 0) + 1), True
    elif isinstance(node, ast.stmt) and in_function:
        body = getattr(node, "body", None)
        lines = range(node.lineno, body[0].lineno if body else (node.end_lineno or node.lineno) + 1)
    elif isinstance(node, ast.ExceptHandler):
        lines = range(node.lineno, node.body[0].lineno)
    in_error = around.in_error or isinstance(node, ast.Raise)
    return _Around(scope, lines, parent, in_error, in_function)


def _changes(node: ast.AST, around: _Around) -> Iterator[Change]:
    for kind, make in CHANGES:
        if isinstance(node, kind):
            yield from make(node, around)


def _with(node: Any, **fields: Any) -> Any:
    new = copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _without[T](items: Sequence[T], index: int) -> list[T]:
    return [*items[:index], *items[index + 1 :]]


def _replaced(node: ast.AST, new: ast.AST) -> Change:
    return new, ast.unparse(node), ast.unparse(new)


def _compare(node: ast.Compare, _around: _Around) -> Iterator[Change]:
    for index, op in enumerate(node.ops):
        ops = [*node.ops[:index], OTHER_OPERATOR[type(op)](), *node.ops[index + 1 :]]
        yield _replaced(node, _with(node, ops=ops))


def _bool_op(node: ast.BoolOp, _around: _Around) -> Iterator[Change]:
    yield _replaced(node, _with(node, op=OTHER_OPERATOR[type(node.op)]()))
    for index, value in enumerate(node.values):
        rest = _without(node.values, index)
        new = rest[0] if len(rest) == 1 else _with(node, values=rest)
        yield new, f"{ast.unparse(node)} without {ast.unparse(value)}", ast.unparse(new)


def _unary_op(node: ast.UnaryOp, _around: _Around) -> Iterator[Change]:
    yield _replaced(node, node.operand)


def _bin_op(node: ast.BinOp, around: _Around) -> Iterator[Change]:
    if isinstance(node.op, ast.BitOr):
        if not isinstance(around.parent, ast.arg):
            yield _replaced(node, node.left)
            yield _replaced(node, node.right)
    elif type(node.op) in OTHER_OPERATOR:
        yield _replaced(node, _with(node, op=OTHER_OPERATOR[type(node.op)]()))


def _constant(node: ast.Constant, around: _Around) -> Iterator[Change]:
    value = node.value
    news: list[Any] = []
    if isinstance(value, bool):
        news = [not value]
    elif isinstance(value, int | float):
        news = [value + 1, value - 1]
    elif isinstance(value, str) and len(value) > LINE // 3 and IS_SQL.search(value):
        for change in changes(value):
            yield _with(node, value=change.text), change.before, change.after
    elif isinstance(value, str) and not around.in_error and not isinstance(around.parent, ast.JoinedStr):
        news = ["" if value else "XX"]
    elif isinstance(value, bytes):
        news = [b"" if value else b"XX"]
    for new in news:
        yield _replaced(node, _with(node, value=new))


def _joined(node: ast.JoinedStr, around: _Around) -> Iterator[Change]:
    for index, value in enumerate(node.values):
        if isinstance(value, ast.FormattedValue) and not around.in_error:
            yield _replaced(node, _with(node, values=_without(node.values, index)))


def _condition(node: ast.If | ast.While, _around: _Around) -> Iterator[Change]:
    if not isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
        new = _with(node, test=ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test))
        yield new, f"if {ast.unparse(node.test)}", f"if not {ast.unparse(node.test)}"


def _either(node: ast.IfExp, _around: _Around) -> Iterator[Change]:
    yield _replaced(node, node.body)
    yield _replaced(node, node.orelse)


def _comprehension(node: ast.comprehension, _around: _Around) -> Iterator[Change]:
    for index, condition in enumerate(node.ifs):
        new = _with(node, ifs=_without(node.ifs, index))
        yield new, f"… if {ast.unparse(condition)}", "…"


def _dict(node: ast.Dict, _around: _Around) -> Iterator[Change]:
    for index, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
        new = _with(node, keys=_without(node.keys, index), values=_without(node.values, index))
        entry = f"{ast.unparse(key)}: {ast.unparse(value)}" if key else f"**{ast.unparse(value)}"
        yield new, f"{{{entry}}}", "{}"


def _elements(node: ast.Tuple | ast.Set, around: _Around) -> Iterator[Change]:
    if isinstance(around.parent, ast.Call | ast.ExceptHandler | ast.Compare) and len(node.elts) > 1:
        for index in range(len(node.elts)):
            yield _replaced(node, _with(node, elts=_without(node.elts, index)))


def _call(node: ast.Call, around: _Around) -> Iterator[Change]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if around.in_error and name.endswith("Error") and not node.keywords:
        return
    for index, keyword in enumerate(node.keywords):
        if ast.unparse(keyword) == "strict=False":
            # The default, which ruff wants to see.
            continue
        new = _with(node, keywords=_without(node.keywords, index))
        yield new, f"{name}({ast.unparse(keyword)})", f"{name}()"
    if name in CONDITIONS:
        for index, argument in enumerate(node.args):
            new = _with(node, args=_without(node.args, index))
            yield new, f"{name}({ast.unparse(argument)})", f"{name}()"
    if name in OTHER_NAME and isinstance(node.func, ast.Name):
        yield _replaced(node, _with(node, func=_with(node.func, id=OTHER_NAME[name])))
    if name in LINKS and isinstance(node.func, ast.Attribute):
        yield node.func.value, f"….{name}(…)", "…"
    if name in WRAPPERS and isinstance(node.func, ast.Name) and node.args and hasattr(builtins, name):
        yield _replaced(node, node.args[0])


def _dropped(node: ast.stmt, _around: _Around) -> Iterator[Change]:
    yield ast.Pass(), ast.unparse(node), "pass"


def _expression(node: ast.Expr, around: _Around) -> Iterator[Change]:
    if isinstance(node.value, ast.Call):
        yield from _dropped(node, around)


def _assignment(node: ast.Assign, around: _Around) -> Iterator[Change]:
    """Drop assignments, except those to names, without which the function fails anyway."""
    if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
        yield from _dropped(node, around)


def _augmented(node: ast.AugAssign, around: _Around) -> Iterator[Change]:
    if type(node.op) in OTHER_OPERATOR:
        yield _replaced(node, _with(node, op=OTHER_OPERATOR[type(node.op)]()))
    yield from _dropped(node, around)


def _return(node: ast.Return, _around: _Around) -> Iterator[Change]:
    if node.value is not None and not isinstance(node.value, ast.Constant):
        yield _replaced(node, _with(node, value=ast.Constant(None)))


def _jump(node: ast.Break | ast.Continue, _around: _Around) -> Iterator[Change]:
    yield _replaced(node, ast.Continue() if isinstance(node, ast.Break) else ast.Break())


def _context(node: ast.With, _around: _Around) -> Iterator[Change]:
    for index, item in enumerate(node.items):
        if item.optional_vars is None:
            rest = _without(node.items, index)
            new: New = _with(node, items=rest) if rest else list(node.body)
            yield new, f"with {ast.unparse(item)}: …", "…"


def _try(node: ast.Try, _around: _Around) -> Iterator[Change]:
    plain: list[ast.AST] = [*node.body, *node.orelse]
    for index, handler in enumerate(node.handlers):
        rest = _without(node.handlers, index)
        new: New = _with(node, handlers=rest) if rest or node.finalbody else plain
        kind = ast.unparse(handler.type) if handler.type else ""
        yield new, f"except {kind}: …", "…"
    if node.finalbody:
        yield (_with(node, finalbody=[]) if node.handlers else plain), "finally: …", "…"


def _decorators(node: ast.FunctionDef | ast.ClassDef, _around: _Around) -> Iterator[Change]:
    for index, decorator in enumerate(node.decorator_list):
        name = ast.unparse(decorator).partition("(")[0]
        if name not in KEPT_DECORATORS:
            new = _with(node, decorator_list=_without(node.decorator_list, index))
            yield new, f"@{ast.unparse(decorator)}", ""


CHANGES: tuple[tuple[Any, Callable[[Any, _Around], Iterable[Change]]], ...] = (
    (ast.Compare, _compare),
    (ast.BoolOp, _bool_op),
    (ast.UnaryOp, _unary_op),
    (ast.BinOp, _bin_op),
    (ast.Constant, _constant),
    (ast.JoinedStr, _joined),
    (ast.If | ast.While, _condition),
    (ast.IfExp, _either),
    (ast.comprehension, _comprehension),
    (ast.Dict, _dict),
    (ast.Tuple | ast.Set, _elements),
    (ast.Call, _call),
    (ast.Expr, _expression),
    (ast.Assign, _assignment),
    (ast.AugAssign, _augmented),
    (ast.Raise | ast.Delete, _dropped),
    (ast.Return, _return),
    (ast.Break | ast.Continue, _jump),
    (ast.With, _context),
    (ast.Try, _try),
    (ast.FunctionDef | ast.ClassDef, _decorators),
)
