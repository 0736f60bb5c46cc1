"""SRGAN enlarges photos twice: SRResNet, then against D, on two CPU cores.

Paper: Ledig et al. 2017, arXiv 1609.04802, section 3.2: pre-training by the
mean squared error, then a perceptual and an adversarial loss (weight 1e-3), D
of whole images, Adam. One run, two stages. Deviations: those of
srresnet_bsds.py; features of MobileNet (VGG-19), beside them the squared error;
D averages its last maps.
Data: a folder or a ZIP of photos of 320 pixels or more, such as BSDS500, and
MobileNet's weights: docs/metrics.md says where they come from.
Command: python run.py --config=configs/srgan_bsds.py --config.data.dir=DIR
  --config.perceptual.weights=MOBILENET.npz
Go on with a finished SRResNet instead: --config.init_from=RUN
  and --config.stages="()" with the keys of the second stage.
Measured: LPIPS .083 (SRResNet .122), 31.40 dB; 17 min on two cores.
"""

from ml_collections import ConfigDict

from configs import srresnet_bsds


def get_config() -> ConfigDict:
  """Overrides of configs/srresnet_bsds.py."""
  config = srresnet_bsds.get_config()
  first = config.num_steps
  config.perceptual.network = 'mobilenet'
  config.perceptual.layer = 'block3'
  config.gen_optimizer.decay_steps = first
  config.stages = (
    (
      first,
      {
        'solver': 'alternating',
        'adversarial_weight': 1e-3,
        'perceptual.weight': 0.02,
        'gen_optimizer.learning_rate': 1e-4,
        'gen_optimizer.schedule': 'constant',
        'reset_optimizers': True,
      },
    ),
  )
  config.num_steps = first + 2_000
  return config
