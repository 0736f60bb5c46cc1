"""search.html: what a search has tried and found."""

import io
import pathlib
import warnings
from typing import Any

import numpy as np

from gan_jax.reporting import page

_MOST = 50  # trials in the table
Results = Any  # of gan_jax.search.results, which is above this room


def write(results: Results, study: Any, path: pathlib.Path) -> None:
  """Writes the page.

  Args:
    results: a `gan_jax.search.results.Results`.
    study: Optuna's, for its plots.
    path: of the page.

  Raises:
    OSError: it cannot be written.
  """
  first, *others = results.words()
  keys = results.space.keys
  found = page.Page(
    f'Search: {path.parent.name}', page.paragraph(first, 'pale')
  )
  found.add('Found', page.listed(others), page.code(*_commands(path)))
  found.add('On the way', page.charts(_history(results)))
  found.add('What mattered', _bars(results.importances))
  found.add('All trials at once', *_plots(study, results.name))
  found.add('Trials', _table(results, keys))
  rows = [(d.key, _described(d)) for d in results.space.dimensions]
  found.add(
    'What was searched',
    page.table(('key', 'values'), rows, long=(1,)),
    page.paragraph(f'Trials are kept in {results.url}.', 'pale'),
  )
  found.write(path)


def _commands(path: pathlib.Path) -> list[str]:
  """How to run what was found."""
  files = sorted(path.parent.glob('best_[0-9]*.py'))
  return [f'python run.py --config={file}' for file in files]


def _described(dimension: Any) -> str:
  if dimension.choices:
    return ', '.join(map(str, dimension.choices))
  log = ', by logarithms' * dimension.log
  return f'{dimension.low} to {dimension.high}{log}'


def _history(results: Results) -> list[dict[str, Any]]:
  """Scores by trial, and the best so far."""
  done = [t for t in results.tried if t.state == 'complete']
  if not done:
    return []
  numbers, values = [t.number for t in done], [t.score for t in done]
  best = np.minimum if results.better == 'lower' else np.maximum
  so_far = best.accumulate(values).tolist()
  low, high = min(values), max(values)
  pad = 0.05 * (high - low) or 1.0
  series = [
    {'name': 'each trial', 'x': numbers, 'y': values, 'raw': None},
    {'name': 'best so far', 'x': numbers, 'y': so_far, 'raw': None},
  ]
  for i, curve in enumerate(series):
    curve |= {'colour': i, 'points': not i, 'dash': '1 6' * (not i)}
  limits = [low - pad, high + pad]
  title = f'{page.text(results.name)} by trial'
  return [{'title': title, 'series': series, 'limits': limits}]


def _bars(importances: dict[str, float]) -> str:
  """Shares of the variance as bars."""
  if not importances:
    return page.paragraph('Too few complete trials to say.', 'pale')
  rows = [
    (
      key,
      page.Cell(f'<meter min="0" max="1" value="{share}"></meter>'),
      f'{share:.0%}',
    )
    for key, share in importances.items()
  ]
  about = 'Shares of the variance of the score over the space, by fANOVA.'
  return page.table(('key', '', 'share'), rows) + page.paragraph(about, 'pale')


def _plots(study: Any, name: str) -> list[str]:
  """Optuna's parallel coordinates."""
  import matplotlib
  from matplotlib.backends.backend_agg import FigureCanvasAgg

  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    matplotlib.use('Agg')
    from matplotlib import pyplot
    from optuna.visualization.matplotlib import plot_parallel_coordinate

    try:
      axis = plot_parallel_coordinate(study, target_name=name)
    except (ValueError, RuntimeError):
      return []
    figure = axis.figure
    figure.set_size_inches(max(8, 1.8 * len(figure.axes)), 4.5)
    axis.set_title('')
    FigureCanvasAgg(figure).draw()
    data = io.BytesIO()
    figure.savefig(data, dpi=100, bbox_inches='tight')
    pyplot.close(figure)
  from PIL import Image

  pixels = np.asarray(Image.open(data).convert('RGB'))
  words = 'a line a trial, from key to key; the colour is the score'
  return [page.figure(pixels, words, 'plot')]


def _table(results: Results, keys: list[str]) -> str:
  """The best trials, and those that failed."""
  rest = [t for t in results.tried if t.state != 'complete']
  rows = [
    (
      trial.number,
      '' if trial.score is None else f'{trial.score:.4g}',
      trial.state,
      f'{trial.seconds:.0f} s',
      *(_short(trial.values.get(key)) for key in keys),
      trial.problem[:200],
    )
    for trial in (*results.ranked, *rest)[:_MOST]
  ]
  return page.table(('trial', results.name, 'state', 'time', *keys, ''), rows)


def _short(value: Any) -> str:
  return f'{value:.3g}' if isinstance(value, float) else str(value)
