"""What a finished run is told when it is sampled: from held-out images."""

from typing import Any

import numpy as np

from gan_jax import data
from gan_jax.config.plan import Plan
from gan_jax.types import InputError
from gan_jax.workdir import layout
from gan_jax.workdir.trained import Trained


def held_out(
  trained: Trained, asked: Plan, workdir: Any, num: int
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
  """What is given with the first held-out images of a run's data.

  Args:
    trained: the run.
    asked: what is asked for; its `data.dir` says where the data lies now.
    workdir: of the run.
    num: how many; the images come again where there are fewer.

  Returns:
    Columns `[num, ...]`, and the images themselves, uint8 `[num, H, W, C]`;
    of a run that is told nothing but labels, {} and None.

  Raises:
    InputError: the data cannot be read, or is not the run's.
  """
  names = trained.plan.given
  if not names:
    return {}, None
  try:
    dataset = data.load_dataset(**trained.plan.dataset(asked.data_dir))
    layout.check_data(layout.absolute(workdir), dataset.info)
  except InputError as error:
    raise InputError(
      f'given: this run is told {", ".join(names)}, of held-out images, which '
      f'cannot be read: {error}; name their data.dir, or draw from Python: '
      'load(RUN).sample(num, given=...)'
    ) from error
  indices = np.arange(num) % len(dataset.test)
  given = dataset.test.given(names, indices)
  return given, dataset.test.read(indices)['images']
