"""Joint attention of the two streams: QK-norm, rotation, and padding that is really masked.

Nothing padded, no mask: that is the path of every fast kernel, so batches of one grid and one text length cost
nothing extra. Where rows differ:

- CPU, and float32 or wider on a GPU: a boolean key mask. The CPU's fused kernel takes it for free (forward and
  backward, one thread: 48 rows of 19 tokens 2.3 ms masked and 3.2 ms not, 8 x 300 tokens 48 and 86 ms, within the
  noise of the machine; one call for each row 26 and 100 ms).
- CUDA in half precision: variable-length attention over the valid tokens only, since a mask would turn the flash kernel
  off. Gathering costs one pass over q, k, v; what padding would have cost is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn

from model.fused import rms_norm
from model.rope import rotate

HALVES = (torch.float16, torch.bfloat16)


class Ragged(NamedTuple):
    """The valid places of a padded (B, S) batch: their places in the flattened batch (int64), the offset of each row
    among them (B + 1, int32), and the longest row."""

    places: Tensor
    offsets: Tensor
    longest: int


class Padding(NamedTuple):
    """Which tokens of the joint sequence [text, image] are real: a key mask (B, 1, 1, T + N), true where valid, and
    the same for variable-length kernels; `image` is of the image tokens alone, as queries of the last block."""

    mask: Tensor
    joint: Ragged
    image: Ragged


def padding_of(
    texts: Sequence[int], images: Sequence[int], text: int, image: int, device: torch.device
) -> Padding | None:
    """The padding of rows with so many valid text and image tokens, padded on the right to `text` and `image`.

    None where nothing is padded. Raises ValueError where a row is longer than what holds it.
    """
    for name, counts, room in (("text", texts, text), ("image", images, image)):
        if any(not 0 <= count <= room for count in counts):
            raise ValueError(f"{name} tokens of the rows are {list(counts)}, but the batch holds {room} for each")
    if all(count == text for count in texts) and all(count == image for count in images):
        return None
    valid_text = torch.arange(text) < torch.tensor(texts)[:, None]
    valid_image = torch.arange(image) < torch.tensor(images)[:, None]
    valid = torch.cat([valid_text, valid_image], dim=1)
    return Padding(valid[:, None, None].to(device), _ragged(valid, device), _ragged(valid_image, device))


def _ragged(valid: Tensor, device: torch.device) -> Ragged:
    counts = valid.sum(dim=1)
    offsets = functional.pad(counts.cumsum(0), (1, 0)).to(torch.int32)
    return Ragged(valid.flatten().nonzero().squeeze(1).to(device), offsets.to(device), int(counts.max()))


def attend(query: Tensor, key: Tensor, value: Tensor, padding: Padding | None) -> Tensor:
    """Softmax attention of (B, Q, heads, head_dim) over (B, S, heads, head_dim), bidirectional; same shape as `query`.

    Q is S, or the image tokens alone. What stands at padded queries is not to be used.
    """
    if padding is not None and query.is_cuda and query.dtype in HALVES:
        queries = padding.joint if query.shape[1] == key.shape[1] else padding.image
        return _attend_ragged(query, key, value, queries, padding.joint)
    mask = None if padding is None else padding.mask
    found = functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_mask=mask
    )
    return found.transpose(1, 2)


def _attend_ragged(query: Tensor, key: Tensor, value: Tensor, queries: Ragged, keys: Ragged) -> Tensor:
    """The same over valid tokens only; zeros at padded queries."""
    found = varlen_attn(
        query.flatten(0, 1).index_select(0, queries.places),
        key.flatten(0, 1).index_select(0, keys.places),
        value.flatten(0, 1).index_select(0, keys.places),
        queries.offsets,
        keys.offsets,
        queries.longest,
        keys.longest,
    )
    assert isinstance(found, Tensor)  # a tuple only where more was asked for
    whole = found.new_zeros(query.shape[0] * query.shape[1], *query.shape[2:])
    return whole.index_copy(0, queries.places, found).view(query.shape)


class RMSNorm(nn.Module):
    """`rms_norm` with a weight of its own."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight)


class JointAttention(nn.Module):
    """Attention over [text, image] with projections of its own for each stream; RMSNorm of queries and keys per head.

    Heads are counted by what a projection gives, so a rank of tensor parallelism may hold only some of them. With
    `text_output` false (the last block), the text's queries and output are not computed; their parameters exist, since
    the public checkpoints have them.
    """

    def __init__(self, dim: int, head_dim: int, text_output: bool) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.text_output = text_output
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.add_q_proj = nn.Linear(dim, dim)
        self.add_k_proj = nn.Linear(dim, dim)
        self.add_v_proj = nn.Linear(dim, dim)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])
        self.to_add_out = nn.Linear(dim, dim)
        self.norm_q = RMSNorm(head_dim)
        self.norm_k = RMSNorm(head_dim)
        self.norm_added_q = RMSNorm(head_dim)
        self.norm_added_k = RMSNorm(head_dim)

    def forward(
        self, image: Tensor, text: Tensor, table: Tensor, padding: Padding | None
    ) -> tuple[Tensor, Tensor | None]:
        """Image (B, N, dim), text (B, T, dim), `table` of `RopeTables.joint`; the outputs of both, text's or None."""
        tokens = text.shape[1]
        value = torch.cat([self._heads(self.add_v_proj(text)), self._heads(self.to_v(image))], dim=1)
        # Norm and rotation are one stretch in float32 or wider: under bf16 q and k are rounded once, at its end.
        wide = torch.promote_types(value.dtype, torch.float32)
        key_text = self.norm_added_k(self._heads(self.add_k_proj(text)).to(wide))
        key_image = self.norm_k(self._heads(self.to_k(image)).to(wide))
        key = rotate(torch.cat([key_text, key_image], dim=1), table).to(value.dtype)
        query = self.norm_q(self._heads(self.to_q(image)).to(wide))
        if not self.text_output:
            query = rotate(query, table[:, :, tokens:]).to(value.dtype)
            return self.to_out[0](attend(query, key, value, padding).flatten(2)), None
        query_text = self.norm_added_q(self._heads(self.add_q_proj(text)).to(wide))
        query = rotate(torch.cat([query_text, query], dim=1), table).to(value.dtype)
        found = attend(query, key, value, padding).flatten(2)
        # contiguous: a slice would cost a matrix product without its bias, and the bias after it
        return self.to_out[0](found[:, tokens:].contiguous()), self.to_add_out(found[:, :tokens].contiguous())

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], x.shape[-1] // self.head_dim, self.head_dim)
