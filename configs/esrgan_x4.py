"""ESRGAN at the published size: fourfold, squares of 128 pixels.

Paper: Wang et al. 2018, arXiv 1809.00219, section 4.1: 23 residual blocks of
dense blocks without batch norm, a million steps of L1 at 2e-4, then 400,000 of
L1 (.01), features before their ReLU (1) and the relativistic average loss
(.005), rates of 1e-4 halved along the way, batches of 16. Deviations: features
of VGG-16 (VGG-19), normalised as LPIPS does; rates fall along a cosine; the
relativistic loss adds both its parts up (their mean), at half the weight.
Data: a folder of photos of 384 pixels or more, such as DIV2K, and the weights
of LPIPS's VGG-16: docs/metrics.md says where they come from.
Command: python run.py --config=configs/esrgan_x4.py --config.data.dir=DIR
  --config.perceptual.weights=VGG.npz
Between the weights of two runs: --mode=upscale --config.upscale.towards=RUN
Measured: nothing; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import srresnet_bsds


def get_config() -> ConfigDict:
  """Overrides of configs/srresnet_bsds.py."""
  config = srresnet_bsds.get_config()
  config.data.update(image_size=384, crop=128, derive_factor=4)
  config.network.update(
    name='esrgan', gen_width=64, blocks=23, disc_width=64, pooled=False
  )
  first, then = 1_000_000, 400_000
  config.mse_weight, config.l1_weight = 0.0, 1.0
  config.gen_optimizer.update(learning_rate=2e-4, decay_steps=first)
  config.perceptual.update(layer='conv5_3', distance='l1')
  config.tricks.relativistic = 'average'
  config.stages = (
    (
      first,
      {
        'solver': 'alternating',
        'l1_weight': 0.01,
        'perceptual.weight': 1.0,
        'adversarial_weight': 0.0025,
        'gen_optimizer.learning_rate': 1e-4,
        'gen_optimizer.decay_steps': then,
        'reset_optimizers': True,
      },
    ),
  )
  config.num_steps = first + then
  config.ema_decay = 0.999
  config.checkpoint_every = 10_000
  return config
