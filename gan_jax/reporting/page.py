"""A page of HTML that holds all it shows: pictures, styles, curves.

It asks for nothing else, over the network or from other files. Whatever a user
named is escaped; parts are strings of HTML.
"""

import base64
import functools
import html
import io
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.storage.files import atomic

_ASSETS = pathlib.Path(__file__).parent / 'assets'
_LARGE = 150_000  # bytes of a picture, from which on it is compressed
_QUALITY = 85  # of what is


class Page:
  """Sections one below the other, with links to them on top."""

  def __init__(self, title: str, *lead: str):
    """Begins a page.

    Args:
      title: of it, plain text.
      *lead: HTML below the title.
    """
    self._title, self._lead = title, lead
    self._sections: list[tuple[str, Sequence[str]]] = []

  def add(self, heading: str, *parts: str) -> None:
    """Adds a section; one whose parts are all empty is left out."""
    if any(parts):
      self._sections.append((heading, parts))

  def html(self) -> str:
    """The whole page."""
    links = ''.join(
      f'<a href="#s{i}">{text(heading)}</a>'
      for i, (heading, _) in enumerate(self._sections)
    )
    sections = ''.join(
      f'<section id="s{i}"><h2>{text(heading)}</h2>{"".join(parts)}</section>'
      for i, (heading, parts) in enumerate(self._sections)
    )
    return (
      '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
      '<meta name="viewport" content="width=device-width, initial-scale=1">'
      '<meta name="color-scheme" content="light dark">'
      f'<title>{text(self._title)}</title>'
      f'<link rel="icon" href="data:,"><style>{_asset("page.css")}</style>'
      f'</head><body><h1>{text(self._title)}</h1>{"".join(self._lead)}'
      f'<nav>{links}</nav>{sections}'
      f'<script>{_asset("page.js")}</script></body></html>\n'
    )

  def write(self, path: pathlib.Path) -> None:
    """Writes the page, whole or not at all."""
    with atomic(path) as temporary:
      temporary.write_text(self.html(), encoding='utf-8', errors='replace')


@functools.cache
def _asset(name: str) -> str:
  return (_ASSETS / name).read_text(encoding='utf-8')


# --- Parts --------------------------------------------------------------------


def text(words: Any) -> str:
  """Plain text, escaped."""
  return html.escape(str(words))


def paragraph(words: Any, kind: str = '') -> str:
  """A paragraph of plain text."""
  return f'<p{_class(kind)}>{text(words)}</p>'


def _class(kind: str) -> str:
  return f' class="{kind}"' if kind else ''


def code(*lines: str) -> str:
  """Commands, or a program."""
  return f'<pre>{text(chr(10).join(lines))}</pre>'


def details(summary: str, *parts: str) -> str:
  """What is shown when it is asked for."""
  inner = ''.join(parts)
  return f'<details><summary>{text(summary)}</summary>{inner}</details>'


def listed(items: Iterable[str]) -> str:
  """A list of plain texts; nothing of none."""
  inner = ''.join(f'<li>{text(item)}</li>' for item in items)
  return f'<ul>{inner}</ul>' if inner else ''


class Cell(str):
  """Of a table: HTML as it is, where a plain string would be escaped."""


def bold(words: Any) -> Cell:
  """A cell in bold."""
  return Cell(f'<b>{text(words)}</b>')


def table(
  heads: Sequence[str],
  rows: Iterable[Sequence[Any]],
  long: Sequence[int] = (),
) -> str:
  """A table; nothing without rows.

  Args:
    heads: of the columns.
    rows: cells, plain but for a `Cell`.
    long: numbers of columns that hold sentences; such a table has its cells
      below each other where there is no room.
  """

  def cell(i, value):
    kind = 'long' if i in long else 'number'
    inner = value if isinstance(value, Cell) else text(value)
    return f'<td class="{kind}" data-head="{text(heads[i])}">{inner}</td>'

  body = ''.join(
    f'<tr>{"".join(cell(i, value) for i, value in enumerate(row))}</tr>'
    for row in rows
  )
  if not body:
    return ''
  head = ''.join(f'<th>{text(name)}</th>' for name in heads)
  kind = _class('stacked' * bool(long))
  return f'<div class="wide"><table{kind}><tr>{head}</tr>{body}</table></div>'


def uri(picture: pathlib.Path | np.ndarray) -> str:
  """A picture as an address that holds it.

  Args:
    picture: a PNG's path, or uint8 `[H, W, C]`. Large ones become WebP.

  Raises:
    OSError: it cannot be read.
  """
  from PIL import Image

  kind, data = 'png', io.BytesIO()
  if isinstance(picture, pathlib.Path):
    data.write(picture.read_bytes())
  else:
    pixels = picture[..., 0] if picture.shape[-1] == 1 else picture
    Image.fromarray(pixels).save(data, 'PNG')
  if len(data.getvalue()) > _LARGE:
    image, kind, data = Image.open(data).convert('RGB'), 'webp', io.BytesIO()
    image.save(data, 'WEBP', quality=_QUALITY)
  encoded = base64.b64encode(data.getvalue()).decode()
  return f'data:image/{kind};base64,{encoded}'


def figure(
  picture: pathlib.Path | np.ndarray, caption: str, kind: str = ''
) -> str:
  """A picture and what it shows; a `plot` is dark on a dark page."""
  words = text(caption)
  return (
    f'<figure{_class(kind)}><img src="{uri(picture)}" alt="{words}">'
    f'<figcaption>{words}</figcaption></figure>'
  )


def row(*parts: str) -> str:
  """Figures beside each other, as far as there is room."""
  return f'<div class="row">{"".join(parts)}</div>' if any(parts) else ''


def slider(pictures: Mapping[str, pathlib.Path]) -> str:
  """Pictures of which a slider shows one, the last at first; '' of none."""
  if not pictures:
    return ''
  last = len(pictures) - 1
  images = ''.join(
    f'<img src="{uri(path)}" alt="{text(name)}"{_class("shown" * (i == last))}>'
    for i, (name, path) in enumerate(pictures.items())
  )
  control = (
    f'<input type="range" min="0" max="{last}" value="{last}" '
    f'aria-label="which picture"{" hidden" * (not last)}>'
    '<br><output></output>'
  )
  return f'<div class="slider">{images}{control}</div>'


def charts(panels: Sequence[Mapping[str, Any]]) -> str:
  """Curves, see gan_jax.reporting.charts; '' of none."""
  if not panels:
    return ''
  boxes = ''.join(
    f'<div class="chart"><h3>{text(panel["title"])}</h3>'
    '<div class="key"></div><svg height="210" role="img" '
    f'aria-label="{text(panel["title"])}"></svg></div>'
    for panel in panels
  )
  data = json.dumps(panels, allow_nan=False).replace('<', '\\u003c')
  return (
    f'<div class="charts"><script type="application/json">{data}</script>'
    f'{boxes}</div>'
  )
