"""DDPM on CIFAR-10 at the published size: 35,746,307 parameters.

Paper: Ho et al. 2020, arXiv 2006.11239: U-Net of 128 to 256 channels with
attention at 16 pixels, T = 1,000, 800,000 steps of 128 images, an average of
weights of .9999; FID 3.17 there, by 1,000 steps of `ddpm`. Grids are drawn by
50 steps of DDIM here.
Command: python run.py --config=configs/ddpm_cifar.py
Then: python run.py --mode=evaluate --workdir=RUN --config.denoise.sampler=ddpm
  --config.denoise.steps=1000
Not run: for a GPU of 16 GB.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'cifar10'
  config.data.flip = True
  config.game = 'diffusion'
  config.solver = 'descent'
  config.network.name = 'unet'
  config.batch_size = 128
  config.num_steps = 800_000
  config.ema_decay = 0.9999
  config.gen_optimizer.learning_rate = 2e-4
  config.gen_optimizer.warmup_steps = 5_000
  config.gen_optimizer.clip_norm = 1.0
  config.sample_every = 10_000
  config.checkpoint_every = 10_000
  return config
