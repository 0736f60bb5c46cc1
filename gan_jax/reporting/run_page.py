"""report.html: all that a run has left, on one page."""

import contextlib
import json
import pathlib
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from gan_jax.config import defaults, references, requests
from gan_jax.config.plan import Plan
from gan_jax.diagnosis import checkup
from gan_jax.diagnosis.verdict import (
  DYNAMICS,
  HEALTHY,
  TOO_EARLY,
  Diagnosis,
)
from gan_jax.ensemble import Ensemble
from gan_jax.evaluation import protocol
from gan_jax.evaluation.report import figure
from gan_jax.evaluation.scores import directions
from gan_jax.process.exits import program
from gan_jax.reporting import charts, curves, page, tables
from gan_jax.types import InputError
from gan_jax.workdir import layout, logs, scored
from gan_jax.workdir.trained import read_plan

FILE = 'report.html'
_MOST_GRIDS = 24
_MOST_MEMBERS = 64  # in a table
# Sections that shape no run.
_ASKED = {*requests.SECTIONS} - {'eval', 'non_finite'}


def write(workdir: pathlib.Path) -> pathlib.Path:
  """Writes report.html from what lies in a workdir; reads no checkpoint.

  Returns:
    Its path.

  Raises:
    InputError: there is no run.
    OSError: it cannot be written.
  """
  plan, ensemble = read_plan(workdir)
  report = _Report(workdir, plan, ensemble)
  found = page.Page(workdir.name, *report.lead())
  found.add('Samples', *report.samples())
  found.add('Verdict', *report.verdict())
  found.add('Scores', *report.scores())
  found.add('Curves', *report.curves())
  found.add('Config', *report.changes())
  found.add('How to go on', *report.commands())
  found.add('Environment', *report.environment())
  found.add('Papers', *report.papers())
  found.write(workdir / FILE)
  return workdir / FILE


def refresh(workdir: pathlib.Path) -> None:
  """As `write`, after something has changed; trouble costs a line."""
  try:
    write(workdir)
  except (InputError, OSError) as error:
    print(f'note: {FILE} was not written: {error}')


class _Report:
  """Sections, each as parts of HTML."""

  def __init__(self, workdir: pathlib.Path, plan: Plan, ensemble: Ensemble):
    self.workdir, self.plan, self.ensemble = workdir, plan, ensemble
    self.info = layout.read_info(workdir)
    self.rows = logs.read_metrics(workdir)
    self.step = max((int(row['step']) for row in self.rows), default=0)

  def lead(self) -> Iterator[str]:
    """What was trained on what, and how far."""
    info, schedule = self.info, self.plan.schedule
    shape = ' x '.join(map(str, info.image_shape))
    seeds = self.ensemble.members
    whose = f'seed {seeds[0].seed}'
    if self.ensemble.several:
      whose = f'{len(seeds)} runs in one program'
    yield page.paragraph(
      f'{self.plan.network} on {info.name}: {info.num_train:,} images of '
      f'{shape}; step {self.step:,} of {schedule.num_steps:,}; {whose}',
      'pale',
    )

  def samples(self) -> Iterator[str]:
    """Grids through time."""
    folder = self.workdir / 'samples'
    grids = {
      f'step {int(path.stem[5:]):,}': path
      for path in sorted(folder.glob('step_[0-9]*.png'))
      if path.stem[5:].isdigit()
    }
    final = folder / 'final.png'
    if final.exists():
      grids.pop(f'step {self.step:,}', None)  # the same
      grids[f'the end, step {self.step:,}'] = final
    names = list(grids)
    every = -(-len(names) // _MOST_GRIDS) or 1
    kept = names[::-1][::every][::-1]  # the last in any case
    with contextlib.suppress(OSError, ValueError):
      yield page.slider({name: grids[name] for name in kept})

  # --- How it went ------------------------------------------------------------

  def verdict(self) -> Iterator[str]:
    """What became of the run, in words."""
    if not self.rows:
      return
    critic = self.plan.criterion_at(self.step).boundary is None
    by_member = logs.rows_by_member(self.rows)
    found = {
      number: checkup.of_rows(own, self.plan.diagnose, critic=critic)
      for number, own in by_member.items()
      if number in self.ensemble.by_number
    }
    if None in found:
      yield from _diagnosed(self._of_samples() or found[None])
      return
    yield page.table(
      ('run', 'verdict', 'because'),
      [
        (self._label(n), page.bold(each.verdict), each.reason)
        for n, each in list(found.items())[:_MOST_MEMBERS]
      ],
      long=(2,),
    )

  def _of_samples(self) -> Diagnosis | None:
    """What --mode=diagnose found at the last step."""
    with contextlib.suppress(InputError, TypeError):
      found = Diagnosis(**layout.read_json(self.workdir / 'diagnosis.json'))
      if found.step == self.step:
        evidence = {k: v for k, v in found.evidence.items() if v is not None}
        return found._replace(evidence=evidence)
    return None

  def _label(self, number: int | None) -> str:
    member = self.ensemble.by_number.get(number)
    return f'{number}: {member.label.replace("/", ", ")}' if member else ''

  def scores(self) -> Iterator[str]:
    """What --mode=evaluate has measured, and what was scored on the way."""
    records = {}
    with contextlib.suppress(InputError):
      records = scored.read(self.workdir)
    if not records:
      yield page.paragraph('Not scored yet.', 'pale')
      yield page.code(self._mode('evaluate'))
      return
    first, *others = records.values()
    if None in records:
      columns = {'value': [figure(x) for x in first['scores'].values()]}
    else:
      columns = self._by_group(records, list(first['scores']))
    better = directions(first['protocol']['network'])
    names = [(name, better.get(name, '')) for name in first['scores']]
    yield page.table(
      ('score', 'better', *columns),
      [
        (*name, *row)
        for name, *row in zip(names, *columns.values(), strict=True)
      ],
    )
    if others:
      yield page.paragraph('Mean +- standard deviation over seeds.', 'pale')
    yield page.listed(first.get('warnings', ()))
    yield page.details(
      'how it was measured', page.listed(protocol.lines(first['protocol']))
    )

  def _by_group(
    self, records: dict[int | None, scored.Record], names: Sequence[str]
  ) -> dict[str, list[str]]:
    """Figures of the scores, for runs that differ in their seed alone."""
    values = tables.values_of({n: r['scores'] for n, r in records.items()})
    return {
      label or f'{len(numbers)} seeds': [
        tables.mean_and_spread(tables.of_group(values, numbers, name))
        for name in names
      ]
      for label, numbers in self.ensemble.groups.items()
    }

  def curves(self) -> Iterator[str]:
    """Losses and scores over steps."""
    groups = self.ensemble.groups
    rows = logs.read_rows(self.workdir / 'evaluations.jsonl')
    evaluations = curves.flat_rows(
      row for row in rows if isinstance(row.get('scores'), dict)
    )
    yield page.charts(charts.of_scores(evaluations, groups))
    yield page.charts(charts.of_losses(self.rows, groups))
    each = self.plan.images_per_step
    if each and self.rows:
      yield page.paragraph(f'A step shows D {each:,} real images.', 'pale')

  # --- How it was made --------------------------------------------------------

  def changes(self) -> Iterator[str]:
    """What differs from configs/base.py."""
    base, flat = defaults.base(), layout.flatten(self.plan.fields)
    if not base.values:
      yield page.paragraph('configs/base.py is not here; these are all keys.')
    changed = defaults.changed(flat) if base.values else flat
    changed = {
      key: value
      for key, value in changed.items()
      if key.partition('.')[0] not in _ASKED
    }
    yield page.table(
      ('key', 'here', 'in base.py', 'what it is'),
      [
        (
          key,
          json.dumps(value),
          json.dumps(base.values.get(key)),
          base.meanings.get(key, ''),
        )
        for key, value in changed.items()
      ],
      long=(1, 3),
    )

  def commands(self) -> Iterator[str]:
    """How to resume, sample, score and load the run."""
    starts = self._starts()
    command = starts[-1].get('command', []) if starts else []
    if command and pathlib.Path(command[0]).name in ('run.py', 'gan-jax'):
      yield page.paragraph('To go on, or to see that it is done:')
      yield page.code(f'{program()} {shlex.join(command[1:])}'.rstrip())
    yield page.paragraph('To draw, score, judge and export it:')
    modes = ('sample', 'evaluate', 'diagnose', 'export', 'explore')
    yield page.code(*map(self._mode, modes))
    yield page.paragraph('From Python:')
    yield page.code(
      'import gan_jax',
      '',
      f'run = gan_jax.load({str(self.workdir)!r})',
      'images = run.sample(64, seed=0)  # uint8 [64, H, W, C]',
    )

  def _mode(self, mode: str) -> str:
    where = shlex.quote(str(self.workdir))
    return f'{program()} --mode={mode} --workdir={where}'

  def _starts(self) -> Sequence[dict[str, Any]]:
    with contextlib.suppress(InputError):
      found = layout.read_json(self.workdir / 'environment.json')
      starts = found.get('starts', [])
      return [start for start in starts if isinstance(start, dict)]
    return []

  def environment(self) -> Iterator[str]:
    """Packages, devices and commits of each start."""
    for number, start in enumerate(self._starts(), 1):
      packages = start.get('packages') or {}
      rows = [
        ('command', shlex.join(map(str, start.get('command', ())))),
        ('devices', ', '.join(map(str, start.get('devices', ())))),
        ('platform', start.get('platform', '')),
        ('python', start.get('python', '')),
        ('packages', ', '.join(f'{k} {v}' for k, v in packages.items())),
        ('commit', _commit(start)),
      ]
      table = page.table(('', ''), rows, long=(1,))
      yield table if number == 1 else page.details(f'start {number}', table)

  def papers(self) -> Iterator[str]:
    """What to cite."""
    found = references.papers(self.plan.fields)
    yield page.table(('part', 'paper'), found.items(), long=(1,))
    commits = [_commit(start) for start in self._starts()]
    yield page.paragraph('The program itself:')
    yield page.code(
      '@software{gan_jax,',
      '  title = {gan_jax: generative adversarial networks in JAX},',
      f'  note = {{commit {commits[-1] if commits else "unknown"}}}',
      '}',
    )


def _commit(start: dict[str, Any]) -> str:
  commit = start.get('git_commit') or 'unknown'
  return f'{commit}, with changes' if start.get('git_changes') else commit


def _diagnosed(found: Diagnosis) -> Iterator[str]:
  """A verdict with its reason, warnings, remedies and evidence."""
  kinds = {HEALTHY: 'good', DYNAMICS: 'good', TOO_EARLY: ''}
  kind = kinds.get(found.verdict, 'bad')
  yield page.paragraph(found.verdict, f'verdict {kind}')
  yield page.paragraph(f'At step {found.step:,}: {found.reason}.')
  yield page.listed(found.warnings)
  if found.remedies:
    yield page.paragraph('What may help:') + page.listed(found.remedies)
  rows = [(name, f'{value:.3g}') for name, value in found.evidence.items()]
  yield page.details(
    'evidence', page.table(('measured', 'mean of the window'), rows)
  )
