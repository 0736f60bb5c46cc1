"""What a finished run is told when it is sampled: from held-out images."""

from typing import Any

import numpy as np

from gan_jax import data
from gan_jax.config.plan import Plan
from gan_jax.sampling import tokens
from gan_jax.types import InputError
from gan_jax.workdir import layout
from gan_jax.workdir.trained import Trained


def by_text(
  trained: Trained, asked: Plan, workdir: Any, num: int
) -> tuple[dict[str, Any], np.ndarray | None]:
  """As `held_out`, with the text of `sample.text` for all, if there is one.

  Prints the words that the run's captions lack.

  Raises:
    InputError: the run is told no text, or as in `held_out`.
  """
  text, names = asked.sample.text, trained.plan.given
  if not text:
    return held_out(trained, asked, workdir, num)
  if 'text' not in names:
    told = ', '.join(names) or 'nothing but labels'
    raise InputError(
      f'sample.text: this run is told {told}, and no text; train one with '
      'given=text, such as configs/stackgan_emoji.py'
    )
  if trained.info.vocabulary:
    missing = tokens.unknown(text, trained.info.vocabulary)
    if missing:
      print(
        f'note: no caption of this run has {", ".join(missing)}; each is read '
        'as a word that is not known'
      )
  return prompted(trained, asked, workdir, num, text)


def prompted(
  trained: Trained, asked: Plan, workdir: Any, num: int, text: str
) -> tuple[dict[str, Any], np.ndarray | None]:
  """As `held_out`, with a text for all where a run takes one.

  What may be missing is, if the data need not be read for something else.
  """
  given, targets = {}, None
  if _needed(trained) - {'text'}:
    given, targets = held_out(trained, asked, workdir, num)
  if 'text' in trained.plan.given:
    given = given | {'text': text}
  return given, targets


def _needed(trained: Trained) -> set[str]:
  """Columns that a run cannot be asked without."""
  columns = trained.model.drawing['columns']
  return {name for name, column in columns.items() if not column.optional}


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
