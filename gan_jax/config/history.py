"""What configs of earlier versions mean to this one."""

from collections.abc import Mapping
from typing import Any

_DRAWING = (
  *(('seed', 0), ('label', -1), ('checkpoint', 'latest'), ('ema', True)),
  *(('batch_norm', 'running'), ('truncation', 0.0)),
)
# Keys that runs of earlier versions lack, and what these did.
ADDED = {
  'network.gen_weights': None,
  'network.disc_weights': None,
  'network.norm_groups': None,
  'penalty_every': 1,
  'mismatch_weight': 0.0,
  'contrastive_weight': 0.0,
  'drop_given': 0.0,
  'stages': (),
  'init_from': '',
  'moving': 'both',
  'game': 'adversarial',
  'likelihood': None,
  'likelihood_std': None,
  'kl_weight': None,
  'cycle_weight': None,
  'identity_weight': None,
  'pool_size': None,
  'given': (),
  'data.background': 'black',
  'data.layout': 'single',
  'data.direction': 'a2b',
  'data.derive': 'none',
  'data.derive_factor': 4,
  'class_weight': None,
  'classify_fakes': None,
  'codes': (),
  'code_weight': None,
  'ema_start': 0,
  'anneal_steps': 0,
  'penalty_weight_end': None,
  'ema_decay_end': None,
  'b2_end': None,
  'tricks.augment_end': None,
  'drift_weight': 0.0,
  'fade_in': (),
  'l1_weight': 0.0,
  'adversarial_weight': 1.0,
  'mse_weight': 0.0,
  'text.encoder': 'words',
  'text.weights': '',
  'perceptual.weight': 0.0,
  'perceptual.network': 'lpips',
  'perceptual.weights': '',
  'perceptual.layer': '',
  'perceptual.distance': 'l2',
  'network.growth': None,
  'network.pooled': None,
  'data.crop': 0,
  'path_length_weight': 0.0,
  'path_length_every': 4,
  'conditioning_weight': 0.0,
  'network.first_size': None,
  'network.azimuth': None,
  'network.elevation': None,
  'network.field_depth': None,
  'network.samples': None,
  'network.condition_dim': None,
  'network.text_dim': None,
  'network.alone': None,
  'network.disc_layers': None,
  'network.dropout': None,
  'network.mapping_depth': None,
  'network.style_dim': None,
  'network.mixing': None,
  'network.blocks': None,
  'network.groups': None,
  'network.channel_base': None,
  'network.channel_max': None,
  'network.resolution': None,
  'network.minibatch_group': None,
  'network.disc_labels_by': None,
  'network.attention': None,
  'network.shared_embedding': None,
  'network.hierarchy': None,
  'network.init': None,
  'sample.sheet': 'grid',
  'sample.text': '',
  'sample.batch_norm': 'running',
  'interpolate.batch_norm': 'running',
  'eval.ppl_sampling': 'end',
  **{
    f'{section}.{key}': value
    for section in (
      'sample',
      'interpolate',
      'translate',
      'eval',
      'orbit',
      'guide',
    )
    for key, value in (('psi', 1.0), ('psi_cutoff', 0))
  },
  **{
    f'{section}.{key}': value
    for section in 'translate orbit guide'.split()
    for key, value in _DRAWING
  },
  'translate.dir': '',
  'translate.derive': False,
  'translate.back': False,
  'translate.any_size': False,
  'orbit.num': 8,
  'orbit.frames': 36,
  'orbit.azimuth': (),
  'orbit.elevation': 0.0,
  'gen_optimizer.warmup_steps': 0,
  'disc_optimizer.warmup_steps': 0,
  'diffusion.noise_steps': None,
  'diffusion.noise_schedule': None,
  'denoise.sampler': None,
  'denoise.steps': None,
  'denoise.eta': None,
  'guide.prompt': '',
  'guide.network': 'towers',
  'guide.weights': '',
  'guide.num': 16,
  'guide.steps': 100,
  'guide.learning_rate': 0.05,
  'guide.crops': 8,
  'guide.spherical': False,
  'guide.space': 'latents',
  'upscale.dir': '',
  'upscale.shrink': False,
  'upscale.towards': '',
  'upscale.share': 0.5,
  'upscale.weights': '',
  'upscale.checkpoint': 'latest',
  'upscale.ema': True,
}
_ADDED_SECTIONS = ('translate', 'upscale', 'perceptual', 'text', 'orbit')
_ADDED_SECTIONS += ('guide', 'diffusion', 'denoise')


def completed(fields: Mapping[str, Any]) -> dict[str, Any]:
  """A nested config, with the keys that its version did not have."""
  found = {name: {} for name in _ADDED_SECTIONS} | dict(fields)
  for key, value in ADDED.items():
    head, _, rest = key.partition('.')
    if not rest:
      found.setdefault(key, value)
    elif isinstance(found.get(head), Mapping):
      found[head] = {rest: value} | found[head]
  return found
