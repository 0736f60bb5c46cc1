"""Remedies against unstable training, as parts that combine.

Those here change what the players are shown, or what they minimise:
`games.image` puts them together. Others are layers (networks/minibatch.py,
networks/virtual.py), penalties (penalties.py), transforms of gradients
(gradients.py) and ways of moving (solvers/). docs/stability.md says what each
is good for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from gan_jax.tricks import adaptive as adaptive_lib
from gan_jax.tricks import regularisers
from gan_jax.tricks.views import View, fold, make_view


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
  adaptive: adaptive_lib.Adaptive | None = None
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

  def first_memory(self) -> dict[str, Any]:
    """What a D remembers besides its statistics: model state, `memory`."""
    memory = {}
    if self.adaptive is not None:
      memory['adaptive'] = adaptive_lib.first_memory()
    if self.lecam is not None:
      memory['lecam'] = regularisers.first_memory()
    return memory

  def regularise(
    self,
    critic: Callable[[jax.Array], jax.Array],
    sides: regularisers.Sides,
    keys: jax.Array,
    memory: dict[str, Any],
    axis_name: str | None = None,
  ) -> tuple[list[jax.Array], dict[str, Any]]:
    """Weighted terms that a D adds to its loss, and what it remembers next.

    Args:
      critic: what D sees -> logits `[B]`.
      sides: of this batch.
      keys: `[B]`.
      memory: from `first_memory` on.
      axis_name: mapped device axis that shares the batch, or None.
    """
    terms, memory = [], dict(memory)
    logits = sides.real[1], sides.fake[1]
    if self.lecam is not None:
      value, memory['lecam'] = regularisers.lecam(
        *logits, memory['lecam'], self.lecam.decay, axis_name
      )
      terms.append(self.lecam.weight * value)
    if self.adaptive is not None:
      memory['adaptive'] = adaptive_lib.correct(
        memory['adaptive'], logits[0], self.packing, self.adaptive, axis_name
      )
    weights = self.consistency_weight, self.fake_consistency_weight
    for number, (weight, side) in enumerate(zip(weights, sides, strict=True)):
      if weight:
        value = regularisers.consistency(critic, *side, fold(keys, number))
        terms.append(weight * value)
    return terms, memory


NONE = Tricks()
