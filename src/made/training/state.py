"""Everything that changes while training: weights, their average, optimiser, place in the run.

Random numbers are keyed by seed and step, so no generator has a state: from a snapshot and the
options, the run goes on exactly as it would have.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from made.errors import CheckpointError
from made.model import Model
from made.training.options import TrainingOptions

# Averaging touches every weight; done every few steps (with the decay to match) it costs nothing.
AVERAGE_EVERY = 4
_KINDS = ("matrices", "vectors")

Snapshot = dict[str, Tensor]
Phase = Literal["steady", "decay", "done"]


@dataclass(frozen=True)
class Epoch:
    """One line of the history. Log-likelihoods are mean nats a row, higher is better.

    ``train`` is of single members on the rows as they were trained on, ``validation`` of the
    ensemble with the averaged weights. None where no rows were scored at that epoch, or where
    the weights had diverged.
    """

    epoch: int
    train: float | None
    validation: float | None
    seconds: float


@dataclass
class Position:
    """Where a run is: the numbers beside the tensors of a snapshot.

    ``train_sum`` and ``train_rows`` are of the epoch that is under way.
    """

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
    def from_json(cls, content: object) -> Position:
        if not isinstance(content, dict) or set(content) != {item.name for item in fields(cls)}:
            raise CheckpointError("The checkpoint does not say where the run was.")
        values: dict[str, Any] = dict(content)
        values["history"] = [Epoch(**line) for line in values["history"]]
        if values["phase"] not in get_args(Phase):
            raise CheckpointError(f"The checkpoint is in a phase {values['phase']!r}.")
        return cls(**values)


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
        self.weights, self.gradients = flatten(model)
        self.optimizer = make_optimizer(self.weights, options)
        self.best: Snapshot | None = None
        self._decay = options.average_decay
        self._averages, _ = flatten(self.average)

    @torch.no_grad()
    def update_average(self, step: int) -> None:
        """Move the average towards the weights after step ``step``; young averages move faster."""
        if not self._decay or (step + 1) % AVERAGE_EVERY:
            return
        decay = min(self._decay, (1 + step) / (10 + step)) ** AVERAGE_EVERY
        for average, weights in zip(self._averages, self.weights, strict=True):
            average.lerp_(weights, 1 - decay)

    @torch.no_grad()
    def settle_average(self) -> None:
        """Make the average equal to the weights where no average is wanted."""
        if not self._decay:
            for average, weights in zip(self._averages, self.weights, strict=True):
                average.copy_(weights)

    def _tensors(self) -> Snapshot:
        """Return all tensors of the run under their names."""
        tensors: Snapshot = {}
        for kind, weights, averages in zip(_KINDS, self.weights, self._averages, strict=True):
            tensors[f"weights.{kind}"] = weights
            tensors[f"average.{kind}"] = averages
            for key, value in self.optimizer.state.get(weights, {}).items():
                tensors[f"optimizer.{kind}.{key}"] = value
        return tensors

    def snapshot(self) -> Snapshot:
        """Return copies of all tensors."""
        return {name: value.detach().clone() for name, value in self._tensors().items()}

    @torch.no_grad()
    def restore(self, snapshot: Snapshot) -> None:
        """Copy all tensors of ``snapshot`` back."""
        for kind, weights in zip(_KINDS, self.weights, strict=True):
            prefix = f"optimizer.{kind}."
            kept = {
                name.removeprefix(prefix): value.to(weights.device, copy=True)
                for name, value in snapshot.items()
                if name.startswith(prefix)
            }
            self.optimizer.state[weights] = kept
        tensors = self._tensors()
        if {name: value.shape for name, value in tensors.items()} != {
            name: value.shape for name, value in snapshot.items()
        }:
            raise CheckpointError("The checkpoint does not fit the model.")
        for name, value in tensors.items():
            value.copy_(snapshot[name])


Runs = tuple[nn.Parameter, nn.Parameter]


def flatten(model: Model) -> tuple[Runs, tuple[Tensor, Tensor]]:
    """Move all parameters into two runs of memory, matrices and vectors.

    Returns the runs and their gradients. The parameters, and their gradients, become views of
    the runs: what touches every weight (optimiser, norm, average) then is one call instead of
    one for each.
    """
    runs, gradients = [], []
    for is_matrix in (True, False):
        parameters = [p for p in model.parameters() if (p.ndim > 1) == is_matrix]
        device = model.device
        run = nn.Parameter(torch.empty(sum(p.numel() for p in parameters), device=device))
        gradient = run.grad = torch.zeros_like(run)
        start = 0
        for parameter in parameters:
            view = slice(start, start + parameter.numel())
            run.data[view] = parameter.detach().reshape(-1)
            parameter.data = run.data[view].view(parameter.shape)
            if parameter.requires_grad:
                parameter.grad = gradient[view].view(parameter.shape)
            start = view.stop
        runs.append(run)
        gradients.append(gradient)
    return (runs[0], runs[1]), (gradients[0], gradients[1])


def make_optimizer(weights: Runs, options: TrainingOptions) -> torch.optim.Optimizer:
    """Return the optimiser of flattened weights; matrices decay, vectors do not."""
    matrices, vectors = weights
    groups = [
        {"params": [matrices], "weight_decay": options.weight_decay},
        {"params": [vectors], "weight_decay": 0.0},
    ]
    if options.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)
    # The published code: decay .95, epsilon 1e-5, and steps of the rule's own length.
    return torch.optim.Adadelta(groups, lr=options.learning_rate, rho=0.95, eps=1e-5)
