"""Which of a state's weights a generator draws with."""

import chex

from gan_jax.types import TrainState

WEIGHTS = {'ema': 'moving average', 'raw': 'raw weights'}


def discriminator_variables(state: TrainState) -> chex.ArrayTree:
  """D's flax variables."""
  return {'params': state.params.disc, **state.model_state.disc}


def generator_variables(state: TrainState, ema: bool) -> chex.ArrayTree:
  """G's flax variables: averaged if `ema` and there is one, else raw."""
  if weights_name(state, ema) == 'ema':
    return {'params': state.ema['params'], **state.ema['model_state']}
  return {'params': state.params.gen, **state.model_state.gen}


def weights_name(state: TrainState, ema: bool) -> str:
  """Which weights of G `generator_variables` gives, a key of `WEIGHTS`."""
  return 'ema' if ema and state.ema is not None else 'raw'
