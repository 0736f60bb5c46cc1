"""Our Inception against torch-fidelity's, through a file of torch.save."""

import hashlib
import importlib.util

import jax
import numpy as np
import pytest

from gan_jax.features import inception
from gan_jax.features.weights import load_inception
from tests.peers import import_torch_fidelity, inception_extractor

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings('ignore')]
OUTPUTS = ('features', 'logits', 'biased_logits')


@pytest.fixture(scope='module')
def networks(tmp_path_factory):
  """Theirs with random weights, and ours with the file that they saved."""
  torch = pytest.importorskip('torch')
  if importlib.util.find_spec('torch_fidelity') is None:
    pytest.skip('torch_fidelity is not installed')
  folder = tmp_path_factory.mktemp('inception')
  empty, path = folder / 'empty.pth', folder / 'weights.pth'
  torch.save({}, empty)
  extractor = import_torch_fidelity().FeatureExtractorInceptionV3
  torch.manual_seed(0)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(extractor, 'load_state_dict', lambda *_: None)
    theirs = inception_extractor(empty)
  with torch.no_grad():
    for module in theirs.modules():
      if isinstance(module, torch.nn.Conv2d):
        torch.nn.init.kaiming_normal_(module.weight)
        # Else all images end up alike.
        module.weight -= 0.3 * module.weight.mean((1, 2, 3), keepdim=True)
      elif isinstance(module, torch.nn.BatchNorm2d):
        module.weight.uniform_(0.9, 1.5)
        module.running_var.uniform_(0.5, 1.5)
        module.bias.normal_(0, 0.1)
        module.running_mean.normal_(0, 0.1)
  torch.save(theirs.state_dict(), path, _use_new_zipfile_serialization=False)
  sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
  variables, _ = load_inception(str(path), sha256=sha256, cache_dir=folder)
  apply = jax.jit(
    inception.apply, compiler_options=inception.COMPILER_OPTIONS['cpu']
  )
  yield theirs, lambda images: apply(variables, images)
  for file in folder.iterdir():
    file.unlink()


def images_of(size, channels):
  """Flat, a gradient, squares and noise."""
  images = np.random.default_rng(size).integers(
    0, 256, (4, size, size, channels)
  )
  images[0] = 17
  images[1] = np.linspace(0, 255, size)[:, None]
  images[2] = images[2, ::8, ::8].repeat(8, 0).repeat(8, 1)[:size, :size]
  return images.astype(np.uint8)


@pytest.mark.parametrize(
  ('size', 'channels'), [(32, 3), (64, 3), (299, 3), (400, 3), (28, 1)]
)
def test_parity(size, channels, networks):
  import torch

  theirs, ours = networks
  images = images_of(size, channels)
  colour = np.broadcast_to(images, (*images.shape[:3], 3))
  expected = theirs(torch.from_numpy(colour.transpose(0, 3, 1, 2).copy()))
  found = ours(images)
  for name, tensor in zip(OUTPUTS, expected, strict=True):
    wanted, array = tensor.numpy(), np.asarray(found[name])
    assert array.shape == wanted.shape
    assert wanted.std(axis=0).mean() > 0.05 * np.abs(wanted).mean()
    largest = np.abs(array - wanted).max() / np.abs(wanted).max()
    norm = np.linalg.norm(array - wanted) / np.linalg.norm(wanted)
    print(f'{size} {channels} {name}: largest {largest:.1e}, norm {norm:.1e}')
    assert largest <= 1e-5
    assert norm <= 1e-5
