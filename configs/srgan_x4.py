"""SRGAN at the published size: fourfold, squares of 96 pixels.

Paper: Ledig et al. 2017, arXiv 1609.04802, section 3.2: 16 residual blocks of
64 channels, a million steps of the mean squared error, then 100,000 at 1e-4 and
as many at 1e-5 of the perceptual and the adversarial loss, batches of 16.
Deviations: features before the last ReLU of VGG-16's last layer (VGG-19),
normalised as LPIPS does, so that the weight is of another unit.
Data: a folder of photos of 288 pixels or more, such as DIV2K, and the weights
of LPIPS's VGG-16: docs/metrics.md says where they come from.
Command: python run.py --config=configs/srgan_x4.py --config.data.dir=DIR
  --config.perceptual.weights=VGG.npz
Measured: nothing; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import srresnet_bsds


def get_config() -> ConfigDict:
  """Overrides of configs/srresnet_bsds.py."""
  config = srresnet_bsds.get_config()
  config.data.update(image_size=288, crop=96, derive_factor=4)
  config.network.update(
    name='srgan', gen_width=64, blocks=16, disc_width=64, pooled=False
  )
  config.gen_optimizer.update(learning_rate=1e-4, schedule='constant')
  config.perceptual.layer = 'conv5_3'
  first, then = 1_000_000, 100_000
  played = {
    'solver': 'alternating',
    'mse_weight': 0.0,
    'adversarial_weight': 1e-3,
    'perceptual.weight': 0.006,
  }
  config.stages = (
    (first, {**played, 'reset_optimizers': True}),
    (
      first + then,
      {
        **played,
        'gen_optimizer.learning_rate': 1e-5,
        'disc_optimizer.learning_rate': 1e-5,
      },
    ),
  )
  config.num_steps = first + 2 * then
  config.checkpoint_every = 10_000
  return config
