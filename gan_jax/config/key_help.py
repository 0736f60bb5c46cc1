"""What every key means: the comments of configs/base.py, listed.

Imports no JAX: help comes at once.
"""

import ast
import fnmatch
import io
import os
import pathlib
import re
import sys
import textwrap
import tokenize
import types
from collections.abc import Mapping, Sequence
from typing import Any

from gan_jax.config import completion
from gan_jax.config.overrides import dotted, nearest, take
from gan_jax.process.exits import fail

_WIDTH = 100  # columns of a line
_DEFAULT_WIDTH = 16  # of what most defaults need


def answer(
  arguments: Sequence[str],
  usage: Sequence[str],
  base: types.ModuleType,
  modes: Mapping[str, str],
) -> None:
  """Prints what --help, --helpkeys[=PATTERN] or --completion asks, and ends.

  Args:
    arguments: the command line, without the program.
    usage: paragraphs for `--help`; the table of modes comes after the first.
    base: the module of configs/base.py.
    modes: with a line on each.
  """
  pattern = asked(arguments)
  shells, _ = take(arguments, 'completion')
  if shells:
    lines = [completion.script(shells[-1], modes, base)]
  elif {'--help', '-help', '-h'} & set(arguments):
    lines = [usage[0], table(modes), *usage[1:]]
  elif pattern is not None:
    config, source = base.get_config(), pathlib.Path(base.__file__).read_text()
    lines = listing(config, source, pattern)
    if not lines:
      close = ', '.join(nearest(pattern, dotted(config)))
      fail(f'helpkeys: no key is named like {pattern!r}; nearest: {close}')
  else:
    return
  try:
    print(*lines, sep='\n', flush=True)
  except BrokenPipeError:  # a pager that has seen enough
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  sys.exit(0)


def asked(arguments: Sequence[str]) -> str | None:
  """The pattern of `--helpkeys`, '' for all keys; None if it is not there."""
  for i, argument in enumerate(arguments):
    flag = re.fullmatch('--?helpkeys(?:=(.*))?', argument)
    if flag:
      following = arguments[i + 1 : i + 2]  # --helpkeys PATTERN
      words = [word for word in following if not word.startswith('-')]
      return flag[1] if flag[1] is not None else ''.join(words)
  return None


def listing(
  config: Mapping[str, Any], source: str, pattern: str = ''
) -> list[str]:
  """Lines: name, default and meaning of each key, within 100 columns.

  Args:
    config: with the defaults.
    source: of configs/base.py.
    pattern: part of the dotted names to list, `*` and `?` as in file names.
  """
  known, defaults = meanings(source), dotted(config)
  keys = [key for key in known if fnmatch.fnmatch(key, f'*{pattern}*')]
  width = max(map(len, keys), default=0)
  lines = []
  for key in keys:
    indent = ' ' * (width + _DEFAULT_WIDTH + 4)
    start = f'{key:{width}}  {defaults[key]!r:{_DEFAULT_WIDTH}}  '
    if len(start) > len(indent):  # a long default has a line to itself
      lines.append(start.rstrip())
      start = indent
    lines += textwrap.wrap(
      known[key],
      _WIDTH,
      initial_indent=start,
      subsequent_indent=indent,
      break_on_hyphens=False,
    )
  return lines


def table(lines: Mapping[str, str]) -> str:
  """Names and a line on each, aligned."""
  width = max(map(len, lines))
  return '\n'.join(f'  {name:{width}}  {line}' for name, line in lines.items())


def meanings(source: str) -> dict[str, str]:
  """The comment of each dotted key: beside it, or else above it.

  Lines that begin with `# ---` are headings and belong to no key.

  Args:
    source: a module whose `get_config` returns nested calls of `dict`, or of
      functions of the module that return such.
  """
  comments, alone = _comments(source)
  functions = {
    node.name: node
    for node in ast.parse(source).body
    if isinstance(node, ast.FunctionDef)
  }

  def above(line):
    found = []
    while line - 1 in alone and not comments[line - 1].startswith('---'):
      line -= 1
      found.append(comments[line])
    return ' '.join(reversed(found))

  def walk(node, prefix):
    for item in _outermost_dict(node).keywords:
      key, value = f'{prefix}{item.arg}', item.value
      called = getattr(getattr(value, 'func', None), 'id', None)
      if item.arg is None:  # **keys()
        yield from walk(functions[called], prefix)
        continue
      if called == 'dict' or called in functions:
        yield from walk(functions.get(called, value), f'{key}.')
      elif item.end_lineno in alone or item.end_lineno not in comments:
        yield key, above(item.lineno)
      else:
        yield key, comments[item.end_lineno]

  return dict(walk(functions['get_config'], ''))


def _comments(source: str) -> tuple[dict[int, str], set[int]]:
  """Comments by line, and the lines that hold nothing else."""
  comments, alone = {}, set()
  for token in tokenize.generate_tokens(io.StringIO(source).readline):
    if token.type == tokenize.COMMENT:
      line, column = token.start
      comments[line] = token.string.lstrip('# ')
      if not token.line[:column].strip():
        alone.add(line)
  return comments, alone


def _outermost_dict(node: ast.AST) -> ast.Call:
  """The first call of `dict` in a piece of code, from the outside."""
  return next(
    part
    for part in ast.walk(node)
    if isinstance(part, ast.Call) and getattr(part.func, 'id', '') == 'dict'
  )
