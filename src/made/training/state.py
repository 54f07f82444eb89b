"""Everything that changes while training: weights, their average, optimiser, place in the run.

Random numbers are keyed by seed and step, so no generator has a state: from a snapshot and the
options, the run goes on exactly as it would have.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import torch
from torch import Tensor

from made.errors import CheckpointError
from made.model import Model
from made.training.options import TrainingOptions

# Averaging touches every weight; done every few steps (with the decay to match) it costs nothing.
AVERAGE_EVERY = 4

Snapshot = dict[str, Tensor]
Phase = Literal["steady", "decay", "done"]


@dataclass(frozen=True)
class Epoch:
    """One line of the history. Log-likelihoods are mean nats a row, higher is better.

    ``train`` is of single members on the rows as they were trained on, ``validation`` of the
    ensemble with the averaged weights; None where the rows were not scored at that epoch.
    """

    epoch: int
    train: float
    validation: float | None
    seconds: float


@dataclass
class Position:
    """Where a run is: the numbers beside the tensors of a snapshot."""

    step: int = 0
    validated_step: int = -1
    phase: Phase = "steady"
    decay_start_epoch: float = 0.0
    decay_start_used: float = 0.0
    best_validation: float | None = None
    best_epoch: int = 0
    seconds: float = 0.0
    train_sum: float = 0.0
    train_rows: int = 0
    history: list[Epoch] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> Position:
        if not isinstance(content, dict) or set(content) != {item.name for item in fields(cls)}:
            raise CheckpointError("The checkpoint does not say where the run was.")
        history = [Epoch(**line) for line in content["history"]]
        return cls(**(content | {"history": history}))


class TrainingState:
    """The tensors of a run.

    Attributes
    ----------
    model : Model
        The weights that the optimiser moves.
    average : Model
        Their moving average, which is validated and kept.
    optimizer : torch.optim.Optimizer
    best : Snapshot or None
        All tensors at the best validation so far.
    """

    def __init__(self, model: Model, options: TrainingOptions) -> None:
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.optimizer = make_optimizer(model, options)
        self.best: Snapshot | None = None
        self._decay = options.average_decay
        self._pairs = list(zip(self.average.parameters(), model.parameters(), strict=True))

    @torch.no_grad()
    def update_average(self, step: int) -> None:
        """Move the average towards the weights after step ``step``; young averages move faster."""
        if not self._decay or (step + 1) % AVERAGE_EVERY:
            return
        decay = min(self._decay, (1 + step) / (10 + step)) ** AVERAGE_EVERY
        averages = [average for average, _ in self._pairs]
        torch._foreach_lerp_(averages, [weight for _, weight in self._pairs], 1 - decay)

    @torch.no_grad()
    def settle_average(self) -> None:
        """Make the average equal to the weights where no average is wanted."""
        if not self._decay:
            for average, weight in self._pairs:
                average.copy_(weight)

    def snapshot(self) -> Snapshot:
        """Return copies of all tensors."""
        tensors = {f"weights.{name}": value for name, value in self.model.named_parameters()}
        tensors |= {f"average.{name}": value for name, value in self.average.named_parameters()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
        return {name: value.detach().clone() for name, value in tensors.items()}

    @torch.no_grad()
    def restore(self, snapshot: Snapshot) -> None:
        """Copy all tensors of ``snapshot`` back."""
        try:
            for name, value in self.model.named_parameters():
                value.copy_(snapshot[f"weights.{name}"])
            for name, value in self.average.named_parameters():
                value.copy_(snapshot[f"average.{name}"])
            state: dict[str, dict[str, Tensor]] = {}
            for full, value in snapshot.items():
                kind, _, rest = full.partition(".")
                if kind == "optimizer":
                    key, _, name = rest.partition(".")
                    state.setdefault(name, {})[key] = value.clone()
            for name, value in self.model.named_parameters():
                if name in state:
                    self.optimizer.state[value] = state[name]
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"The checkpoint does not fit the model: {error}.") from error


def make_optimizer(model: Model, options: TrainingOptions) -> torch.optim.Optimizer:
    """Return the optimiser of ``model``; matrices decay, vectors do not."""
    parameters = list(model.parameters())
    groups = [
        {
            "params": [parameter for parameter in parameters if parameter.ndim > 1],
            "weight_decay": options.weight_decay,
        },
        {
            "params": [parameter for parameter in parameters if parameter.ndim <= 1],
            "weight_decay": 0.0,
        },
    ]
    makers: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adamw": lambda groups, lr: torch.optim.AdamW(groups, lr=lr, fused=True),
        # The published code: decay .95, epsilon 1e-5, and steps of the rule's own length.
        "adadelta": lambda groups, lr: torch.optim.Adadelta(groups, lr=lr, rho=0.95, eps=1e-5),
    }
    return makers[options.optimizer](groups, lr=options.learning_rate)
