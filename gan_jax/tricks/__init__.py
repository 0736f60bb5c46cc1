"""Remedies against unstable training, as parts that combine.

Those here change what the players are shown, or what they minimise:
`games.image` puts them together. Others are layers (networks/minibatch.py,
networks/virtual.py), penalties (penalties.py), transforms of gradients
(gradients.py) and ways of moving (solvers/). docs/stability.md says what each
is good for.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from gan_jax.rng import fold_each
from gan_jax.tricks import adaptive as adaptive_lib
from gan_jax.tricks import regularisers
from gan_jax.tricks.terms import Scene, Term
from gan_jax.tricks.views import View, make_view
from gan_jax.types import Players


class Tricks(NamedTuple):
  """What an image game may be played with; by default nothing.

  Attributes:
    relativistic: see gan_jax.tricks.criterion, as the next two.
    label_flip: probability that D is told the wrong label.
    top_k: step -> share of the fakes that G learns from; None for all.
    packing: examples that D sees at once.
    noise_std: step -> standard deviation of instance noise; None for none.
    augment: (images, keys, memory) -> images; None for none.
    adaptive: how the probability of `augment` is steered; None if it has none.
    lecam: see gan_jax.tricks.regularisers, as the next three.
    consistency_weight: on real examples.
    fake_consistency_weight: on fakes.
    feature_matching: None for none.
    num_discs: discriminators, each with parameters and updates of its own.
      Under a `disc_accuracy_limit` (see `solvers.moves.Moves`) all rest or all
      move, by their mean accuracy.
    mixing_weight: see `regularisers.mixed`.
  """

  relativistic: str = 'none'
  label_flip: float = 0.0
  top_k: Callable[[jax.Array], jax.Array] | None = None
  packing: int = 1
  noise_std: Callable[[jax.Array], jax.Array] | None = None
  augment: Callable[..., jax.Array] | None = None
  adaptive: adaptive_lib.Adaptive | adaptive_lib.Annealed | None = None
  lecam: regularisers.LeCam | None = None
  consistency_weight: float = 0.0
  fake_consistency_weight: float = 0.0
  feature_matching: regularisers.FeatureMatching | None = None
  num_discs: int = 1
  mixing_weight: float = 0.0

  def view(self) -> View:
    """What D is shown, see gan_jax.tricks.views."""
    return make_view(
      packing=self.packing, noise_std=self.noise_std, augment=self.augment
    )

  @property
  def adversarial(self) -> bool:
    """Whether G has its adversarial loss, beside its terms."""
    return self.feature_matching is None or not self.feature_matching.alone

  def first_memory(self) -> dict[str, Any]:
    """What a D remembers besides its statistics: model state, `memory`."""
    memory = {}
    if self.adaptive is not None:
      memory['adaptive'] = adaptive_lib.first_memory()
    if self.lecam is not None:
      memory['lecam'] = regularisers.first_memory()
    return memory

  def terms(self) -> Players[tuple[Term, ...]]:
    """What both players add to their losses."""
    disc = []
    if self.lecam is not None:
      disc.append(Term('', self.lecam.weight, self._lecam_value))
    weights = self.consistency_weight, self.fake_consistency_weight
    for number, weight in enumerate(weights):
      if weight:
        value = functools.partial(_consistency, number=number)
        disc.append(Term('', weight, value))
    matching = self.feature_matching
    gen = () if matching is None else (regularisers.matching_term(matching),)
    return Players(gen=gen, disc=tuple(disc))

  def remember(self, scene: Scene) -> dict[str, Any]:
    """What D remembers after a batch: averages of logits, signs counted."""
    memory = {}
    if self.lecam is not None:
      memory['lecam'] = self._lecam(scene)[1]
    if self.adaptive is not None:
      memory['adaptive'] = self.adaptive.correct(
        scene.memory['adaptive'],
        scene.step,
        scene.real.logits,
        self.packing,
        scene.axis_name,
      )
    return memory

  def _lecam(self, scene):
    return regularisers.lecam(
      scene.real.logits,
      scene.fake.logits,
      scene.memory['lecam'],
      self.lecam.decay,
      scene.axis_name,
    )

  def _lecam_value(self, scene):
    return self._lecam(scene)[0]


def _consistency(scene: Scene, number: int) -> jax.Array:
  """Of the real examples (0) or the fakes (1)."""
  side = (scene.real, scene.fake)[number]
  keys = fold_each(scene.keys.consistency, number)
  return regularisers.consistency(scene.critic, side.images, side.logits, keys)


NONE = Tricks()
