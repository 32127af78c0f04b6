"""Which sigmas a sampler visits: the schedule of the released checkpoints, shifted by the picture's size.

    sigmas(50, tokens=4096, config=ScheduleConfig())

The fields are those of diffusers' FlowMatchEulerDiscreteScheduler, and `scheduler_config.json` is its file.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from warehouse.errors import UsageError
from warehouse.files import replacing

if TYPE_CHECKING:
    import torch

FILE = "scheduler_config.json"
CLASS = "FlowMatchEulerDiscreteScheduler"


@dataclass(frozen=True)
class ScheduleConfig:
    """Settings of a schedule; the defaults are those of Qwen-Image's checkpoints.

    `base_shift` at `base_image_seq_len` packed tokens to `max_shift` at `max_image_seq_len`, on a line that goes on
    beyond both, is mu. `shift`: the factor where `use_dynamic_shifting` is off. `shift_terminal`: last sigma before 0,
    None leaves it.
    """

    num_train_timesteps: int = 1000
    shift: float = 1.0
    use_dynamic_shifting: bool = True
    base_shift: float = 0.5
    max_shift: float = 0.9
    base_image_seq_len: int = 256
    max_image_seq_len: int = 8192
    invert_sigmas: bool = False
    shift_terminal: float | None = 0.02
    use_karras_sigmas: bool = False
    use_exponential_sigmas: bool = False
    use_beta_sigmas: bool = False
    time_shift_type: Literal["exponential", "linear"] = "exponential"
    stochastic_sampling: bool = False

    def __post_init__(self) -> None:
        for name in ("invert_sigmas", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"):
            if getattr(self, name):
                raise UsageError(f"schedule: {name} is not known here, only the shifted schedules of Qwen-Image are")
        if self.stochastic_sampling:
            raise UsageError("schedule: stochastic_sampling is for distilled students and not known here")
        if self.time_shift_type not in ("exponential", "linear"):
            raise UsageError(f"schedule: time_shift_type is {self.time_shift_type!r}, not exponential or linear")
        if self.shift <= 0 or self.max_image_seq_len <= self.base_image_seq_len:
            raise UsageError("schedule: shift must be above 0 and max_image_seq_len above base_image_seq_len")
        if self.shift_terminal is not None and not 0 <= self.shift_terminal < 1:
            raise UsageError(f"schedule: shift_terminal is {self.shift_terminal}, and must be from 0 to below 1")

    def to_dict(self) -> dict[str, Any]:
        return {"_class_name": CLASS, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> ScheduleConfig:
        """What a scheduler_config.json says. A field that it lacks has the value that diffusers gives it then, which is
        Flux's, not ours. Raises UsageError for another scheduler or a field that no such scheduler has."""
        if told.get("_class_name", CLASS) != CLASS:
            raise UsageError(f"schedule: {told['_class_name']} is not known here, only {CLASS} is")
        given = {key: value for key, value in told.items() if not key.startswith("_")}
        unknown = sorted(given.keys() - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise UsageError(f"schedule: unknown field {unknown[0]}")
        if given.get("shift_terminal") == 0:
            given["shift_terminal"] = None  # diffusers takes 0 for none
        return cls(**{**_FLUX, **given})


_FLUX: dict[str, Any] = {
    "use_dynamic_shifting": False,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
    "shift_terminal": None,
}

#: Of the distilled checkpoints, which run 4 or 8 steps without guidance: shift 3 at every size, no stretch.
LIGHTNING = ScheduleConfig(base_shift=math.log(3), max_shift=math.log(3), shift_terminal=None)


def mu(tokens: int, config: ScheduleConfig) -> float:
    """Logarithm of the shift for a picture of so many packed tokens, references not counted."""
    slope = (config.max_shift - config.base_shift) / (config.max_image_seq_len - config.base_image_seq_len)
    return config.base_shift + slope * (tokens - config.base_image_seq_len)


def factor(tokens: int, config: ScheduleConfig) -> float:
    """What odds sigma / (1 - sigma) are multiplied by: e^mu, mu, or the fixed shift."""
    if not config.use_dynamic_shifting:
        return config.shift
    return math.exp(mu(tokens, config)) if config.time_shift_type == "exponential" else mu(tokens, config)


def table(steps: int, tokens: int, config: ScheduleConfig) -> list[float]:
    """The `steps` + 1 sigmas from 1 down to 0 that an Euler sampler visits. Raises UsageError for no step at all.

    linspace(1, 1/K, K), each shifted to f / (f + 1/s - 1), stretched so that the last is `shift_terminal`, then 0
    (Esser et al., arXiv 2403.03206, eq. 23, for the shift). A single step is 1, 0: nothing to stretch.
    """
    if steps < 1:
        raise UsageError(f"{steps} steps: at least one is needed")
    times = factor(tokens, config)
    found = [times / (times + 1 / (1 - i / steps) - 1) for i in range(steps)]
    if config.shift_terminal is not None and steps > 1:
        stretch = (1 - config.shift_terminal) / (1 - found[-1])
        found = [1 - (1 - sigma) * stretch for sigma in found]
    return [*found, 0.0]


def sigmas(steps: int, tokens: int, config: ScheduleConfig) -> torch.Tensor:
    """`table` as a float32 tensor (steps + 1,) on the CPU."""
    import torch

    return torch.tensor(table(steps, tokens, config), dtype=torch.float32)


def save_schedule(config: ScheduleConfig, folder: Path) -> None:
    """Write scheduler_config.json, which diffusers opens."""
    with replacing(folder / FILE) as path:
        path.write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")


def load_schedule(folder: Path) -> ScheduleConfig:
    """Read scheduler_config.json. Raises UsageError where there is none or it is of another scheduler."""
    path = folder / FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"no schedule at {path}: {error}") from error
    if not isinstance(told, dict):
        raise UsageError(f"no schedule at {path}: it holds no settings")
    return ScheduleConfig.from_dict(told)
