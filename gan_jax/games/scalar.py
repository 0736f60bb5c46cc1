"""Games of two numbers, whose trajectories are known in closed form."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.games import Game, Outcome
from gan_jax.losses import AdversarialLoss
from gan_jax.penalties import Penalty
from gan_jax.types import Players

# loss(gen, disc, batch, key) -> scalar, of the two players' numbers.
ScalarLoss = Callable[[jax.Array, jax.Array, object, jax.Array], jax.Array]


def scalar_game(
  gen_loss: ScalarLoss,
  disc_loss: ScalarLoss,
  *,
  gen0: float = 1.0,
  disc0: float = 1.0,
) -> Game:
  """A game in which each player is one number.

  Args:
    gen_loss: what G minimises.
    disc_loss: what D minimises.
    gen0: where G starts.
    disc0: where D starts.

  Returns:
    A game whose metrics are `gen_loss` and `disc_loss`.
  """

  def objective(loss, player):
    def evaluate(params, model_state, batch, key, step):
      del step
      value = loss(params.gen, params.disc, batch, key)
      metrics = {f'{player}_loss': value}
      return value, Outcome(getattr(model_state, player), metrics)

    return evaluate

  def init(key):
    del key
    params = Players(
      gen=jnp.asarray(gen0, float), disc=jnp.asarray(disc0, float)
    )
    return params, Players(gen={}, disc={})

  return Game(
    init,
    Players(gen=objective(gen_loss, 'gen'), disc=objective(disc_loss, 'disc')),
  )


def bilinear(gen0: float = 1.0, disc0: float = 1.0) -> Game:
  """V = gen * disc, which G lowers and D raises; the equilibrium is (0, 0).

  Its solution in continuous time is a circle. Simultaneous descent of rate h
  leaves it at sqrt(1 + h^2) a step.

  Reference:
    Goodfellow, NIPS 2016 Tutorial: GANs, arXiv 1701.00160, section 7.2.
  """
  return scalar_game(
    gen_loss=lambda gen, disc, batch, key: gen * disc,
    disc_loss=lambda gen, disc, batch, key: -gen * disc,
    gen0=gen0,
    disc0=disc0,
  )


def dirac_gan(
  loss: AdversarialLoss,
  *,
  penalty: Penalty | None = None,
  penalty_weight: float = 0.0,
  theta0: float = 1.0,
  psi0: float = -1.0,
) -> Game:
  """The Dirac-GAN: all data at 0, all fakes at theta, D(x) = b + psi * x.

  The equilibrium is (0, 0). b is the logit that the loss calls undecided, its
  `boundary`, which is the paper's 0 but for the codings of least squares (1/2)
  and the KL of f-GAN (1). The sign of psi differs from the paper's, whose D
  scores generated data high: its start psi = 1 is -1 here.

  Args:
    loss: of gan_jax.losses, the same that images are trained with.
    penalty: of gan_jax.penalties; r1 and r2 are the paper's zero-centred one.
    penalty_weight: as in gan_jax.games.image; gamma for r1 and r2. The
      paper's WGAN-GP weight g_0 (|psi| - 1) is twice lambda.
    theta0: where the generator starts.
    psi0: where the discriminator starts.

  Reference:
    Mescheder, Geiger and Nowozin, Which Training Methods for GANs do actually
    Converge?, arXiv 1801.04406, Definition 2.1.
  """
  real = jnp.zeros((1, 1))
  undecided = loss.boundary or 0.0

  def disc_loss(theta, psi, batch, key):
    del batch

    def critic(points):
      return undecided + psi * points[:, 0]

    fake = jnp.reshape(theta, (1, 1))
    total = loss.disc_real(critic(real)) + loss.disc_fake(critic(fake))
    if penalty is not None:
      value = penalty.value(critic, real, fake, key[None], None)
      total += penalty_weight * penalty.factor * value
    return total

  def gen_loss(theta, psi, batch, key):
    del batch, key
    return loss.gen(jnp.reshape(undecided + psi * theta, (1,)))

  return scalar_game(gen_loss, disc_loss, gen0=theta0, disc0=psi0)
