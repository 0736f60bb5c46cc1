"""What a reader of scores should know: what was left out, what says little."""

from typing import Any

from gan_jax.evaluation.entries import Entry, Inputs
from gan_jax.evaluation.scores import needs_of
from gan_jax.sampling.sampler import Sampler
from gan_jax.types import InputError


def warnings(inputs: Inputs, scores: dict[str, Entry]) -> list[str]:
  """Lines that a reader of the scores should see.

  Args:
    inputs: that they were computed from.
    scores: as `compute` gives them.
  """
  lines = []
  size = len(inputs.real.moments.mean)
  biases = [e['expected_bias'] for e in scores.values() if 'expected_bias' in e]
  for kind, num in (('real', inputs.real.num), ('generated', inputs.fake.num)):
    if biases and num <= size:
      lines.append(
        f'fid: {num} {kind} images are too few for {size} features: the '
        f'covariance is singular, and the bias is large, about {biases[0]:.3g}'
      )
  num, names = inputs.fake.num, ' '.join(scores)
  if 'fid_infinity' in names and num < 20 * size:
    lines.append(
      f'fid_infinity: {num} generated images are fewer than 20 times the '
      f'{size} features; subsets so small leave the line that it is read off'
    )
  fewest = min(inputs.real.num, inputs.fake.num)
  for name, entry in scores.items():
    if name.startswith('kid') and entry['subset_size'] >= fewest:
      lines.append(
        f'{name}: each subset holds all {fewest} images of the smaller set, so '
        'its standard deviation says nothing; take a smaller '
        'eval.kid_subset_size, or more images'
      )
  if any(name.endswith('_random') for name in scores):
    lines.append(
      'eval.network: random features rank nothing reliably, a collapsed run '
      'may come first; take classifier where there are labels, else mobilenet '
      'or inception with eval.weights=FILE'
    )
  accuracy = inputs.network.notes.get('classifier_test_accuracy', 1.0)
  if accuracy is None:
    lines.append(
      'eval.network: how often the classifier is right is not known: no test '
      'image has a label'
    )
  elif accuracy < 0.8:
    lines.append(
      f'eval.network: the classifier is right on {accuracy:.0%} of the test '
      'images only; scores in its features say little'
    )
  return lines


def lacking(
  sampler: Sampler, disc: Any, labelled: bool, keys: Any
) -> dict[str, str]:
  """What scores may need and cannot have, and why.

  Args:
    sampler: of the generator.
    disc: what asks D, or None.
    labelled: whether the test images have labels.
    keys: of the section `eval`.
  """
  told, found = ', '.join(sampler.columns), {}
  if 'source' not in sampler.columns:
    found['targets'] = 'G is given no source, to which a real image belongs'
  if disc is None:
    found['disc'] = 'the run has no D'
  elif told:
    found['disc'] = f'D is told {told} of each image'
  elif disc.conditional and not labelled:
    found['disc'] = 'D is shown labels, and those of the test images are hidden'
  if told:
    found['paths'] = f'G is told {told} of each image'
  elif not sampler.exact:
    found['paths'] = 'G computes in bfloat16, in which its steps vanish'
  elif keys.psi != 1.0 or keys.truncation:
    found['paths'] = (
      'it is of all that G draws, and eval.psi or eval.truncation leaves some '
      'out'
    )
  return found


def without(
  need: str, names: tuple[str, ...], reason: str
) -> tuple[tuple[str, ...], list[str]]:
  """The scores that do without something, and a line on those that need it.

  Args:
    need: disc, paths or targets, see gan_jax.evaluation.scores.
    names: of scores.
    reason: why it cannot be had.

  Raises:
    InputError: there are no others.
  """
  rest = tuple(name for name in names if need not in needs_of((name,)))
  if rest == names:
    return names, []
  lacking = ', '.join(name for name in names if name not in rest)
  line = f'eval.scores: {lacking} is left out: {reason}'
  if not rest:
    raise InputError(f'{line}; name other scores')
  return rest, [line]
