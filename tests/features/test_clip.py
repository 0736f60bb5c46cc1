"""CLIP: both layouts and both namings on random weights, against PyTorch."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.features import clip, guides, texts
from gan_jax.types import InputError

WIDTH, DEPTH, EMBED, PATCH, SIDE = 128, 2, 24, 4, 3  # two heads
WORDS = ['!', 'a', 'red', 'cat', '<start>', '<end>']  # the last is the highest
TEXTS = np.array([[4, 1, 3, 5, 0, 0], [4, 2, 5, 0, 0, 0]], np.int32)


class Drawn(dict):
  """Random arrays by name."""

  def __init__(self, seed=0):
    super().__init__()
    self.rng = np.random.default_rng(seed)

  def add(self, name, *shape, mean=0.0, std=0.2):
    self[name] = self.rng.normal(mean, std, shape).astype(np.float32)

  def dense(self, name, out, size):
    self.add(f'{name}.weight', out, size, std=size**-0.5)
    self.add(f'{name}.bias', out)

  def norm(self, name, size):
    self.add(f'{name}.weight', size, mean=1.0)
    self.add(f'{name}.bias', size)

  def blocks(self, prefix):
    for number in range(DEPTH):
      name = f'{prefix}.{number}'
      self.norm(f'{name}.ln_1', WIDTH)
      self.norm(f'{name}.ln_2', WIDTH)
      self.add(f'{name}.attn.in_proj_weight', 3 * WIDTH, WIDTH, std=0.09)
      self.add(f'{name}.attn.in_proj_bias', 3 * WIDTH)
      self.dense(f'{name}.attn.out_proj', WIDTH, WIDTH)
      self.dense(f'{name}.mlp.c_fc', 2 * WIDTH, WIDTH)
      self.dense(f'{name}.mlp.c_proj', WIDTH, 2 * WIDTH)

  def texts(self):
    self.add('token_embedding.weight', len(WORDS), WIDTH, std=1.0)
    self.add('positional_embedding', 6, WIDTH)
    self.blocks('transformer.resblocks')
    self.norm('ln_final', WIDTH)
    self.add('text_projection', WIDTH, EMBED)
    return self


def vit():
  drawn = Drawn().texts()
  drawn.add('visual.conv1.weight', WIDTH, 3, PATCH, PATCH)
  drawn.add('visual.class_embedding', WIDTH)
  drawn.add('visual.positional_embedding', SIDE**2 + 1, WIDTH)
  drawn.norm('visual.ln_pre', WIDTH)
  drawn.blocks('visual.transformer.resblocks')
  drawn.norm('visual.ln_post', WIDTH)
  drawn.add('visual.proj', WIDTH, EMBED)
  return dict(drawn)


def resnet(width=4, blocks=(2, 1, 1, 1)):
  drawn = Drawn(1).texts()

  def conv(name, norm, out, size, side):
    std = (size * side**2) ** -0.5
    drawn.add(f'{name}.weight', out, size, side, side, std=std)
    drawn.norm(norm, out)
    drawn.add(f'{norm}.running_mean', out)
    drawn[f'{norm}.running_var'] = drawn.rng.gamma(3, 0.3, out).astype('f')

  for number, (size, out) in enumerate(
    [(3, width // 2), (width // 2, width // 2), (width // 2, width)], 1
  ):
    conv(f'visual.conv{number}', f'visual.bn{number}', out, size, 3)
  size = width
  for stage, num in enumerate(blocks, 1):
    inside = width * 2 ** (stage - 1)
    for number in range(num):
      name = f'visual.layer{stage}.{number}'
      conv(f'{name}.conv1', f'{name}.bn1', inside, size, 1)
      conv(f'{name}.conv2', f'{name}.bn2', inside, inside, 3)
      conv(f'{name}.conv3', f'{name}.bn3', 4 * inside, inside, 1)
      if number == 0:
        down = f'{name}.downsample'
        conv(f'{down}.0', f'{down}.1', 4 * inside, size, 1)
      size = 4 * inside
  pool = 'visual.attnpool'
  drawn.add(f'{pool}.positional_embedding', 4 + 1, size)
  for part in 'qkv':
    drawn.dense(f'{pool}.{part}_proj', size, size)
  drawn.dense(f'{pool}.c_proj', EMBED, size)
  return dict(drawn)


def as_hugging_face(arrays):
  """The same weights as Hugging Face's CLIPModel calls them."""
  found = {}
  for name, x in arrays.items():
    vision = name.startswith('visual.')
    model = 'vision_model' if vision else 'text_model'
    own = name.removeprefix('visual.')
    block = re.fullmatch(r'transformer\.resblocks\.(\d+)\.(.*)', own)
    if block:
      prefix, rest = f'{model}.encoder.layers.{block[1]}', block[2]
      joint = re.fullmatch(r'attn\.in_proj_(\w+)', rest)
      if joint:
        for part, own in zip('qkv', np.split(x, 3), strict=True):
          found[f'{prefix}.self_attn.{part}_proj.{joint[1]}'] = own
        continue
      for old, new in (
        ('attn.out_proj', 'self_attn.out_proj'),
        ('ln_1', 'layer_norm1'),
        ('ln_2', 'layer_norm2'),
        ('mlp.c_fc', 'mlp.fc1'),
        ('mlp.c_proj', 'mlp.fc2'),
      ):
        rest = rest.replace(old, new)
      found[f'{prefix}.{rest}'] = x
      continue
    plain = {
      'token_embedding.weight': 'embeddings.token_embedding.weight',
      'positional_embedding': 'embeddings.position_embedding.weight',
      'ln_final.weight': 'final_layer_norm.weight',
      'ln_final.bias': 'final_layer_norm.bias',
      'class_embedding': 'embeddings.class_embedding',
      'conv1.weight': 'embeddings.patch_embedding.weight',
      'ln_pre.weight': 'pre_layrnorm.weight',
      'ln_pre.bias': 'pre_layrnorm.bias',
      'ln_post.weight': 'post_layernorm.weight',
      'ln_post.bias': 'post_layernorm.bias',
    }
    if own == 'text_projection':
      found['text_projection.weight'] = np.ascontiguousarray(x.T)
    elif own == 'proj':
      found['visual_projection.weight'] = np.ascontiguousarray(x.T)
    else:
      found[f'{model}.{plain[own]}'] = x
  return found


# --- PyTorch ------------------------------------------------------------------


def torch_blocks(torch, arrays, prefix, x, mask):
  """PyTorch's encoder layers, which are CLIP's with its activation."""

  def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)

  names = {
    'self_attn.in_proj_weight': 'attn.in_proj_weight',
    'self_attn.in_proj_bias': 'attn.in_proj_bias',
  }
  for kind in ('weight', 'bias'):
    names |= {
      f'self_attn.out_proj.{kind}': f'attn.out_proj.{kind}',
      f'norm1.{kind}': f'ln_1.{kind}',
      f'norm2.{kind}': f'ln_2.{kind}',
      f'linear1.{kind}': f'mlp.c_fc.{kind}',
      f'linear2.{kind}': f'mlp.c_proj.{kind}',
    }
  for number in range(DEPTH):
    layer = torch.nn.TransformerEncoderLayer(
      WIDTH,
      WIDTH // 64,
      2 * WIDTH,
      0.0,
      quick_gelu,
      batch_first=True,
      norm_first=True,
    )
    own = f'{prefix}.{number}'
    layer.load_state_dict(
      {k: torch.from_numpy(arrays[f'{own}.{v}']) for k, v in names.items()}
    )
    x = layer(x, src_mask=mask)
  return x


def torch_norm(torch, arrays, name, x):
  weights = (
    torch.from_numpy(arrays[f'{name}.{k}']) for k in ('weight', 'bias')
  )
  return torch.nn.functional.layer_norm(x, (x.shape[-1],), *weights)


def normalised(torch, x):
  return torch.nn.functional.normalize(x, dim=-1).detach().numpy()


def torch_texts(torch, arrays):
  tensor = {k: torch.from_numpy(v) for k, v in arrays.items()}
  ids = torch.from_numpy(TEXTS).long()
  x = tensor['token_embedding.weight'][ids] + tensor['positional_embedding']
  mask = torch.full((6, 6), -torch.inf).triu(1)
  x = torch_blocks(torch, arrays, 'transformer.resblocks', x, mask)
  x = torch_norm(torch, arrays, 'ln_final', x)[torch.arange(2), ids.argmax(1)]
  return normalised(torch, x @ tensor['text_projection'])


def scaled(torch, images):
  pixels = torch.from_numpy(np.asarray(images)).permute(0, 3, 1, 2) / 2 + 0.5
  mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
  std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
  return (pixels - mean[:, None, None]) / std[:, None, None]


def torch_vit(torch, arrays, images):
  tensor = {k: torch.from_numpy(v) for k, v in arrays.items()}
  kernel = tensor['visual.conv1.weight']
  x = torch.nn.functional.conv2d(scaled(torch, images), kernel, stride=PATCH)
  x = x.flatten(2).transpose(1, 2)
  first = tensor['visual.class_embedding'].expand(len(x), 1, -1)
  x = torch.cat([first, x], 1) + tensor['visual.positional_embedding']
  x = torch_norm(torch, arrays, 'visual.ln_pre', x)
  x = torch_blocks(torch, arrays, 'visual.transformer.resblocks', x, None)
  x = torch_norm(torch, arrays, 'visual.ln_post', x[:, 0])
  return normalised(torch, x @ tensor['visual.proj'])


def torch_resnet(torch, arrays, images):
  tensor = {k: torch.from_numpy(v) for k, v in arrays.items()}
  ops = torch.nn.functional

  def layer(x, conv, norm, stride=1):
    kernel = tensor[f'{conv}.weight']
    x = ops.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
    moments = tensor[f'{norm}.running_mean'], tensor[f'{norm}.running_var']
    return ops.batch_norm(
      x, *moments, tensor[f'{norm}.weight'], tensor[f'{norm}.bias']
    )

  x = scaled(torch, images)
  for number in (1, 2, 3):
    x = layer(x, f'visual.conv{number}', f'visual.bn{number}', 2 - (number > 1))
    x = x.relu()
  x = ops.avg_pool2d(x, 2)
  for stage, num in enumerate((2, 1, 1, 1), 1):
    for number in range(num):
      name, side = (
        f'visual.layer{stage}.{number}',
        1 + (stage > 1 and number == 0),
      )
      h = layer(x, f'{name}.conv1', f'{name}.bn1').relu()
      h = layer(h, f'{name}.conv2', f'{name}.bn2').relu()
      h = layer(ops.avg_pool2d(h, side), f'{name}.conv3', f'{name}.bn3')
      if number == 0:
        down = f'{name}.downsample'
        x = layer(ops.avg_pool2d(x, side), f'{down}.0', f'{down}.1')
      x = (x + h).relu()
  x = x.flatten(2).permute(2, 0, 1)
  x = torch.cat([x.mean(0, keepdim=True), x])
  pool = 'visual.attnpool'
  x = x + tensor[f'{pool}.positional_embedding'][:, None]
  biases = [tensor[f'{pool}.{p}_proj.bias'] for p in 'qkv']
  out, _ = ops.multi_head_attention_forward(
    query=x[:1],
    key=x,
    value=x,
    embed_dim_to_check=x.shape[-1],
    num_heads=max(1, x.shape[-1] // 64),
    q_proj_weight=tensor[f'{pool}.q_proj.weight'],
    k_proj_weight=tensor[f'{pool}.k_proj.weight'],
    v_proj_weight=tensor[f'{pool}.v_proj.weight'],
    in_proj_weight=None,
    in_proj_bias=torch.cat(biases),
    bias_k=None,
    bias_v=None,
    add_zero_attn=False,
    dropout_p=0.0,
    out_proj_weight=tensor[f'{pool}.c_proj.weight'],
    out_proj_bias=tensor[f'{pool}.c_proj.bias'],
    use_separate_proj_weight=True,
    training=False,
    need_weights=False,
  )
  return normalised(torch, out[0])


@pytest.mark.slow  # PyTorch
@pytest.mark.parametrize(
  ('make', 'reference'), [(vit, torch_vit), (resnet, torch_resnet)]
)
def test_vectors_are_those_of_pytorch(make, reference):
  torch = pytest.importorskip('torch')
  arrays = make()
  size = clip.image_size(arrays)
  assert size == {vit: PATCH * SIDE, resnet: 64}[make]
  rng = np.random.default_rng(2)
  images = rng.uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
  found = jax.jit(clip.encode_images)(arrays, images)
  expected = reference(torch, arrays, images)
  np.testing.assert_allclose(found, expected, atol=2e-5)
  assert np.abs(found[0] - found[1]).max() > 1e-3
  read = clip.encode_texts(arrays, TEXTS)
  np.testing.assert_allclose(read, torch_texts(torch, arrays), atol=2e-5)


# --- Files --------------------------------------------------------------------


def test_both_namings_are_the_same_weights():
  arrays = vit()
  other = clip.as_published(as_hugging_face(arrays))
  assert other.keys() == arrays.keys()
  for name, x in arrays.items():
    assert np.array_equal(other[name], x), name
  half = {name: x.astype(np.float16) for name, x in arrays.items()}
  assert {x.dtype for x in clip.as_published(half).values()} == {
    np.dtype(np.float32)
  }


def test_a_text_is_read_up_to_its_end():
  """What stands behind it changes nothing; an earlier word does."""
  arrays = vit()
  longer = TEXTS.copy()
  longer[0, 4:] = 2
  found = [clip.encode_texts(arrays, x) for x in (TEXTS, longer)]
  np.testing.assert_allclose(*found, atol=1e-6)
  longer[0, 1] = 2
  assert np.abs(clip.encode_texts(arrays, longer) - found[0]).max() > 1e-3


@pytest.fixture
def folder(tmp_path):
  """A model in Hugging Face's format, with random weights."""
  tokenizers = pytest.importorskip('tokenizers')
  numpy = pytest.importorskip('safetensors.numpy')
  root = tmp_path / 'clip'
  root.mkdir()
  numpy.save_file(as_hugging_face(vit()), root / 'model.safetensors')
  vocabulary = {word: number for number, word in enumerate(WORDS)}
  tokenizer = tokenizers.Tokenizer(
    tokenizers.models.WordLevel(vocabulary, unk_token='!')
  )
  tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
  tokenizer.post_processor = tokenizers.processors.BertProcessing(
    ('<end>', 5), ('<start>', 4)
  )
  tokenizer.save(str(root / 'tokenizer.json'))
  return root


@pytest.mark.slow
def test_a_folder_is_a_guide_and_an_encoder(folder, tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  model = guides.load('clip', str(folder))
  assert (model.image_size, model.channels) == (PATCH * SIDE, 3)
  read = model.of_texts(['a cat', 'red'])
  np.testing.assert_allclose(read, clip.encode_texts(vit(), TEXTS), atol=1e-6)
  encoder = texts.load('clip', str(folder))
  np.testing.assert_allclose(encoder(['a cat', 'red']), read, atol=1e-6)
  assert encoder.size == EMBED
  assert np.isfinite(model.of_texts(['cat ' * 50])).all()
  images = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 1), np.uint8)
  seen = model.see(images)
  np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1, rtol=1e-5)

  def cosine(images):
    return (model.of_images(model.fitted(images)) @ read[0]).sum()

  gradient = jax.grad(cosine)(jnp.zeros((1, 20, 20, 3)))
  assert np.abs(gradient).max() > 0


def test_what_is_no_clip_says_where_it_is_from(folder, tmp_path):
  with pytest.raises(InputError, match=r'no model.safetensors.*clip-vit-base'):
    guides.load('clip', str(tmp_path))
  numpy = pytest.importorskip('safetensors.numpy')
  other = {'weight': np.zeros(3, np.float32)}
  numpy.save_file(other, folder / 'model.safetensors')
  with pytest.raises(InputError, match=r'is of no CLIP that is known'):
    guides.load('clip', str(folder))
