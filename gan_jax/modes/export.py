"""`--mode=export`: a trained generator for programs that know nothing of us."""

import contextlib
import datetime
import hashlib
import io
import pathlib
from typing import Any

import jax
import numpy as np

from gan_jax.config import plan
from gan_jax.config.serving import Export
from gan_jax.data import licences
from gan_jax.process.environment import environment
from gan_jax.reporting import card, pictures
from gan_jax.sampling import exporting
from gan_jax.sampling.weights import weights_name
from gan_jax.storage.files import atomic
from gan_jax.types import InputError
from gan_jax.workdir import exported, layout, output, scored
from gan_jax.workdir.trained import Trained, restore
from gan_jax.workdir.trained_gan import TrainedGAN

_DRAWN = 64  # images of samples.png
_CHECKED = 16  # images that have to be the sampler's
_ONNX = 'generator.onnx'


def export(
  config: Any,
  workdir: str | pathlib.Path,
  out: str | pathlib.Path | None = None,
) -> pathlib.Path:
  """Writes a folder with a generator that runs on JAX alone; see `exported`.

  What is written is read back, and its images compared with the sampler's.

  Args:
    config: `member`, and its `export` section: platforms, onnx, license,
      data_license, checkpoint, ema, batch_norm, truncation, psi, psi_cutoff,
      seed of the picture.
    workdir: of the run.
    out: folder; None for export/ in the workdir.

  Returns:
    The folder.

  Raises:
    InputError: there is no run, it cannot be written, or ONNX is not installed.
  """
  asked = plan.read(config)
  keys = asked.export
  path = layout.absolute(workdir)
  trained = restore(workdir, keys.checkpoint, asked.member, asked.denoise)
  gan = trained.sampler_of(keys)
  folder = output.folder(out, path / 'export')
  if layout.has_checkpoint(folder):
    raise InputError(
      f'out: {folder} holds a run, whose files would be replaced; name another '
      '--out'
    )
  for name in (exported.MANIFEST, _ONNX):  # of what is about to be replaced
    (folder / name).unlink(missing_ok=True)
  made = exporting.exported(gan, keys.platforms, keys.truncation)
  _write(folder / 'generator.jax', made.draw)
  _write(folder / 'latents.jax', made.latents)
  worst = _check(folder, gan, keys)
  num = exported.save_weights(folder / exported.WEIGHTS, gan.variables)
  fields = trained.plan.fields
  layout.write_json(folder / 'config.json', fields)
  layout.write_json(folder / 'dataset.json', trained.info._asdict())
  pictures.save_image(folder / 'samples.png', _picture(gan, keys.seed))
  if keys.onnx:
    worst[_ONNX] = _onnx(folder / _ONNX, gan)
  manifest = _manifest(trained, gan, keys, made, path) | {
    'name': path.name,
    'num_parameters': num,
    'levels_apart': worst,
  }
  manifest['files'] = _files(folder)
  layout.write_json(folder / exported.MANIFEST, manifest)
  with atomic(folder / 'README.md') as temporary:
    temporary.write_text(card.card(manifest, fields))
  print(
    f'written to {folder}: generator.jax for {", ".join(keys.platforms)}, '
    f'{num:,} numbers; README.md says how to use it'
  )
  for name, levels in worst.items():
    same = 'equal' if not levels else f'within {levels} of 255 levels'
    print(f'  {name}: {_CHECKED} images are {same} to those of --mode=sample')
  return folder


def _write(path: pathlib.Path, data: bytes) -> None:
  with atomic(path) as temporary:
    temporary.write_bytes(data)


def _given(gan: TrainedGAN, num: int) -> list[np.ndarray]:
  """What the exported function takes beside latents, of some examples."""
  rng = np.random.default_rng(0)
  found = []
  for argument in exporting.arguments_of(gan)[1:]:
    if argument.name == 'labels':
      found.append(np.arange(num, dtype=np.int32) % gan.num_classes)
      continue
    shape = (num, *argument.shape)
    values = rng.integers(0, 2, shape) * (
      255 if argument.dtype == 'uint8' else 1
    )
    found.append(values.astype(argument.dtype))
  return found


def _sampled(gan: TrainedGAN, latents: np.ndarray) -> np.ndarray:
  """The sampler's images of the same."""
  names = [argument.name for argument in exporting.arguments_of(gan)[1:]]
  told = dict(zip(names, _given(gan, len(latents)), strict=True))
  labels = told.pop('labels', None)
  return np.asarray(
    jax.jit(exporting.drawing(gan))(
      latents, *([] if labels is None else [labels]), *told.values()
    )
    if told
    else gan.generate(latents, labels)
  )


def _check(
  folder: pathlib.Path, gan: TrainedGAN, keys: Export
) -> dict[str, int]:
  """Reads the programs back; levels by which images differ from the sampler's.

  Raises:
    InputError: latents are not the sampler's.
  """
  wanted = gan.latents(_CHECKED, seed=keys.seed, truncation=keys.truncation)
  read = {
    name: jax.export.deserialize(bytearray((folder / name).read_bytes())).call
    for name in ('generator.jax', 'latents.jax')
  }
  latents = read['latents.jax'](
    np.uint32(keys.seed), np.arange(_CHECKED, dtype=np.int32)
  )
  if not np.allclose(latents, wanted, rtol=1e-5, atol=1e-6):
    raise InputError('export: latents of the exported program are others')
  images = read['generator.jax'](wanted, *_given(gan, _CHECKED))
  return {'generator.jax': _apart(images, _sampled(gan, wanted))}


def _apart(a: Any, b: Any) -> int:
  return int(np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).max())


def _picture(gan: TrainedGAN, seed: int) -> np.ndarray:
  """A grid of what is drawn, by class where there are classes."""
  if gan.columns:
    latents = gan.latents(_DRAWN // 4, seed=seed)
    return pictures.grid(_sampled(gan, latents))
  columns = pictures.columns_of(_DRAWN, gan.num_classes)
  num = _DRAWN - _DRAWN % columns
  return pictures.grid(gan.sample(num, seed=seed), columns)


def _onnx(path: pathlib.Path, gan: TrainedGAN) -> int:
  """Writes generator.onnx; levels by which its images differ.

  Raises:
    InputError: the converter is not there, or cannot do this network.
  """
  try:
    with contextlib.redirect_stderr(io.StringIO()):  # of plugins that it lacks
      import jax2onnx
      import onnx
      import onnxruntime
  except ImportError as error:
    raise InputError(
      f'export.onnx: {error}; install what requirements-onnx.txt lists'
    ) from error
  arguments = exporting.arguments_of(gan)
  specs = [
    jax.ShapeDtypeStruct((_CHECKED, *x.shape), x.dtype) for x in arguments
  ]
  draw = exporting.drawing(gan)
  try:
    model = jax2onnx.to_onnx(draw, specs, model_name='generator')
    with atomic(path) as temporary:
      onnx.save(model, str(temporary))
    session = onnxruntime.InferenceSession(
      str(path), providers=['CPUExecutionProvider']
    )
    latents = gan.latents(_CHECKED)
    names = [each.name for each in session.get_inputs()]
    given = dict(zip(names, [latents, *_given(gan, _CHECKED)], strict=True))
    images = session.run(None, given)[0]
  except Exception as error:
    path.unlink(missing_ok=True)
    raise InputError(
      f'export.onnx: jax2onnx cannot convert this network: '
      f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'
    ) from error
  return _apart(images, _sampled(gan, latents))


def _manifest(
  trained: Trained,
  gan: TrainedGAN,
  keys: Export,
  made: exporting.Exported,
  path: pathlib.Path,
) -> dict[str, Any]:
  """What others have to know, but for what is in the folder."""
  info, now = trained.info, environment()
  record = {}
  with contextlib.suppress(InputError):
    record = scored.read(path).get(trained.member, {})
  shape = list(gan.image_shape)
  picture = {'name': 'images', 'shape': shape, 'dtype': 'uint8'}
  licence = keys.data_license or licences.of_dataset(info.name)
  return {
    'format': 1,
    'network': trained.plan.network,
    'step': int(trained.state.step),
    'weights': weights_name(trained.state, keys.ema),
    'batch_norm': keys.batch_norm,
    'truncation': keys.truncation,
    'psi': keys.psi,
    'psi_cutoff': keys.psi_cutoff,
    'inputs': [argument._asdict() for argument in made.arguments],
    'outputs': [picture | {'about': 'from 0 to 255, channels last'}],
    'classes': list(gan.class_names) or list(map(str, range(gan.num_classes))),
    'prior': gan.prior,
    'platforms': list(keys.platforms),
    'calling_convention': made.oldest,
    'license': keys.license,
    'data': {
      'name': info.name,
      'version': info.version,
      'num_train': info.num_train,
      'license': licence,
    },
    'scores': record.get('scores'),
    'protocol': record.get('protocol'),
    'packages': now['packages'],
    'commit': now['git_commit'],
    'written': datetime.datetime.now(datetime.UTC).isoformat('T', 'seconds'),
  }


def _files(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
  """Sizes and SHA-256 of what lies in the folder."""
  names = ('generator.jax', 'latents.jax', exported.WEIGHTS, _ONNX)
  found = {}
  for name in names:
    if (folder / name).is_file():
      data = (folder / name).read_bytes()
      digest = hashlib.sha256(data).hexdigest()
      found[name] = {'bytes': len(data), 'sha256': digest}
  return found
