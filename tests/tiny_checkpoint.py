"""A whole checkpoint small enough to sample from in a moment: random weights, an encoder of characters."""

from __future__ import annotations

from typing import Any

WIDTH = 24


def tiny_components(seed: int = 0, *, text: Any = None, **changed: Any) -> Any:
    """`model.components.Components` at 1/8 of the pixels, 4 latent channels, two blocks. `changed`: of the MMDiT."""
    import torch

    from model.components import Components
    from model.config import MMDiTConfig
    from model.mmdit import MMDiT
    from model.schedule import ScheduleConfig
    from model.text.characters import CharacterEncoder
    from model.vae import QwenVae, QwenVaeConfig

    text = text or CharacterEncoder(WIDTH)
    settings: dict[str, Any] = {
        "patch_size": 2, "in_channels": 16, "out_channels": 4, "num_layers": 2, "attention_head_dim": 16,
        "num_attention_heads": 2, "joint_attention_dim": text.width, "axes_dims_rope": (4, 6, 6),
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        mmdit = MMDiT(MMDiTConfig(**{**settings, **changed}))
        vae = QwenVae(
            QwenVaeConfig(
                base_dim=8,
                z_dim=4,
                num_res_blocks=1,
                latents_mean=(0.1, -0.2, 0.3, 0.0),
                latents_std=(1.0, 2.0, 0.5, 1.5),
            )
        )
    return Components(mmdit.eval().requires_grad_(False), vae.eval().requires_grad_(False), text, ScheduleConfig())
