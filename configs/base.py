"""Every config key, once, with its unit and meaning.

The other files of this folder change some of these values and nothing else.
On the command line: `--config.KEY=VALUE`, `--config.data.name=mnist`, ...
"""

from ml_collections import ConfigDict, FieldReference
from ml_collections.config_dict import placeholder


def optimizer() -> ConfigDict:
  """Keys of one player's optimizer, everything from optax."""
  return ConfigDict(
    dict(
      name='adam',  # adam, sgd, rmsprop, ...: see gan_jax/solvers/optimizers.py
      learning_rate=2e-4,  # initial one
      # None leaves these to optax; one that the optimizer lacks is refused.
      b1=placeholder(float),  # first-moment decay (adam: .9 if None)
      b2=placeholder(float),  # second-moment decay (adam: .999 if None)
      # adam: added to the root; rmsprop, adagrad: inside it
      eps=placeholder(float),
      momentum=placeholder(float),  # of sgd and rmsprop
      decay=placeholder(float),  # rmsprop: decay of the squared gradients
      weight_decay=placeholder(float),  # of adamw, lion, ...
      # constant, linear, linear_late, exponential, cosine
      schedule='constant',
      warmup_steps=0,  # in which the rate rises from 0, along a line
      decay_steps=0,  # length of the schedule in steps; 0: num_steps
      decay_rate=0.1,  # factor on the rate after decay_steps
      clip_norm=0.0,  # largest norm of the whole gradient; 0: any
      historical_weight=0.0,  # on ||theta - mean of theta so far||^2
      orthogonal_weight=0.0,  # on inner products of each kernel's filters
    )
  )


def drawing() -> dict:
  """Keys of a mode that draws from a finished run."""
  return dict(
    seed=0,  # of the latents
    # One class, by number or name; -1: all in turn, of a walk and of
    # sample.seeds the first
    label=FieldReference(-1, field_type=object),
    checkpoint='latest',  # latest, or best by eval.best
    ema=True,  # the moving average if there is one; False: raw weights
    batch_norm='running',  # statistics in G: running, batch, standing
    truncation=0.0,  # of a normal prior, in standard deviations; 0: none
    psi=1.0,  # of a style-based G: how far styles are from their mean
    psi_cutoff=0,  # in so many layers, the first; 0: in all
  )


def set_optimizers(config: ConfigDict, **keys) -> None:
  """Sets the same keys for both players."""
  config.gen_optimizer.update(keys)
  config.disc_optimizer.update(keys)


def set_growing(
  config: ConfigDict,
  sizes: tuple[int, ...],
  *,
  stable: int,
  fade: int,
  batch_sizes: dict[int, int] | None = None,
) -> None:
  """Sets the stages in which a pair grows, and the steps of the whole run.

  The first size trains for `stable` images. Each other one fades in, and trains
  on. Optimizers begin anew as a fade begins and as it ends.

  Args:
    config: of a growing pair.
    sizes: in pixels, from the first to that of the images.
    stable: real images of each size once its layers are in.
    fade: real images in which they fade in.
    batch_sizes: of sizes that have another than the config's.
  """
  step, stages = 0, []
  for size in sizes:
    batch_size = (batch_sizes or {}).get(size, config.batch_size)
    keys = {
      'network.resolution': size,
      'batch_size': batch_size,
      'reset_optimizers': True,
    }
    if stages:
      end = step + fade // batch_size
      stages.append((step, {**keys, 'fade_in': (step, end)}))
      step = end
    stages.append((step, keys))
    step += stable // batch_size
  config.stages, config.num_steps = tuple(stages), step


def get_config() -> ConfigDict:
  """The defaults, which train nothing well by themselves."""
  return ConfigDict(
    dict(
      seed=0,  # of weights, noise and the order of the data
      # --- several runs in one program: for error bars
      num_seeds=1,  # runs of every combination of sweep: seed, seed + 1, ...
      # Values that take the place of a key; (): the key's own. Combined, all
      # with all: --config.sweep.gen_learning_rate=1e-4,2e-4
      sweep=dict(
        paired=False,  # the first of each go together, the second, ...
        gen_learning_rate=(),  # of gen_optimizer.learning_rate
        disc_learning_rate=(),  # of disc_optimizer.learning_rate
        gen_b1=(),  # of gen_optimizer.b1
        gen_b2=(),  # of gen_optimizer.b2
        disc_b1=(),  # of disc_optimizer.b1
        disc_b2=(),  # of disc_optimizer.b2
        penalty_weight=(),  # of penalty_weight
        consensus_weight=(),  # of consensus_weight
        time_scale_ratio=(),  # of time_scale_ratio
      ),
      # --- the game
      # adversarial; cycle, of two domains (given=other); of one player, by
      # solver=descent: autoencoder, vae, diffusion
      game='adversarial',
      # Of vae: bernoulli, of pixels in [0, 1], or gaussian; None: bernoulli
      likelihood=placeholder(str),
      # Of gaussian: its deviation, in units of pixels in [-1, 1]; None: .5
      likelihood_std=placeholder(float),
      kl_weight=placeholder(float),  # of vae, on the KL divergence; None: 1
      # Of cycle, mean |pixels|: there and back, and of a G at its own domain
      cycle_weight=placeholder(float),  # None: 10
      identity_weight=placeholder(float),  # None: 5
      pool_size=placeholder(int),  # of cycle: earlier fakes for D; None: 50
      diffusion=dict(
        noise_steps=placeholder(int),  # T, until images are noise; None: 1,000
        noise_schedule=placeholder(str),  # linear, cosine; None: linear
      ),
      # How a diffusion model draws: in training, and as any mode is told
      denoise=dict(
        sampler=placeholder(str),  # ddpm, ddim; None: ddim
        # Evaluations of the network for an image; None: 50, T at most
        steps=placeholder(int),
        # Of ddim, 0 to 1: how much noise it adds, of ddpm's; None: 0
        eta=placeholder(float),
      ),
      # non_saturating, minimax, least_squares, wasserstein, hinge, f_gan,
      # f_gan_non_saturating
      loss='non_saturating',
      f_divergence=placeholder(str),  # of the f-GAN losses; None: js
      label_smoothing=0.0,  # target of real images is 1 minus this, for D only
      penalty='none',  # none, wgan_gp, r1, r2, r1_r2, dragan
      # lambda of wgan_gp and dragan; gamma of r1, r2 and r1_r2
      penalty_weight=10.0,
      # k > 1: in each k-th step k times the penalty, in the others none
      penalty_every=1,
      # Steps in which the values below go to their ends; 0: num_steps. Learning
      # rates have their own schedule.
      anneal_steps=0,
      anneal_shape='cosine',  # half of one, as in R3GAN; or linear
      penalty_weight_end=placeholder(float),  # None: it stays, as the others
      # By its half-life, and from none if ema_decay is 0.
      ema_decay_end=placeholder(float),
      b2_end=placeholder(float),  # of both optimizers
      momentum_end=placeholder(float),  # likewise, of sgd and rmsprop
      drift_weight=0.0,  # on E D(x)^2 of real images, in D's loss
      # Of G's adversarial loss; 0: its other terms alone, and solver=descent
      # leaves D out
      adversarial_weight=1.0,
      # On |G - y|, in G's loss, where y is what a source (pix2pix) or a text
      # belongs to
      l1_weight=0.0,
      mse_weight=0.0,  # on (G - y)^2, likewise (SRResNet)
      # On how far G is from y to a fixed network, likewise (SRGAN)
      perceptual=dict(
        weight=0.0,  # of the distance
        network='lpips',  # lpips (AlexNet or VGG-16), mobilenet, classifier
        weights='',  # path of its file; of mobilenet '': in the cache
        # Such as relu3_3, or conv5_3 before its ReLU; '': the deepest
        layer='',
        distance='l2',  # l2, l1, of maps; lpips: its own, of five layers
      ),
      # Of style-based G: on (|J^T y| - a)^2, in G's loss; 0: none
      path_length_weight=0.0,
      path_length_every=4,  # as penalty_every, of the path length
      # Of stackgan: on KL(N(mu, sigma) || N(0, 1)) of what a text becomes, the
      # mean over dimensions, in G's loss
      conditioning_weight=0.0,
      weight_clip=0.0,  # clip D's parameters to +- this; 0: off
      latent_dim=100,  # size of a latent vector; of diffusion the image's
      latent_prior='normal',  # normal: N(0, I); uniform: U[-1, 1]
      conditional=False,  # whether both players see the labels
      # What else both are told of each image: source (of pairs, or by
      # data.derive), other (of data.layout=unpaired), text (of captions), pose
      # (of poses).
      given=(),
      text=dict(
        # words, whose meaning both players learn; or a frozen encoder: minilm,
        # clip
        encoder='words',
        weights='',  # folder of the encoder's files
      ),
      # Share of D's loss on fakes that goes to real images which are told what
      # belongs to others, as GAN-CLS has it (.5); 0: none
      mismatch_weight=0.0,
      # Share of the texts and sources that are missing in training, each by
      # itself, so that G can be asked without
      drop_given=0.0,
      # On InfoNCE between images and what they are told with, by vectors of D:
      # of real ones in its loss, of fakes in G's (XMC-GAN)
      contrastive_weight=0.0,
      # Of network.disc_labels_by=classifier (ACGAN): on each cross-entropy of
      # the classes; None: 1
      class_weight=placeholder(float),
      # Whether D's classifier learns from fakes too; None: True
      classify_fakes=placeholder(bool),
      # What D is to guess of the latents (InfoGAN), beside latent_dim of noise:
      # k > 1 is a code of k values, 1 a number in [-1, 1]; such as (10, 1, 1)
      codes=(),
      code_weight=placeholder(float),  # on -log q of all codes; None: 1
      # --- stages: what changes from a step on, such as
      # ((5_000, {'loss': 'hinge', 'gen_optimizer.learning_rate': 1e-4}), ...);
      # with 'reset_optimizers': True their moments begin anew there.
      stages=(),
      # Workdir of a run whose parameters this one begins with; '': the seed's.
      init_from='',
      moving='both',  # which players move: both, gen, disc
      # Of a growing pair: steps made when the layers of network.resolution
      # begin to fade in, and when they are in, such as (2_000, 4_000).
      fade_in=(),
      # --- the solver
      # alternating, simultaneous, unrolled, extragradient, optimistic,
      # consensus, two_time_scale; descent for a game of one player
      solver='alternating',
      # Of unrolled: D's updates that G looks ahead; None: 5.
      unroll_steps=placeholder(int),
      consensus_weight=1.0,  # of consensus: gamma, on ||v||^2 / 2
      time_scale_ratio=4.0,  # of two_time_scale: on D's learning rate
      batch_size=64,  # images, over all devices
      # Images that a device passes at once, its gradients added up over its
      # share of the batch: for batches that do not fit. 0: the whole share.
      micro_batch=0,
      # float32; bfloat16 for activations and products; tensorfloat32 for
      # products alone. Parameters, statistics and losses stay float32.
      precision='float32',
      num_steps=1_000,  # training steps
      disc_steps=1,  # D updates in each step
      gen_steps=1,  # G updates in each step, after D's
      fresh_latents=True,  # False: G's update reuses D's last fakes
      ema_decay=0.0,  # of G's moving average, per step; 0: none kept
      ema_start=0,  # steps in which the average is G itself
      gen_optimizer=optimizer(),
      disc_optimizer=optimizer(),
      # --- remedies against instability; each is off as it stands here, and
      # docs/stability.md says what it is for
      tricks=dict(
        # none, paired (RpGAN), average (RaGAN: both parts added up, not halved)
        relativistic='none',
        label_flip=0.0,  # probability that D is told the wrong label
        top_k_share=1.0,  # of the fakes with the highest logits, for G
        top_k_steps=0,  # steps from all to top_k_share; 0: num_steps
        packing=1,  # examples that D judges together (PacGAN)
        noise_std=0.0,  # of instance noise, in units of pixels in [-1, 1]
        # constant, linear, linear_late, exponential, cosine
        noise_schedule='linear',
        noise_steps=0,  # steps in which instance noise fades; 0: num_steps
        augment='none',  # of what D sees: none, diffaugment, ada
        # ada: where its probability goes from 0 (see anneal_steps); None: D
        # steers it
        augment_end=placeholder(float),
        augment_policy=('colour', 'translation', 'cutout'),  # of diffaugment
        ada_target=0.6,  # of E sign(D(x)), x real
        ada_images=500_000,  # in which ADA's probability goes from 0 to 1
        feature_matching=0.0,  # weight of the squared distance of means
        feature_layer='',  # of D: hidden_0, hidden_1, ...; '': the last
        feature_matching_alone=True,  # in place of G's adversarial loss
        lecam_weight=0.0,  # of LeCam on D, from the first step on; 0: off
        lecam_decay=0.99,  # of LeCam's averages of D's logits, per update
        # On (D(x) - D(T(x)))^2 of real images, T mirrors and shifts.
        consistency_weight=0.0,
        fake_consistency_weight=0.0,  # on (D(x) - D(T(x)))^2 of fakes
        num_discs=1,  # how many discriminators (GMAN)
        mixing_weight=0.0,  # of G's softmax over several; 0: their mean
        disc_accuracy_limit=1.0,  # D does not move above it; 1: it always does
        lookahead_steps=0,  # steps between two looks back; 0: none
        lookahead_rate=0.5,  # share of the way kept at a look back
      ),
      network=dict(
        # mlp, mlp_bn, maxout, conv, dcgan, upconv, wgan_gp_resnet, sngan,
        # sagan, biggan, progressive, stylegan, stylegan2, r3gan; of a text:
        # stackgan; from any side: hologan, pigan; of a source: pix2pix, srgan,
        # msrresnet, esrgan; of two domains: cyclegan; of one player: mlp,
        # conv; of diffusion: unet
        name='mlp',
        # None keeps the architecture's default; a key that it lacks is refused.
        gen_widths=placeholder(
          tuple
        ),  # of G: units per layer of mlp, mlp_bn, maxout, conv; levels of unet
        disc_widths=placeholder(tuple),  # of D; conv: channels per layer
        # Of G: base channels of dcgan, wgan_gp_resnet, sngan, sagan; of biggan
        # the unit of its widths, ch
        gen_width=placeholder(int),
        disc_width=placeholder(int),  # likewise, of D
        depth=placeholder(
          int
        ),  # dcgan, pix2pix, wgan_gp_resnet: halvings of the image
        # D of wgan_gp_resnet: resnet, dcgan; of stylegan2: residual, plain
        critic=placeholder(str),
        gen_activation=placeholder(
          str
        ),  # of G: relu, leaky_relu, elu, gelu, ...
        disc_activation=placeholder(str),  # of D: relu, leaky_relu, ...
        # Of activations: none, batch, conditional (batch norm by class), layer,
        # instance, pixel, group, virtual; spectral: none, with such weights.
        gen_norm=placeholder(str),
        disc_norm=placeholder(str),  # likewise, of D
        # As they enter a product: none, spectral, equalised.
        gen_weights=placeholder(str),
        disc_weights=placeholder(str),  # likewise, of D
        norm_groups=placeholder(int),  # of group norm
        reference_size=placeholder(int),  # examples behind virtual batch norm
        disc_maxout=placeholder(int),  # of mlp, mlp_bn, maxout: pieces of units
        disc_minibatch=placeholder(str),  # in D: none, stddev, discrimination
        minibatch_kernels=placeholder(int),  # features that discrimination adds
        minibatch_dim=placeholder(int),  # dimensions in which it compares
        # Examples that stddev compares; None: all, in growing pairs 4
        minibatch_group=placeholder(int),
        # Of progressive, stylegan, stylegan2, r3gan: maps of S pixels have
        # channel_base / S channels
        channel_base=placeholder(int),
        channel_max=placeholder(int),  # or so many, if that is less
        # Of progressive, stylegan, stackgan: pixels at which both are trained
        # (stages change it); None: the image's
        resolution=placeholder(int),
        mapping_depth=placeholder(int),  # of style-based G: layers from z to w
        style_dim=placeholder(int),  # of style-based G: size of w
        # Of style-based G: probability that two styles are mixed in training
        mixing=placeholder(float),
        # Of hologan, pigan: least and most of the poses that G draws where none
        # are given, in degrees; None: all around, (0, 0)
        azimuth=placeholder(tuple),
        elevation=placeholder(tuple),  # likewise
        field_depth=placeholder(int),  # of pigan: layers before the density
        samples=placeholder(int),  # of pigan: points on each ray
        # Of stackgan: pixels of its first stage; None: a quarter
        first_size=placeholder(int),
        condition_dim=placeholder(int),  # of stackgan: the vector of a text
        # Of stackgan: of its words before, if it comes as words
        text_dim=placeholder(int),
        # Of stackgan: whether D also judges images by themselves, at the end
        alone=placeholder(bool),
        # Of pix2pix: layers of D that halve, 0 to 5; its patches have 1, 16,
        # 34, 70, 142 or 286 pixels
        disc_layers=placeholder(int),
        # Share of hidden values that are zeroed: of pix2pix, unet by G, of
        # maxout by D in training
        dropout=placeholder(float),
        input_dropout=placeholder(float),  # of maxout: of D's pixels, likewise
        # Residual ones: of r3gan and unet of each size; of cyclegan, srgan of G
        blocks=placeholder(int),
        growth=placeholder(int),  # of esrgan: channels that a convolution adds
        # Of srgan, esrgan: whether D averages its last maps, for any size
        pooled=placeholder(bool),
        # Of r3gan: of its 3x3 convolutions, where they are widest
        groups=placeholder(int),
        norm_momentum=placeholder(float),  # old value's share in batch norm
        # Size of a label's vector beside the latents; of biggan's shared one
        embed_dim=placeholder(int),
        # How D takes labels: concat (as a channel), projection, classifier (it
        # guesses them)
        disc_labels_by=placeholder(str),
        # Of sagan, biggan, unet: sizes of maps with self-attention, in pixels
        attention=placeholder(tuple),
        # Of biggan: one embedding for all norms of G, or a table for each
        shared_embedding=placeholder(bool),
        # Of biggan: whether each block of G has a part of the latents
        hierarchy=placeholder(bool),
        init=placeholder(str),  # of biggan: orthogonal, normal (N(0, .02))
      ),
      # --- the data
      data=dict(
        name='digits',  # digits, folder, or any image dataset of TFDS
        # The folder or the ZIP, or where TFDS datasets lie; '': TFDS's default.
        dir='',
        image_size=0,  # pixels; 0: as the data is
        channels=0,  # 1: grey, 3: RGB, 0: as the data is
        # How to reach image_size: crop (shorter side to it, then the middle),
        # stretch, or centre (the middle as it is)
        fit='crop',
        # Pixels of a square of each image and its source: a random one in
        # training, else the middle; 0: the whole
        crop=0,
        flip=False,  # mirror half of the images left to right
        test_fraction=0.1,  # held out, where the data has no test split
        # Images at the end of train that are not trained on: parzen chooses its
        # sigma on them
        validation=0,
        # Of a folder: leave out images that cannot be decoded; False: refuse.
        skip_broken=False,
        background='black',  # of a folder: behind what is transparent; or white
        # Of a folder. single: each image by itself; paired: A/ and B/ with the
        # same file names; unpaired: A/ and B/ with any; halves: each file is A
        # on the left and B on the right. B is the image, A its source (paired,
        # halves) or the column `other` (unpaired).
        layout='single',
        direction='a2b',  # a2b, or b2a: A is the image
        # What is made of each image as its source: none, grey (luma), edges
        # (Sobel), low_res (antialiased cubic), masked (without its middle).
        derive='none',
        derive_factor=4,  # of low_res: by which both sides shrink
        cache='auto',  # device, stream, or auto: device if it fits cache_mb
        cache_mb=1024,  # MiB of pixels that auto may keep on the device
        # Whether a split that is read whole (device) is kept decoded in
        # ~/.cache/gan_jax/decoded, up to 2 GiB of pixels.
        decoded_cache=True,
      ),
      # --- the run
      num_devices=0,  # devices of each process; 0: all
      # Of a CPU: devices that share its cores and each batch, at most; 0: one,
      # which several runs at once divide by themselves
      cpu_devices=0,
      steps_per_dispatch=50,  # at most; between logs no more than log_every
      log_every=100,  # steps between rows of metrics
      sample_every=500,  # steps between grids
      checkpoint_every=1_000,  # steps between checkpoints
      keep_checkpoints=2,  # so many, the newest ones
      # --- a loss or a gradient that is not finite
      non_finite=dict(
        action='stop',  # stop, or rollback: to the last checkpoint, and on
        rollbacks=3,  # of one run at the most; after these it stops
        rate_factor=0.5,  # on both learning rates at each rollback
        step=0,  # of --mode=replay: the failure to repeat; 0: the newest
      ),
      # --- the other modes
      # Which of several runs to sample, score or diagnose, from 0 on; -1: all
      # of them to evaluate, else the first.
      member=-1,
      sample=dict(
        num=64,  # images
        # One image of each seed, such as 0-63 or 0,3,7: its first. '': num
        # images of one seed.
        seeds='',
        text='',  # of all, of a run that is told text; '': held-out ones
        **drawing(),
        files=False,  # one PNG each, into --out or images/, and nothing else
        # What samples.png shows: grid (num images); by eight seeds: classes,
        # truncation (.2 to 1, and none), between (from class to class), codes;
        # of a style-based G: mixing (coarse layers of a row, fine ones of a
        # column), psi (from 0 to 1); of a growing one: growth (by size)
        sheet='grid',
      ),
      interpolate=dict(
        num_points=4,  # latents to walk through, and back to the first
        steps=12,  # images from one to the next
        **drawing(),
      ),
      translate=dict(
        dir='',  # folder or ZIP of images, of which others are made
        # Whether sources are first derived from them, as data.derive does
        derive=False,
        back=False,  # of game=cycle: from its images to the other domain
        # Images keep their sizes, instead of the run's (pix2pix, cyclegan)
        any_size=False,
        **drawing(),
      ),
      orbit=dict(
        num=8,  # things, by the seed's first latents
        frames=36,  # images of each, on the way around
        # Degrees from where to where, such as (-60, 60); (): as G was trained,
        # all around where the data had the poses
        azimuth=(),
        elevation=0.0,  # degrees above the horizon
        **drawing(),
      ),
      guide=dict(
        prompt='',  # text that images are moved towards
        # That compares: towers (a file of experiments/two_tower.py), clip (a
        # folder)
        network='towers',
        weights='',  # path of it
        num=16,  # images
        steps=100,  # updates of each
        learning_rate=0.05,  # of Adam, falling to 0
        crops=8,  # of each image, that the network sees; 0: the whole
        spherical=False,  # the angle squared, in place of the cosine
        space='z',  # what moves: z, or of a style-based G its styles w, w+
        **drawing(),
      ),
      edit=dict(
        # What changes: an attribute (brightness, ink, thickness, slant, width,
        # height), label_NAME by the classifier, sefa_0 (of weights), pca_0 (of
        # styles), ...; or the file of a direction
        direction='',
        against=(),  # directions that it leaves as they are, likewise
        space='auto',  # what moves: z, or w of a style-based G; auto: w, or z
        layers='',  # in w, such as 0-3 or 2,5; '': all
        reach=3.0,  # from -reach to it, in standard deviations
        steps=7,  # images on the way
        num=8,  # rows
        start='',  # invert.npz of a run: what is edited; '': seeds
        samples=2_000,  # images that a direction is found on
        **drawing(),
      ),
      invert=dict(
        dir='',  # folder or ZIP of images; '': held-out ones of the run
        num=16,  # so many of them, the first
        # What is found: z, or of a style-based G its style w, or one for each
        # layer, w+; auto: w+, or z
        space='auto',
        # What sees how far images are: pixels; lpips, mobilenet, classifier
        network='pixels',
        weights='',  # path of its file
        pixel_weight=1.0,  # on the squares of pixels, beside a network
        steps=500,  # updates of each image
        learning_rate=0.1,  # of Adam, at its highest
        **drawing(),
      ),
      upscale=dict(
        dir='',  # folder or ZIP of images, of any sizes, to be enlarged
        # Whether they are first shrunk: scores beside the images say how close
        # the run comes to them, and bicubic enlargement
        shrink=False,
        # Another run, whose weights these are mixed with: of ESRGAN's two
        towards='',
        share=0.5,  # of the other run
        weights='',  # of LPIPS, to score with; '': without
        checkpoint='latest',  # latest, or best by eval.best
        ema=True,  # the moving average if there is one; False: raw weights
      ),
      search=dict(
        # What is tried: JSON, or a file of it, such as
        # {"gen_optimizer.learning_rate": [1e-4, 1e-3, "log"], "batch_size":
        # [32, 128], "loss": ["hinge", "non_saturating"]}
        space='',
        trials=30,  # runs; of a grid at the most
        sampler='tpe',  # tpe, random, grid
        # median: a run that scores worse than half of those before it at the
        # same step is given up; none. What ranks is eval.best, each eval.every.
        pruner='median',
        together=1,  # trials in one program, where they differ in swept keys
        workers=1,  # processes on this machine
        # Where trials are kept: an Optuna URL; '': search.db in the workdir
        storage='',
        study='search',  # name of them there
        heartbeat=10,  # seconds; a worker silent for three of them is dead
        fresh_seeds=5,  # of the best and of the config as it is; 0: none
        seed=0,  # of what is tried
      ),
      export=dict(
        platforms=('cpu', 'cuda', 'tpu'),  # that the generator is compiled for
        onnx=False,  # generator.onnx too, where jax2onnx is installed
        license='other',  # of the weights, as Hugging Face names it
        data_license='',  # of the images; '': what is known of the dataset
        **drawing(),
      ),
      explore=dict(
        host='127.0.0.1',  # 0.0.0.0: from other machines too, without password
        port=8_080,  # 0: any that is free
        num=16,  # images at once
        directions=(),  # sliders of --mode=edit, such as ('thickness', 'pca_0')
        **drawing(),
      ),
      diagnose=dict(
        window=1_000,  # steps from the end on that the verdict is about
        grad_norm=100.0,  # a mean gradient norm above it is worth a warning
        samples=1_000,  # images to compare with real ones; 0: metrics alone
        classifier=True,  # whether they are classified, where there are labels
      ),
      eval=dict(
        # fid, fid_infinity, kid, inception_score, mode_score, modes,
        # label_accuracy, precision_recall, density_coverage, ppl, ms_ssim,
        # psnr, ssim, colourfulness, sliced_wasserstein, parzen,
        # nearest_neighbours, disc_accuracy; (): all that can be had, but for
        # fid_infinity, ppl, colourfulness and parzen
        scores=(),
        num_samples=10_000,  # fakes
        split='train',  # real images to compare with: train or test
        num_real=0,  # so many of them, at random; 0: all
        # of features: classifier, mobilenet, inception, lpips, random; auto:
        # the first where there are labels, else the second if its weights are
        # there, else the last, which ranks nothing
        network='auto',
        weights='',  # of mobilenet, inception or lpips; '': in the cache
        weights_sha256='',  # of another file; '': the published one's
        download=False,  # fetch Inception's published file if it is missing
        batch_size=64,  # images through the network at a time, all devices
        checkpoint='latest',  # latest, or best by eval.best
        ema=True,  # the moving average if there is one; False: raw weights
        batch_norm='running',  # statistics in G: running, batch, standing
        truncation=0.0,  # of a normal prior, in standard deviations; 0: none
        psi=1.0,  # of a style-based G: how far styles are from their mean
        psi_cutoff=0,  # in so many layers, the first; 0: in all
        seed=0,  # of latents, pairs and projections; KID's subsets have 2020
        splits=10,  # of the fakes, for the Inception score
        kid_subsets=100,  # subsets of KID
        kid_subset_size=1_000,  # images of each set; less if there are fewer
        precision_k=3,  # neighbours of precision and recall
        coverage_k=5,  # neighbours of density and coverage
        ssim_pairs=1_000,  # pairs of images for MS-SSIM
        projections=512,  # directions of the sliced Wasserstein distance
        # Of the perceptual path length, where steps are: end (the start of each
        # way), full (anywhere on it)
        ppl_sampling='end',
        # --- during training
        every=0,  # steps between evaluations; 0: none
        every_scores=('fid',),  # their names, as in eval.scores
        every_num_samples=2_000,  # fakes of each
        best='fid',  # which of them ranks: its best checkpoint is in best/
      ),
    )
  )
