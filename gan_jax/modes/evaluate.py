"""`--mode=evaluate`: a finished run scored, with how it was measured."""

import pathlib
from typing import Any

from gan_jax import data
from gan_jax.config import plan
from gan_jax.devices import parallel
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation import report
from gan_jax.evaluation.evaluator import Discriminator, Evaluator, Result
from gan_jax.sampling.weights import weights_name
from gan_jax.workdir import layout
from gan_jax.workdir.trained import restore


def evaluate(config: Any, workdir: str | pathlib.Path) -> Result:
  """Scores a run and writes metrics.json.

  Args:
    config: `member`, `data.dir`, and its `eval` section, see configs/base.py.
    workdir: of the run.

  Returns:
    Scores with the protocol they were measured by.

  Raises:
    InputError: a key that makes no sense, data that has changed, too few
      images, or something not finite.
  """
  asked = plan.read(config)
  keys = asked.eval
  trained = restore(workdir, keys.checkpoint, asked.member)
  names = keys_lib.check(keys, trained.info)
  path = layout.prepare(workdir)
  dataset = data.load_dataset(**trained.plan.dataset(asked.data_dir))
  layout.check_data(path, dataset.info)
  step = int(trained.state.step)
  whose = {} if trained.member is None else {'member': trained.member}
  evaluator = Evaluator(
    keys, dataset, devices=parallel.select_devices(asked.num_devices)
  )
  gan = trained.sampler(ema=keys.ema, batch_norm=keys.batch_norm)
  result = evaluator.score(
    gan,
    names,
    keys.num_samples,
    disc=Discriminator(
      gan.discriminate,
      trained.plan.criterion.boundary,
      trained.plan.conditional,
    ),
    step=step,
    checkpoint=keys.checkpoint,
    images_seen=step * trained.plan.schedule.images_per_step,
    weights=weights_name(trained.state, keys.ema),
    batch_norm=keys.batch_norm,
    **whose,
  )
  _write(result, path / 'metrics.json')
  return result


def _write(result: Result, path: pathlib.Path) -> None:
  """Leaves the scores on the screen, and in a file."""
  fields = ('scores', 'protocol', 'warnings')
  for line in report.report(result):
    print(line)
  layout.write_json(path, {name: getattr(result, name) for name in fields})
  print(f'written to {path}')
