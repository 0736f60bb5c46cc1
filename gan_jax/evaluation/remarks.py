"""What a reader of scores should know: what was left out, what says little."""

from gan_jax.evaluation.entries import Entry, Inputs
from gan_jax.evaluation.scores import needs_of
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


def without_disc(
  names: tuple[str, ...], reason: str
) -> tuple[tuple[str, ...], list[str]]:
  """The scores that need no D; a line on one that does.

  Args:
    names: of the scores.
    reason: why there is no D to ask.

  Raises:
    InputError: there are no others.
  """
  rest = tuple(name for name in names if 'disc' not in needs_of((name,)))
  line = f'eval.scores: disc_accuracy is left out: {reason}'
  if names and not rest:
    raise InputError(f'{line}; name other scores')
  return rest, [line] * (rest != names)
