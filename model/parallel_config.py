"""How a training is spread over ranks and what it computes twice to save memory: plain numbers, no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from model.config import MMDiTConfig
from warehouse.errors import UsageError

Modulation = Literal["sharded", "replicated"]
Mode = Literal["none", "every", "full", "selective"]


@dataclass(frozen=True)
class Place:
    """Where one rank stands. `data_rank` of `data_world`: which share of each batch it reads; the ranks of one
    tensor-parallel group read the same share."""

    data_rank: int
    data_world: int
    tp_rank: int
    tp_world: int


@dataclass(frozen=True)
class ParallelConfig:
    """`tp`: ranks that share every block by heads. `fsdp`: ranks that share the parameters among them and each see rows
    of their own. `replicate`: how many times that is repeated (hybrid sharding). Their product is the number of ranks.

    `modulation`: under tensor parallelism a block's two modulation layers, a third of all parameters, are split by
    columns and their short outputs gathered ("sharded"), or whole on every rank ("replicated"): more memory, two
    collectives less a block. Raises UsageError where a number is below 1.
    """

    tp: int = 1
    fsdp: int = 1
    replicate: int = 1
    modulation: Modulation = "sharded"

    def __post_init__(self) -> None:
        for name in ("tp", "fsdp", "replicate"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.modulation not in ("sharded", "replicated"):
            raise UsageError(f"modulation must be sharded or replicated, not '{self.modulation}'")

    @classmethod
    def of_world(
        cls, world: int, *, tp: int = 1, replicate: int = 1, modulation: Modulation = "sharded"
    ) -> ParallelConfig:
        """What `tp` and `replicate` leave goes to `fsdp`. Raises UsageError where they do not divide `world`."""
        if world % (tp * replicate):
            raise UsageError(
                f"tp {tp} x replicate {replicate} take {tp * replicate} ranks or a multiple, started: {world}; "
                f"torchrun --nproc-per-node {tp * replicate} starts so many"
            )
        return cls(tp, world // (tp * replicate), replicate, modulation)

    @property
    def world(self) -> int:
        return self.tp * self.fsdp * self.replicate

    @property
    def data_world(self) -> int:
        """How many shares a batch is cut into."""
        return self.fsdp * self.replicate

    def place(self, rank: int) -> Place:
        """Ranks of one tensor-parallel group are neighbours, so that they share a machine's fast links."""
        if not 0 <= rank < self.world:
            raise UsageError(
                f"rank {rank} is not one of {self.world} (tp {self.tp} x fsdp {self.fsdp} x {self.replicate})"
            )
        return Place(rank // self.tp, self.data_world, rank % self.tp, self.tp)

    def check(self, config: MMDiTConfig) -> None:
        """Raises UsageError where a network of `config` cannot be split so."""
        heads = config.num_attention_heads
        if heads % self.tp:
            fitting = ", ".join(str(n) for n in range(1, heads + 1) if heads % n == 0)
            raise UsageError(f"tp {self.tp} does not divide the {heads} attention heads: choose one of {fitting}")
        if config.mlp_hidden % self.tp:
            raise UsageError(f"tp {self.tp} does not divide the MLP's width {config.mlp_hidden}")


@dataclass(frozen=True)
class Checkpointing:
    """Which blocks forget their activations in the forward pass and compute them again in the backward pass.

    "every": each `every`-th block; "full": all; "selective": all, but the outputs of attention are kept. Chen et al.,
    "Training deep nets with sublinear memory cost" (2016), section 3; selective: Korthikanti et al., "Reducing
    activation recomputation in large transformer models" (2022), section 5, turned round: kept is what is dear to
    compute, and attention's share grows with the square of the tokens.
    """

    mode: Mode = "none"
    every: int = 1

    def __post_init__(self) -> None:
        if self.mode not in ("none", "every", "full", "selective"):
            raise UsageError(f"activation checkpointing '{self.mode}' is not one of none, every-N, full, selective")
        if self.every < 1:
            raise UsageError(f"activation checkpointing every-{self.every}: the number must be at least 1")

    @classmethod
    def parse(cls, told: str) -> Checkpointing:
        """Reads none, full, selective or every-2 (any number). Raises UsageError for anything else."""
        found = re.fullmatch(r"every-(\d{1,4})", told)
        if found:
            return cls("every", int(found[1]))
        if told == "none":
            return cls("none")
        if told == "full":
            return cls("full")
        if told == "selective":
            return cls("selective")
        raise UsageError(
            f"activation checkpointing '{told}' is not one of none, every-N (such as every-2), full, selective"
        )

    def __str__(self) -> str:
        return f"every-{self.every}" if self.mode == "every" else self.mode

    def applies_to(self, block: int) -> bool:
        """Whether block number `block` (from 0) forgets."""
        return self.mode != "none" and block % self.every == 0
