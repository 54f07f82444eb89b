"""One optimiser step: a minibatch, the connectivity of the step, gradients, weights.

Knows a training state and its options; knows nothing of epochs, budgets or validation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from made.blocks import Triangle
from made.network.autoencoder import Wiring
from made.orderings import Connectivity
from made.training.options import TrainingOptions
from made.training.state import TrainingState
from made.uniforms import DROPOUT, derived_seed

# Connectivities are prepared this many steps at a time: the work is small, and smaller when the
# caches are warm from the step before.
_AHEAD = 32


class TrainingStep:
    """Trains on one minibatch with the connectivity that belongs to the step.

    On the processor, in whole floats, products run over the blocks that are not zero; elsewhere
    masks are dense.
    """

    def __init__(self, state: TrainingState, options: TrainingOptions) -> None:
        from lightning_fabric import Fabric  # Slow to import, and needed only here.

        model = state.model
        self._fabric = Fabric(accelerator=model.device.type, devices=1, precision=options.precision)
        self._module, self._optimizer = self._fabric.setup(
            model, state.optimizer, move_to_device=False
        )
        self._model = model
        self._matrices, self._vectors = state.gradients
        self._options = options
        self._source = model.connectivity_source(options.seed, options.n_orderings)
        self._triangular = model.device.type == "cpu" and options.precision == "32-true"
        self._prepared: dict[int, tuple[Connectivity, list[Triangle]]] = {}
        self._triangles: list[Triangle] | None = None
        self._wiring: Wiring | None = None

    def __call__(self, step: int, rows: Tensor, multiplier: float = 1.0) -> Tensor:
        """Train on ``rows`` and return their summed log-probability (before the update).

        ``multiplier`` scales the learning rate.
        """
        options = self._options
        self._vectors.zero_()
        if not self._triangular:
            self._matrices.zero_()
        random = None
        if self._model.config.dropout:
            random = torch.Generator(rows.device)
            random.manual_seed(derived_seed(options.seed, DROPOUT, step))
        for group in self._optimizer.param_groups:
            group["lr"] = options.learning_rate * multiplier
        log_prob = self._module(rows, self._wire(step, len(rows)), random).sum()
        self._fabric.backward(-log_prob / len(rows))
        if options.clip_norm:
            self._clip(options.clip_norm)
        self._optimizer.step()
        return log_prob.detach()

    def _wire(self, step: int, n_rows: int) -> Wiring:
        network = self._model.network
        index = step if self._options.n_orderings is None else step % self._options.n_orderings
        if not self._triangular:
            return network.wire(self._source.training(index))
        if index not in self._prepared:
            self._prepare(index, n_rows)
        connectivity, triangles = self._prepared[index]
        self._wiring = network.wire_triangular(connectivity, triangles, self._wiring)
        return self._wiring

    def _prepare(self, first: int, n_rows: int) -> None:
        """Draw the next connectivities, or all of a fixed list; the blocks suit ``n_rows``."""
        fixed = self._options.n_orderings
        wanted = range(first, first + _AHEAD) if fixed is None else range(fixed)
        self._prepared.clear()
        triangles = self._triangles
        for index in wanted:
            connectivity = self._source.training(index)
            triangles = self._model.network.triangles(connectivity, n_rows, triangles)
            self._prepared[index] = (connectivity, triangles)
        self._triangles = triangles

    def _clip(self, longest: float) -> None:
        """Shorten the gradient to the longest that is allowed."""
        gradients = (self._matrices, self._vectors)
        norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))
        # Most gradients are short. Where looking at the norm costs nothing, they are left as
        # they are; on other devices the look would be a wait.
        if norm.device.type != "cpu" or norm > longest:
            factor = (longest / (norm + 1e-6)).clamp(max=1.0)
            for gradient in gradients:
                gradient.mul_(factor)
