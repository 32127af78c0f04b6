"""A training step (forward, backward, AdamW): ours over diffusers' model under the same plain loop.

    python bench/model_step.py                          # CPU, one thread: tiny to small, median of 7
    python bench/model_step.py --device cuda            # GPU: bf16, 512-px tokens, share of the chip's peak beside it
    python bench/model_step.py --device cuda --compile

Same weights, same inputs, same optimizer, in turns within one run. Memory is what the forward pass keeps for the
backward pass (distinct storages that autograd saves, without parameters), and on a GPU the peak as well. diffusers gets
what its training scripts give it: a mask where text is padded, references in the sequence, batches of one grid.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from annotate.torchvision_shim import prepare_torchvision
from model.config import MMDiTConfig
from model.mmdit import MMDiT
from model.packing import Grid

PEAK_FLOPS = 989e12  # dense bf16 of an H100 or H200, by its data sheet
SMALL = MMDiTConfig(
    num_layers=4, attention_head_dim=32, num_attention_heads=4, joint_attention_dim=64, axes_dims_rope=(8, 12, 12)
)
#: 1.7 B parameters.
LARGE = MMDiTConfig(num_layers=20, num_attention_heads=12, joint_attention_dim=2048)
Step = Callable[[], Tensor]


@dataclass(frozen=True)
class Case:
    """One configuration and what a batch of it holds: the grids of a row, the text's room and its valid lengths."""

    name: str
    config: MMDiTConfig
    batch: int
    grids: tuple[Grid, ...]
    text: int
    lengths: tuple[int, ...] | None = None


CASES = (
    Case("tiny: D 128, 4 layers, 16 tokens", SMALL, 48, (Grid(4, 4),), 3),
    Case("tiny, masked text", SMALL, 48, (Grid(4, 4),), 12, tuple(3 + place % 10 for place in range(48))),
    Case(
        "small: D 256, 6 layers, 256 tokens",
        replace(SMALL, num_layers=6, num_attention_heads=8, joint_attention_dim=128),
        4,
        (Grid(16, 16),),
        32,
    ),
    Case(
        "small, masked text",
        replace(SMALL, num_layers=6, num_attention_heads=8, joint_attention_dim=128),
        4,
        (Grid(16, 16),),
        64,
        (64, 31, 17, 40),
    ),
    Case("edit: two references", SMALL, 4, (Grid(8, 8), Grid(8, 8), Grid(6, 10)), 24),
    Case("edit, time 0 for references", replace(SMALL, zero_cond_t=True), 4, (Grid(8, 8), Grid(8, 8)), 24),
)


class Pair:
    """Both models over the same weights, each with its optimizer and its way to be called."""

    def __init__(self, case: Case, device: str, compiled: bool = False, seed: int = 0) -> None:
        self.case, self.device = case, device
        torch.manual_seed(seed)
        with torch.device(device):
            self.ours = MMDiT(case.config)
        for parameter in self.ours.parameters():  # of a size at which nothing vanishes or explodes
            spread = 0.02 if parameter.ndim == 1 else 0.5 / parameter.shape[1] ** 0.5
            torch.nn.init.normal_(parameter, mean=float(parameter.ndim == 1 and parameter.numel() <= 128), std=spread)
        self.peer = public(self.ours, case.config, device)
        self.inputs = self._inputs()
        if compiled:
            for model in (self.ours, self.peer):
                for block in model.transformer_blocks:
                    block.compile()
        fused = {"fused": True}
        self.steps: dict[str, Step] = {
            name: self._step(forward, torch.optim.AdamW(model.parameters(), lr=1e-4, **fused))
            for name, model, forward in (("ours", self.ours, self._ours), ("peer", self.peer, self._peer))
        }

    def _inputs(self) -> dict[str, Tensor]:
        case, config = self.case, self.case.config
        count = sum(grid.tokens for grid in case.grids)
        generator = torch.Generator().manual_seed(1)
        made = {
            "tokens": torch.randn(case.batch, count, config.in_channels, generator=generator),
            "sigma": torch.rand(case.batch, generator=generator),
            "context": torch.randn(case.batch, case.text, config.joint_attention_dim, generator=generator),
            "target": torch.randn(case.batch, case.grids[0].tokens, config.in_channels, generator=generator),
        }
        made = {name: tensor.to(self.device) for name, tensor in made.items()}
        if case.lengths is not None:
            made["lengths"] = torch.tensor(case.lengths)  # on the CPU: no synchronisation
            made["mask"] = (torch.arange(case.text) < made["lengths"][:, None]).to(self.device)
        return made

    def _ours(self) -> Tensor:
        given = self.inputs
        grids = [self.case.grids] * self.case.batch
        found: Tensor = self.ours(
            given["tokens"], given["sigma"], given["context"], grids=grids, lengths=given.get("lengths")
        )
        return found

    def _peer(self) -> Tensor:
        given = self.inputs
        found: Tensor = self.peer(
            hidden_states=given["tokens"],
            timestep=given["sigma"],
            encoder_hidden_states=given["context"],
            encoder_hidden_states_mask=given.get("mask"),
            img_shapes=[[(1, grid.height, grid.width) for grid in self.case.grids]] * self.case.batch,
            return_dict=False,
        )[0]
        return found

    def loss(self, forward: Step) -> Tensor:
        target = self.inputs["target"]
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda"):
            found = forward()
        return torch.nn.functional.mse_loss(found[:, : target.shape[1]].float(), target)

    def _step(self, forward: Step, optimizer: torch.optim.Optimizer) -> Step:
        def step() -> Tensor:
            optimizer.zero_grad(set_to_none=True)
            loss = self.loss(forward)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            return loss.detach()

        return step

    def kept(self, forward: Step, model: torch.nn.Module) -> int:
        """Bytes that the forward pass keeps for the backward pass, parameters and inputs not counted."""
        known = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *self.inputs.values())}
        found: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in known:
                found[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = self.loss(forward)
        del loss
        return sum(found.values())


def public(ours: MMDiT, config: MMDiTConfig, device: str) -> Any:
    prepare_torchvision()
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    from diffusers import QwenImageTransformer2DModel

    with torch.device(device):
        peer = QwenImageTransformer2DModel(**config.to_dict())
    peer.load_state_dict(ours.state_dict())
    return peer.train()


def clock(step: Step, device: str) -> float:
    """Seconds of one step."""
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def in_turns(pair: Pair, repeats: int, seconds: float) -> dict[str, list[float]]:
    """Mean seconds of a step of both, `repeats` times. They take turns step by step, the one first and then the other,
    so that what else the machine does falls on both alike; a repeat has steps of about `seconds`."""
    for _ in range(3):
        losses = [float(step()) for step in pair.steps.values()]
        if abs(losses[0] - losses[1]) > (0.05 if pair.device == "cuda" else 1e-3) * abs(losses[1]):
            raise SystemExit(f"the two do not compute the same: losses {losses}")
    inner = max(2, round(seconds / max(clock(step, pair.device) for step in pair.steps.values())))
    times: dict[str, list[float]] = {name: [] for name in pair.steps}
    for _ in range(repeats):
        sums = dict.fromkeys(pair.steps, 0.0)
        for turn in range(inner):
            for name in list(pair.steps) if turn % 2 == 0 else list(reversed(pair.steps)):
                sums[name] += clock(pair.steps[name], pair.device)
        for name, total in sums.items():
            times[name].append(total / inner)
    return times


def flops(case: Case, executed_by_ours: bool) -> float:
    """Floating point operations of the matrix products of one training step (forward once, backward twice).

    The last block's text output goes nowhere: ours does not compute it, diffusers' model does, forwards. Its attention
    is one call for both streams, so the backward pass goes through the text's queries as well. torch's own counter
    gives the same but for the gradients of inputs that need none (0.1 % in a tiny model).
    """
    c = case.config
    image, text = sum(grid.tokens for grid in case.grids), case.text
    d, hidden = c.inner_dim, c.mlp_hidden
    per_token = 2 * (4 * d * d + (3 if c.mlp == "swiglu" else 2) * d * hidden)
    modulation = 2 * 2 * 6 * d * d
    attention = 4 * d * (image + text) ** 2
    block = (image + text) * per_token + modulation + attention
    idle = text * (per_token - 2 * 2 * d * d)  # all but the text's keys and values
    idle_attention = 4 * d * text * (image + text)
    total = c.num_layers * block - idle - idle_attention
    queries = text * 2 * d * d
    forward_only = 0 if executed_by_ours else idle - queries
    total += 0 if executed_by_ours else idle_attention + queries
    ends = 2 * image * d * (c.in_channels + c.patch_size**2 * c.out_channels) + 2 * text * c.joint_attention_dim * d
    return case.batch * (3.0 * (total + ends) + forward_only)


def told(case: Case, pair: Pair, repeats: int) -> tuple[float, dict[str, float]]:
    """Prints one case; gives the ratio of times and what the last line wants."""
    times = in_turns(pair, repeats, 1.0)
    ours, peer = median(times["ours"]), median(times["peer"])
    memory = {
        "ours": pair.kept(pair._ours, pair.ours),
        "peer": pair.kept(pair._peer, pair.peer),
    }
    spread = (max(times["ours"]) - min(times["ours"])) / ours
    line = (
        f"{case.name:<38} ours {1000 * ours:9.1f} ms, diffusers {1000 * peer:9.1f} ms, ratio {ours / peer:.3f}; "
        f"kept for backward {memory['ours'] / 2**20:8.1f} and {memory['peer'] / 2**20:8.1f} MiB, "
        f"ratio {memory['ours'] / memory['peer']:.3f}"
    )
    print(line, flush=True)
    return ours / peer, {
        "ours": ours,
        "peer": peer,
        "spread": spread,
        "memory": memory["ours"] / memory["peer"],
    }


def on_cpu(repeats: int, only: str) -> None:
    torch.set_num_threads(1)
    ratios, worst = [], {"ours": 0.0, "peer": 1.0, "spread": 0.0, "memory": 0.0}
    memory = 0.0
    for case in CASES:
        if only not in case.name:
            continue
        pair = Pair(case, "cpu")
        ratio, figures = told(case, pair, repeats)
        if not ratios or ratio > max(ratios):
            worst = figures
        ratios.append(ratio)
        memory = max(memory, figures["memory"])
    finish(
        "model_step", max(ratios), worst, repeats, memory_ratio=round(memory, 3), ratios=[round(r, 3) for r in ratios]
    )


def on_gpu(repeats: int, compiled: bool, batch: int, side: int, text: int, masked: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    lengths = tuple(1 + (37 * place) % text for place in range(batch)) if masked else None
    case = Case(f"{side}-px tokens, bf16", LARGE, batch, (Grid(side // 16, side // 16),), text, lengths)
    pair = Pair(case, "cuda", compiled)
    count = sum(parameter.numel() for parameter in pair.ours.parameters())
    print(f"{torch.cuda.get_device_name()}; torch {torch.__version__}; {count / 1e9:.2f} B parameters, batch {batch}")
    times = in_turns(pair, repeats, 2.0)
    peaks = {}
    for name, step in pair.steps.items():
        torch.cuda.reset_peak_memory_stats()
        step()
        peaks[name] = torch.cuda.max_memory_allocated() / 2**30
    shares = {name: flops(case, name == "ours") / median(found) / PEAK_FLOPS for name, found in times.items()}
    for name in times:
        print(
            f"{name}: {1000 * median(times[name]):.1f} ms a step, {100 * shares[name]:.1f} % of 989 TFLOP/s executed, "
            f"peak {peaks[name]:.1f} GiB (both models and optimizers are on the card)"
        )
    ours, peer = median(times["ours"]), median(times["peer"])
    figures = {"ours": ours, "peer": peer, "spread": (max(times["ours"]) - min(times["ours"])) / ours}
    finish(
        "model_step_gpu" + ("_compiled" if compiled else ""),
        ours / peer,
        figures,
        repeats,
        mfu=round(shares["ours"], 4),
        peer_mfu=round(shares["peer"], 4),
    )


def finish(name: str, ratio: float, figures: dict[str, float], repeats: int, **more: Any) -> None:
    line = {
        "name": name,
        "ratio": round(ratio, 3),
        "ours": round(figures["ours"], 4),
        "peer": round(figures["peer"], 4),
        "unit": "s",
        "repeats": repeats,
        "spread": round(figures["spread"], 3),
    }
    print(json.dumps(line | more))


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    ask.add_argument("--repeats", type=int, default=7)
    ask.add_argument("--only", default="", help="CPU: cases whose name holds this")
    ask.add_argument("--compile", action="store_true", help="GPU: both models' blocks compiled")
    ask.add_argument("--batch", type=int, default=16, help="GPU: samples a step")
    ask.add_argument("--side", type=int, default=512, help="GPU: side of the picture in pixels")
    ask.add_argument("--text", type=int, default=128, help="GPU: text tokens")
    ask.add_argument("--masked", action="store_true", help="GPU: texts of other lengths (share of the peak: unmasked)")
    asked = ask.parse_args()
    if asked.device == "cpu":
        on_cpu(asked.repeats, asked.only)
    else:
        on_gpu(asked.repeats, asked.compile, asked.batch, asked.side, asked.text, asked.masked)


if __name__ == "__main__":
    main()
