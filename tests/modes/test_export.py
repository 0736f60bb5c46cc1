"""`--mode=export`: a generator that draws the same without this project."""

import hashlib
import importlib.metadata
import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import gan_jax
from gan_jax.modes.evaluate import evaluate
from gan_jax.modes.export import export
from gan_jax.modes.sample import sample
from gan_jax.modes.train import train
from gan_jax.sampling import exporting
from gan_jax.types import InputError
from tests.helpers import tiny_digits, tiny_keys

FEW = dict(num_steps=2, export__license='mit')
# What `pip install jax flatbuffers` brings.
_JAX_ALONE = ('jax', 'jaxlib', 'numpy', 'scipy', 'ml_dtypes', 'opt_einsum')
_JAX_ALONE += ('flatbuffers',)


def of_network(name, **keys):
  return {
    'network__name': name,
    'network__gen_widths': None,
    'network__disc_widths': None,
    **tiny_keys(name),
    **keys,
  }


NETWORKS = {
  'mlp': {},
  'a label': {'conditional': True},
  'dcgan': of_network('dcgan'),
  'a label, dcgan': of_network('dcgan', conditional=True),
  'stylegan2': of_network('stylegan2'),
  'a label, biggan': of_network('biggan', conditional=True),
  'sagan': of_network('sagan'),
  'an average': {'ema_decay': 0.5},
  'a source': {'given': ('source',), 'data__derive': 'low_res'},
}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A conditional run, scored, and its export."""
  workdir = tmp_path_factory.mktemp('export') / 'run'
  config = tiny_digits(
    **FEW,
    conditional=True,
    eval__num_samples=20,
    eval__network='random',
    eval__scores=('fid',),
  )
  train(config, workdir)
  evaluate(config, workdir)
  return workdir, export(config, workdir)


@pytest.fixture(scope='module')
def jax_alone(tmp_path_factory):
  """A folder with nothing but JAX and what it reads programs with."""
  folder = tmp_path_factory.mktemp('site')
  for name in _JAX_ALONE:
    for file in importlib.metadata.files(name):
      top = pathlib.Path(file).parts[0]
      source = pathlib.Path(
        importlib.metadata.distribution(name).locate_file(top)
      )
      if top != '..' and not (folder / top).exists():
        (folder / top).symlink_to(source)
  return folder


def drawn_alone(folder, jax_alone, tmp_path):
  """Images of the program in README.md, run where nothing of ours is."""
  code = re.search('```python\n(import numpy.*?)```', card_of(folder), re.S)[1]
  assert len([x for x in code.splitlines() if x]) <= 6
  out = tmp_path / 'images.npy'
  program = '\n'.join(
    [
      'import importlib.util, sys',
      'sys.path[:] = [p for p in sys.path if "site-packages" not in p]',
      f'sys.path.append({str(jax_alone)!r})',
      code,
      f'np.save({str(out)!r}, images)',
      'assert importlib.util.find_spec("flax") is None',
      'assert importlib.util.find_spec("gan_jax") is None',
    ]
  )
  done = subprocess.run(
    [sys.executable, '-S', '-E', '-c', program],
    cwd=folder,
    capture_output=True,
    text=True,
    check=False,
    env={'JAX_PLATFORMS': 'cpu', 'PATH': '/usr/bin:/bin'},
  )
  assert done.returncode == 0, done.stderr
  return np.load(out)


def card_of(folder):
  return (folder / 'README.md').read_text()


def test_it_draws_the_same_where_there_is_jax_alone(run, jax_alone, tmp_path):
  workdir, folder = run
  images = drawn_alone(folder, jax_alone, tmp_path)
  wanted = gan_jax.load(workdir).sample(16, seed=0)
  np.testing.assert_array_equal(images, wanted)


def test_any_number_of_images(run):
  from jax import export as exports

  workdir, folder = run
  draw = exports.deserialize(bytearray((folder / 'generator.jax').read_bytes()))
  assert set(draw.platforms) == {'cpu', 'cuda', 'tpu'}
  gan = gan_jax.load(workdir)
  for num in (1, 3, 70):
    latents, labels = gan.latents(num, seed=5), gan.labels(num, 7)
    np.testing.assert_array_equal(
      draw.call(latents, labels), gan.generate(latents, labels)
    )


def test_the_folder_is_a_run_that_can_be_loaded(run, tmp_path):
  workdir, folder = run
  gan, wanted = gan_jax.load(folder), gan_jax.load(workdir)
  np.testing.assert_array_equal(
    gan.sample(20, seed=3, label=4), wanted.sample(20, seed=3, label=4)
  )
  assert not gan.has_disc
  with pytest.raises(InputError, match='left out the discriminator'):
    gan.discriminate(gan.sample(2), labels='0')
  sample(tiny_digits(sample__num=10), folder, tmp_path)
  with np.load(tmp_path / 'samples.npz') as archive:
    np.testing.assert_array_equal(archive['images'], wanted.sample(10))


def test_the_manifest_says_what_others_have_to_know(run):
  workdir, folder = run
  told = json.loads((folder / 'manifest.json').read_text())
  assert [each['name'] for each in told['inputs']] == ['latents', 'labels']
  assert told['inputs'][0]['shape'] == [gan_jax.load(workdir).latent_dim]
  assert told['outputs'][0]['shape'] == [8, 8, 1]
  assert told['classes'] == list(map(str, range(10)))
  assert told['step'] == 2
  assert told['levels_apart'] == {'generator.jax': 0}
  assert 'fid_random' in told['scores']
  assert told['protocol']['num_fake'] == 20
  assert 'CC BY 4.0' in told['data']['license']
  for name, facts in told['files'].items():
    data = (folder / name).read_bytes()
    assert facts['bytes'] == len(data)
    assert facts['sha256'] == hashlib.sha256(data).hexdigest()


def test_the_card_is_as_hugging_face_reads_it(run):
  _, folder = run
  front, text = re.match(
    '---\n(.*?)\n---\n(.*)', card_of(folder), re.S
  ).groups()
  keys = {
    line.split(': ', 1)[0]: json.loads(line.split(': ', 1)[1])
    for line in front.splitlines()
  }
  assert keys['license'] == 'mit'
  assert keys['pipeline_tag'] == 'unconditional-image-generation'
  assert keys['datasets'] == ['digits']
  (result,) = keys['model-index'][0]['results']
  assert result['metrics'][0]['type'] == 'fid_random'
  headings = re.findall('^## (.*)$', text, re.M)
  assert {'Data', 'Training', 'Scores', 'Limits'} <= set(headings)
  assert '](samples.png)' in text
  assert (folder / 'samples.png').stat().st_size > 100


def test_the_weights_are_plain_safetensors(run):
  from safetensors.numpy import load_file

  workdir, folder = run
  found = load_file(str(folder / 'weights.safetensors'))
  params = gan_jax.load(workdir).variables['params']
  np.testing.assert_array_equal(
    found['params/Dense_0/kernel'], params['Dense_0']['kernel']
  )
  assert not any('disc' in name for name in found)


def test_weights_of_another_run_are_refused(run, tmp_path):
  import shutil

  from safetensors.numpy import load_file, save_file

  _, folder = run
  copy = tmp_path / 'copy'
  shutil.copytree(folder, copy)
  weights = load_file(str(copy / 'weights.safetensors'))
  weights['params/Dense_0/kernel'] = np.zeros((3, 3), np.float32)
  save_file(weights, str(copy / 'weights.safetensors'))
  with pytest.raises(InputError, match='params/Dense_0/kernel is'):
    gan_jax.load(copy)
  (copy / 'weights.safetensors').write_bytes(b'no weights')
  with pytest.raises(InputError, match=r'cannot read .*weights\.safetensors'):
    gan_jax.load(copy)


def test_a_run_is_not_overwritten_and_an_old_onnx_does_not_stay(run, tmp_path):
  workdir, _ = run
  before = (workdir / 'config.json').read_bytes()
  with pytest.raises(InputError, match='holds a run'):
    export(tiny_digits(), workdir, workdir)
  assert (workdir / 'config.json').read_bytes() == before
  (tmp_path / 'generator.onnx').write_text('of other weights')
  export(tiny_digits(), workdir, tmp_path)
  told = json.loads((tmp_path / 'manifest.json').read_text())
  assert 'generator.onnx' not in told['files']
  assert not (tmp_path / 'generator.onnx').exists()


def test_where_it_cannot_be_written(run, tmp_path):
  workdir, _ = run
  (tmp_path / 'file').write_text('')
  with pytest.raises(InputError, match=r'out: .*is a file'):
    export(tiny_digits(), workdir, tmp_path / 'file')
  with pytest.raises(InputError, match='batch statistics'):
    export(tiny_digits(export__batch_norm='batch'), workdir)
  with pytest.raises(InputError, match=r'export\.platforms: unknown name'):
    export(tiny_digits(export__platforms=('gpu',)), workdir)
  with pytest.raises(InputError, match=r'config\.json is missing'):
    export(tiny_digits(), tmp_path / 'none')


@pytest.mark.slow
@pytest.mark.parametrize('case', NETWORKS)
def test_every_family_draws_the_same(case, tmp_path, jax_alone):
  config = tiny_digits(**FEW | NETWORKS[case])
  train(config, tmp_path / 'run')
  folder = export(config, tmp_path / 'run')
  told = json.loads((folder / 'manifest.json').read_text())
  assert told['levels_apart']['generator.jax'] <= 1
  images = drawn_alone(folder, jax_alone, tmp_path)
  assert images.shape == (16, 8, 8, 1)
  gan = gan_jax.load(folder)
  if not gan.columns:
    wanted = gan_jax.load(tmp_path / 'run').sample(16, seed=0)
    apart = np.abs(images.astype(int) - wanted.astype(int))
    assert apart.max() <= 1
    np.testing.assert_array_equal(gan.sample(16, seed=0), wanted)


@pytest.mark.slow
def test_onnx_draws_the_same(run, tmp_path):
  pytest.importorskip('jax2onnx')
  workdir, _ = run
  folder = export(tiny_digits(export__onnx=True), workdir, tmp_path / 'out')
  told = json.loads((folder / 'manifest.json').read_text())
  assert told['levels_apart']['generator.onnx'] <= 1
  assert told['files']['generator.onnx']['bytes'] > 1_000


def test_without_the_converter_it_says_what_to_install(run, monkeypatch):
  monkeypatch.setitem(sys.modules, 'jax2onnx', None)
  with pytest.raises(InputError, match=r'requirements-onnx\.txt'):
    export(tiny_digits(export__onnx=True), run[0])


def test_what_asks_for_the_number_of_images_is_mapped():
  """Some networks cannot be traced with a symbol for it."""
  import jax
  from jax import export as exports

  def awkward(x):
    return x + len(range(len(x)))

  spec = jax.ShapeDtypeStruct((*exports.symbolic_shape('b'), 3), np.float32)
  found = exporting._of_any_number(awkward, [spec], ['cpu'])
  np.testing.assert_array_equal(
    found.call(np.zeros((5, 3), np.float32)), np.ones((5, 3))
  )
