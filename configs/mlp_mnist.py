"""MLP GAN on MNIST, 10 epochs of generator updates.

Paper: Goodfellow et al. 2014, arXiv 1406.2661, with today's usual Adam.
Command: python run.py --config=configs/mlp_mnist.py
The recipe with four D updates to each G update, on the same 10 epochs of data:
  python run.py --config=configs/mlp_mnist.py:four_disc_steps
Measured: 4,690 steps in 4 min on two CPU cores that other work shared; varied,
mostly legible digits with specks. With four D updates: 1,172 steps in 2 min;
the generator collapses onto ones, and 2,400 steps do not bring it back. A plain
PyTorch loop with this recipe does so too; docs/results.md.
"""

from ml_collections import ConfigDict

from configs import base

RECIPES = ('one_disc_step', 'four_disc_steps')


def get_config(recipe: str = 'one_disc_step') -> ConfigDict:
  """Overrides of configs/base.py, for one of `RECIPES`."""
  if recipe not in RECIPES:
    raise ValueError(f'no recipe {recipe!r}; valid: {", ".join(RECIPES)}')
  config = base.get_config()
  config.data.name = 'mnist'
  config.network.name = 'mlp'
  config.batch_size = 128
  config.num_steps = 4_690  # 10 epochs
  base.set_optimizers(config, b1=0.5, b2=0.999)
  if recipe == 'four_disc_steps':
    config.disc_steps = 4
    config.num_steps = 1_172  # 10 epochs, each batch seen by D alone
    config.log_every = 20
    config.sample_every = 100
  return config
