"""A folder that --mode=export has written: G alone, for others to use.

generator.jax        draws images, with JAX alone
latents.jax          draws its latents, likewise
weights.safetensors  G's weights by name
manifest.json        inputs, ranges, classes, protocol and scores, licences
README.md            a model card
config.json          of the run, and dataset.json: gan_jax.load reads the folder
samples.png          what it draws
generator.onnx       where it was asked for
"""

import pathlib
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from gan_jax.sampling.weights import generator_variables
from gan_jax.storage.files import atomic
from gan_jax.types import InputError, Players, TrainState
from gan_jax.workdir import layout

MANIFEST, WEIGHTS = 'manifest.json', 'weights.safetensors'


def is_one(workdir: pathlib.Path) -> bool:
  """Whether a folder is an export, and no run that can be trained on."""
  files = all((workdir / name).is_file() for name in (MANIFEST, WEIGHTS))
  return files and not layout.has_checkpoint(workdir)


def save_weights(path: pathlib.Path, variables: Any) -> int:
  """Writes G's variables by name, such as params/Dense_0/kernel.

  Returns:
    How many numbers there are.
  """
  from safetensors.numpy import save_file

  flat = traverse_util.flatten_dict(variables, sep='/')
  arrays = {name: np.array(x, order='C') for name, x in flat.items()}
  with atomic(path) as temporary:
    save_file(arrays, str(temporary))
  return sum(x.size for x in arrays.values())


def state_of(workdir: pathlib.Path, template: TrainState) -> TrainState:
  """The state of an exported run: G's weights, and nothing of D.

  Args:
    workdir: see above.
    template: shapes of the run's state.

  Raises:
    InputError: the files are not of this run.
  """
  from safetensors import SafetensorError
  from safetensors.numpy import load_file

  path = workdir / WEIGHTS
  try:
    flat = load_file(str(path))
  except (OSError, SafetensorError, ValueError) as error:
    raise InputError(f'workdir: cannot read {path}: {error}') from error
  # Names of flax may have slashes of their own: paths are the template's.
  paths = traverse_util.flatten_dict(generator_variables(template, False))
  wanted = {'/'.join(path): x for path, x in paths.items()}
  for name in sorted(wanted.keys() | flat.keys()):
    now, then = flat.get(name), wanted.get(name)
    if now is None or then is None or now.shape != then.shape:
      raise InputError(
        f'workdir: {path} is not of the config beside it: {name} is '
        f'{"missing" if now is None else now.shape}, and should be '
        f'{"left out" if then is None else then.shape}'
      )
  step = layout.read_json(workdir / MANIFEST).get('step', 0)
  if type(step) is not int:
    raise InputError(f'workdir: {workdir / MANIFEST}: step is no whole number')
  variables = traverse_util.unflatten_dict(
    {path: jax.numpy.asarray(flat['/'.join(path)]) for path in paths}
  )
  params = variables.pop('params')
  return TrainState(
    step=jax.numpy.asarray(step, jax.numpy.int32),
    params=Players(params, {}),
    opt_state=Players({}, {}),
    model_state=Players(variables, {}),
    ema=None,
  )
