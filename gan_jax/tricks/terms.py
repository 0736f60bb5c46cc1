"""What a player adds to its loss: terms, each a value of what is at hand.

To add one: a function `scene -> scalar` and a `Term` of it, which goes to the
game with the others; no game changes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.penalties import Penalty, r1
from gan_jax.types import Batch, Verdict

Metrics = dict[str, jax.Array]


class Side(NamedTuple):
  """Examples of one kind, real or fake, and what D says of them.

  Attributes:
    images: as D sees them, `[B, ...]`; packs count as one.
    verdict: what it says, logits `[B, ...]` and guesses.
    layers: outputs of D's hidden layers, in G's loss where a term asks for one;
      else None.
    bare: in D's loss where images are augmented: as they are before that, and
      bare images -> logits with the same augmentation; else None.
  """

  images: jax.Array
  verdict: Verdict
  layers: Sequence[jax.Array] | None = None
  bare: tuple[jax.Array, Callable[..., jax.Array]] | None = None

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
    gen: in the generator's loss, (method, *inputs) -> a method's output of G in
      training mode, with its parameters closed over; state is dropped.
    made: in the generator's loss, the fakes as G made them, `[B, ...]`.
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
  gen: Callable[..., Any] | None = None
  made: jax.Array | None = None


class Term(NamedTuple):
  """One summand of a player's loss: weight * value.

  Attributes:
    metric: the name under which its bare value is logged; '' for those that
      are logged together, weighted, as `regulariser`.
    weight: of the value; a function of the step where it changes.
    value: scene -> scalar, a mean over the local batch.
    every: k > 1 makes it lazy: in each k-th step it counts k times, in the
      others it is not computed. There is one update either way, so that the
      optimizer needs no correction. The row has its last value; of a batch in
      parts, the last part's.
    first: what the term remembers before the first step; None for nothing. With
      it, `value` is (scene, memory) -> (scalar, memory).
    layer: of a term of G, number of the hidden layer of D that it reads off
      both sides; None if it reads none.
    sees_real: whether G's term wants `scene.real`.
  """

  metric: str
  weight: float | jax.Array | Callable[[jax.Array], jax.Array]
  value: Callable[..., Any]
  every: int = 1
  first: Any = None
  layer: int | None = None
  sees_real: bool = False


def gradient_penalty(
  penalty: Penalty | None,
  weight: float | jax.Array | Callable[[jax.Array], jax.Array],
  every: int = 1,
) -> tuple[Term, ...]:
  """A gradient penalty as a term of D, or none at all.

  Args:
    penalty: see gan_jax.penalties; None for none.
    weight: the paper's lambda (wgan_gp, dragan) or gamma (r1, r2).
    every: see `Term`. Lazy R1: Karras et al., Analyzing and Improving the Image
      Quality of StyleGAN, arXiv 1912.04958, section 3.1, whose code makes a
      second update with the penalty alone and corrects Adam for it.

  R1 and R2 of augmented images are of the images themselves, through the
  augmentation, as in the codes of ADA, DiffAugment and R3GAN.
  """
  if penalty is None:
    return ()

  def value(scene):
    if penalty.at and scene.real.bare is not None:
      sides = (getattr(scene, side).bare for side in penalty.at)
      return sum(r1(look, images, None, None) for images, look in sides)
    return penalty.value(
      scene.critic,
      scene.real.images,
      scene.fake.images,
      scene.keys.penalty,
      scene.axis_name,
    )

  def course(step):
    return weight(step) * penalty.factor

  whole = course if callable(weight) else weight * penalty.factor
  return (Term('penalty', whole, value, every),)


def drift(weight: float) -> tuple[Term, ...]:
  """E D(x)^2 of real x as a term of D, which keeps a critic's logits near 0.

  Reference:
    Karras et al., Progressive Growing of GANs, arXiv 1710.10196, appendix A.1
    (weight .001).
  """
  if not weight:
    return ()
  return (Term('drift', weight, lambda s: jnp.mean(s.real.logits**2)),)


def l1(weight: float) -> tuple[Term, ...]:
  """Mean |G - y| as a term of G, y the image that its source or text is of.

  Over pixels and channels; alone, its optimum is the median of each value.

  Reference:
    Isola et al., Image-to-Image Translation with Conditional Adversarial
    Networks, arXiv 1611.07004, eq. 3 (weight 100).
  """
  return _to_target('l1', weight, lambda x, y: jnp.mean(jnp.abs(x - y)))


def mse(weight: float) -> tuple[Term, ...]:
  """Mean (G - y)^2 as a term of G, likewise; its optimum is the mean.

  Reference:
    Ledig et al., Photo-Realistic Single Image Super-Resolution Using a
    Generative Adversarial Network, arXiv 1609.04802, eq. 4.
  """
  return _to_target('mse', weight, lambda x, y: jnp.mean((x - y) ** 2))


def perceptual(
  weight: float, distance: Callable[[jax.Array, jax.Array], jax.Array] | None
) -> tuple[Term, ...]:
  """How far G is from y to a fixed network, as a term of G.

  Args:
    weight: of the distance.
    distance: (images, images `[B, H, W, C]` in [-1, 1]) -> scalar.
  """
  return _to_target('perceptual', weight, distance)


def _to_target(metric, weight, distance) -> tuple[Term, ...]:
  """A distance between fakes and the images that their sources belong to."""
  if not weight:
    return ()
  return (Term(metric, weight, lambda s: distance(s.made, s.batch.images)),)


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
    value, bare, kept = _lazily(term, scene)
    weight = term.weight(scene.step) if callable(term.weight) else term.weight
    if kept is not None:
      memory['terms'] = memory['terms'] | {term.metric: kept}
    if not term.metric:
      together.append(weight * value)
      continue
    if term.every > 1:
      memory['lazy'] = memory['lazy'] | {term.metric: bare}
    metrics[term.metric] = bare
    summands.append(weight * value)
  if together:
    metrics['regulariser'] = sum(together)
    summands.append(metrics['regulariser'])
  return summands, metrics, memory


def first_memory(terms: Sequence[Term]) -> dict[str, Any]:
  """What a player with these terms remembers: last values of lazy ones."""
  found = {
    'lazy': {
      t.metric: jnp.zeros(()) for t in terms if t.every > 1 and t.metric
    },
    'terms': {t.metric: t.first for t in terms if t.first is not None},
  }
  return {name: own for name, own in found.items() if own}


def _lazily(term: Term, scene: Scene) -> tuple[jax.Array, jax.Array, Any]:
  """A term's value as it counts now, its last bare one, what it remembers."""
  own = None if term.first is None else scene.memory['terms'][term.metric]

  def evaluate():
    if term.first is None:
      return term.value(scene), None
    value, kept = term.value(scene, own)
    return value, jax.lax.stop_gradient(kept)

  if term.every == 1:
    value, kept = evaluate()
    return value, value, kept
  last = scene.memory['lazy'][term.metric] if term.metric else jnp.zeros(())

  def compute():
    value, kept = evaluate()
    return term.every * value, jax.lax.stop_gradient(value), kept

  return jax.lax.cond(
    scene.step % term.every == 0, compute, lambda: (jnp.zeros(()), last, own)
  )
