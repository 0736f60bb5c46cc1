"""What a player adds to its loss: terms, each a value of what is at hand.

To add one: a function `scene -> scalar` and a `Term` of it, which goes to the
game with the others; no game changes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.penalties import Penalty
from gan_jax.types import Batch, Verdict

Metrics = dict[str, jax.Array]


class Side(NamedTuple):
  """Examples of one kind, real or fake, and what D says of them.

  Attributes:
    images: as D sees them, `[B, ...]`; packs count as one.
    verdict: what it says, logits `[B, ...]` and guesses.
    layers: outputs of D's hidden layers, in G's loss where a term asks for one;
      else None.
  """

  images: jax.Array
  verdict: Verdict
  layers: Sequence[jax.Array] | None = None

  @property
  def logits(self) -> jax.Array:
    """D's, `[B, ...]`."""
    return self.verdict.logits


class Scene(NamedTuple):
  """What a term may look at.

  Attributes:
    real: None in the generator's loss where nothing asks for it.
    fake: of the player's own fakes.
    critic: images as D sees them -> logits, with D's parameters closed over.
    batch: the real examples themselves, and what is given.
    latents: `[B, Z]`, of the fakes.
    memory: of the player, as it was before this batch.
    keys: of the objective, see gan_jax.games.passes.Keys: in D's one for each
      example, in G's one for all.
    step: training steps made.
    axis_name: mapped device axis that shares the batch, or None.
  """

  real: Side | None
  fake: Side
  critic: Callable[[jax.Array], jax.Array]
  batch: Batch
  latents: Any
  memory: dict[str, Any]
  keys: Any
  step: jax.Array
  axis_name: str | None = None


class Term(NamedTuple):
  """One summand of a player's loss: weight * value.

  Attributes:
    metric: the name under which its bare value is logged; '' for those that
      are logged together, weighted, as `regulariser`.
    weight: of the value.
    value: scene -> scalar, a mean over the local batch.
    every: k > 1 makes it lazy: in each k-th step it counts k times, in the
      others it is not computed. There is one update either way, so that the
      optimizer needs no correction. The row has its last value; of a batch in
      parts, the last part's.
    layer: of a term of G, number of the hidden layer of D that it reads off
      both sides; None if it reads none.
    sees_real: whether G's term wants `scene.real`.
  """

  metric: str
  weight: float | jax.Array
  value: Callable[[Scene], jax.Array]
  every: int = 1
  layer: int | None = None
  sees_real: bool = False


def gradient_penalty(
  penalty: Penalty | None, weight: float | jax.Array, every: int = 1
) -> tuple[Term, ...]:
  """A gradient penalty as a term of D, or none at all.

  Args:
    penalty: see gan_jax.penalties; None for none.
    weight: the paper's lambda (wgan_gp, dragan) or gamma (r1, r2).
    every: see `Term`. Lazy R1: Karras et al., Analyzing and Improving the Image
      Quality of StyleGAN, arXiv 1912.04958, section 3.1, whose code makes a
      second update with the penalty alone and corrects Adam for it.
  """
  if penalty is None:
    return ()

  def value(scene):
    return penalty.value(
      scene.critic,
      scene.real.images,
      scene.fake.images,
      scene.keys.penalty,
      scene.axis_name,
    )

  return (Term('penalty', weight * penalty.factor, value, every),)


def add_up(
  terms: Sequence[Term], scene: Scene
) -> tuple[list[jax.Array], Metrics, dict[str, Any]]:
  """All terms of a scene.

  Returns:
    The weighted summands of the loss, what is logged, and the scene's memory
    with the last values of lazy terms.
  """
  summands, metrics, together = [], {}, []
  memory = dict(scene.memory)
  for term in terms:
    value, bare = _lazily(term, scene)
    if not term.metric:
      together.append(term.weight * value)
      continue
    if term.every > 1:
      memory['lazy'] = memory['lazy'] | {term.metric: bare}
    metrics[term.metric] = bare
    summands.append(term.weight * value)
  if together:
    metrics['regulariser'] = sum(together)
    summands.append(metrics['regulariser'])
  return summands, metrics, memory


def first_memory(terms: Sequence[Term]) -> dict[str, Any]:
  """What a player with these terms remembers: last values of lazy ones."""
  lazy = {t.metric: jnp.zeros(()) for t in terms if t.every > 1 and t.metric}
  return {'lazy': lazy} if lazy else {}


def _lazily(term: Term, scene: Scene) -> tuple[jax.Array, jax.Array]:
  """A term's value as it counts now, and its last bare value."""
  if term.every == 1:
    value = term.value(scene)
    return value, value
  last = scene.memory['lazy'][term.metric] if term.metric else jnp.zeros(())

  def compute():
    value = term.value(scene)
    return term.every * value, jax.lax.stop_gradient(value)

  return jax.lax.cond(
    scene.step % term.every == 0, compute, lambda: (jnp.zeros(()), last)
  )
