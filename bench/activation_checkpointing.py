"""Memory and step time of every choice of activation checkpointing: one table, on a CPU or a GPU.

Kept: bytes alive for the backward pass when the forward pass is done (what autograd saved and what Python holds, each
storage once). Peak: of one forward and backward pass, above what is held before it; on a CPU by a process of its own
for each choice (resident set), on a GPU by its allocator. Step: forward, backward and AdamW, all choices in turns,
medians. The estimate of model/memory.py stands beside what is kept. The last line is JSON: seconds of full
checkpointing over seconds of none.

    python bench/activation_checkpointing.py
    python bench/activation_checkpointing.py --device cuda --layers 24 --heads 16 --head-dim 128 --side 64 --batch 4
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

import torch  # noqa: E402

from model.activation_checkpointing import checkpoint_activations  # noqa: E402
from model.config import MMDiTConfig  # noqa: E402
from model.memory import estimate  # noqa: E402
from model.mmdit import MMDiT  # noqa: E402
from model.packing import Grid  # noqa: E402
from model.parallel_config import Checkpointing  # noqa: E402

CHOICES = ("none", "every-3", "every-2", "selective", "full")


class Case:
    """One model under one choice, and a batch for it."""

    def __init__(self, asked: argparse.Namespace, choice: str) -> None:
        self.asked, self.choice = asked, choice
        axes = (asked.head_dim // 8, asked.head_dim * 7 // 16, asked.head_dim * 7 // 16)
        self.config = MMDiTConfig(
            num_layers=asked.layers,
            num_attention_heads=asked.heads,
            attention_head_dim=asked.head_dim,
            axes_dims_rope=axes,
            joint_attention_dim=asked.context,
        )
        torch.manual_seed(0)
        self.device = torch.device(asked.device)
        self.model = MMDiT(self.config).to(self.device, torch.bfloat16 if asked.dtype == "bf16" else torch.float32)
        checkpoint_activations(self.model, Checkpointing.parse(choice))
        if asked.compile:
            for block in self.model.transformer_blocks:
                block.compile()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), fused=True)
        self.tokens = torch.randn(asked.batch, asked.side**2, self.config.in_channels, device=self.device)
        self.text = torch.randn(asked.batch, asked.texts, asked.context, device=self.device)
        self.sigma = torch.rand(asked.batch, device=self.device)

    def loss(self) -> torch.Tensor:
        grids = [(Grid(self.asked.side, self.asked.side),)] * self.asked.batch
        return self.model(self.tokens, self.sigma, self.text, grids=grids).float().square().mean()

    def step(self) -> float:
        """Seconds of one training step; on a CPU those that this process computed, whatever else the machine does."""
        clock = time.perf_counter if self.device.type == "cuda" else time.process_time
        start = clock()
        self.loss().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - start

    def kept(self) -> int:
        """Bytes alive for the backward pass; every storage counts once, weights and the batch do not."""
        gc.collect()
        if self.device.type == "cuda":
            before = torch.cuda.memory_allocated()
            loss = self.loss()
            now = torch.cuda.memory_allocated()
            del loss
            return now - before
        before_ids = {id(found) for found in gc.get_objects() if issubclass(type(found), torch.Tensor)}
        weights = {p.untyped_storage().data_ptr() for p in self.model.parameters()}
        sizes: dict[int, int] = {}
        held: list[torch.Tensor] = []

        def note(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                held.append(tensor)
                sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = self.loss()
        for found in gc.get_objects():
            if issubclass(type(found), torch.Tensor) and id(found) not in before_ids and found is not loss:
                note(found)
        return sum(sizes.values())

    def peak(self) -> int:
        """Bytes above what is held, at the height of a forward and backward pass with gradients already there."""
        self.loss().backward()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            held = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            self.loss().backward()
            torch.cuda.synchronize()
            return torch.cuda.max_memory_allocated() - held
        raise NotImplementedError("on a CPU a process of its own measures this")

    def resident(self) -> int:
        """Of this process, bytes that a forward and backward pass added to the most it ever held."""
        for parameter in self.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.loss().backward()
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024

    def estimated(self) -> int:
        tokens = self.asked.side**2 + self.asked.texts
        return estimate(
            self.config, tokens, self.asked.batch, ac=Checkpointing.parse(self.choice), dtype=self.asked.dtype
        ).activations


def peak_of(asked: argparse.Namespace, choice: str) -> int:
    if asked.device != "cpu":
        found = Case(asked, choice).peak()
        torch.cuda.empty_cache()
        return found
    told = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--resident", choice], check=True, capture_output=True, text=True
    )
    return int(told.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default=None, help="default: bf16 on a GPU, fp32 on a CPU")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--context", type=int, default=256, help="width of the text features")
    parser.add_argument("--side", type=int, default=24, help="image tokens on a side")
    parser.add_argument("--texts", type=int, default=64, help="text tokens")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--resident", choices=CHOICES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.device == "cpu":
        torch.set_num_threads(1)
    asked.dtype = asked.dtype or ("bf16" if asked.device != "cpu" else "fp32")
    if asked.resident:
        print(Case(asked, asked.resident).resident())
        return
    peaks = {choice: peak_of(asked, choice) for choice in CHOICES}
    kept: dict[str, int] = {}
    guesses: dict[str, int] = {}
    cases: dict[str, Case] = {}
    for choice in CHOICES:
        cases[choice] = Case(asked, choice)
        cases[choice].step()  # tables, buffers, moments
        kept[choice], guesses[choice] = cases[choice].kept(), cases[choice].estimated()
    seconds: dict[str, list[float]] = {choice: [] for choice in CHOICES}
    for _ in range(asked.rounds):
        for choice, case in cases.items():
            seconds[choice].append(case.step())
    report(asked, kept, guesses, peaks, seconds)


def report(
    asked: argparse.Namespace,
    kept: dict[str, int],
    guesses: dict[str, int],
    peaks: dict[str, int],
    seconds: dict[str, list[float]],
) -> None:
    medians = {choice: statistics.median(found) for choice, found in seconds.items()}
    print("| checkpointing | kept, MB | estimate, MB | peak, MB | step, s | time over none |")
    print("|---|---|---|---|---|---|")
    for choice in CHOICES:
        print(
            f"| {choice} | {kept[choice] / 1e6:.1f} | {guesses[choice] / 1e6:.1f} | {peaks[choice] / 1e6:.1f} | "
            f"{medians[choice]:.3f} | {medians[choice] / medians['none']:.2f} |"
        )
    ratios = [a / b for a, b in zip(seconds["full"], seconds["none"], strict=True)]
    print(
        json.dumps(
            {
                "name": "activation checkpointing, full over none",
                "ratio": round(statistics.median(ratios), 3),
                "ours": round(medians["full"], 4),
                "peer": round(medians["none"], 4),
                "unit": "s/step",
                "repeats": asked.rounds,
                "spread": [round(min(ratios), 3), round(max(ratios), 3)],
                "device": asked.device,
                "kept_mb": {choice: round(size / 1e6, 1) for choice, size in kept.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
