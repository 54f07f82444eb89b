"""One optimiser step: a minibatch, the connectivity of the step, gradients, weights.

Knows a training state and its options; knows nothing of epochs, budgets or validation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from made.network.autoencoder import Triangles, Wiring
from made.orderings import Connectivity
from made.training.options import TrainingOptions
from made.training.state import TrainingState
from made.uniforms import DROPOUT, derived_seed

# Connectivities are prepared this many steps at a time: the work is small, and smaller when the
# caches are warm from the step before. All of a fixed list are kept, if it is short.
_AHEAD = 32
_KEPT = 256


class TrainingStep:
    """Trains on one minibatch with the connectivity that belongs to the step.

    On the processor, in whole floats, products run over the blocks that are not zero; elsewhere
    masks are dense.

    Parameters
    ----------
    state : TrainingState
    options : TrainingOptions
    n_rows : int, optional
        The rows of a minibatch that the blocks suit; by default ``options.batch_size``. Not
        taken from the rows that come: blocks decide how sums are rounded, and a run that goes on
        from a checkpoint must round as before.
    """

    def __init__(
        self, state: TrainingState, options: TrainingOptions, n_rows: int | None = None
    ) -> None:
        from lightning_fabric import Fabric  # Slow to import, and needed only here.

        model = state.model
        self._fabric = Fabric(accelerator=model.device.type, devices=1, precision=options.precision)
        self._optimizer = state.optimizer
        self._model = model
        self._n_rows = n_rows or options.batch_size
        self._matrices, self._vectors = state.gradients
        self._options = options
        self._source = model.connectivity_source(options.seed, options.n_orderings)
        # Blocks keep one gradient, that of the last product; several orderings add theirs up.
        self._triangular = (
            model.device.type == "cpu"
            and options.precision == "32-true"
            and options.orderings_per_step == 1
        )
        self._prepared: dict[int, tuple[Connectivity, Triangles]] = {}
        self._triangles: Triangles | None = None
        self._wiring: Wiring | None = None

    def __call__(self, step: int, rows: Tensor, multiplier: float = 1.0) -> Tensor:
        """Train on ``rows`` and return their summed log-probability (before the update).

        ``multiplier`` scales the learning rate.
        """
        options = self._options
        self._vectors.zero_()
        if not self._triangular:
            self._matrices.zero_()
        # Products over blocks write their gradients; those of points are added up.
        for points in self._model.points.values():
            assert points.grad is not None
            points.grad.zero_()
        random = None
        if self._model.config.dropout:
            random = torch.Generator(rows.device)
            random.manual_seed(derived_seed(options.seed, DROPOUT, step))
        for group in self._optimizer.param_groups:
            group["lr"] = options.learning_rate * multiplier
        # Not through Fabric's module, which would try to convert the wiring too.
        penalty: Tensor | float = 0.0
        with self._fabric.autocast():
            if options.orderings_per_step == 1:
                log_prob = self._model(rows, self._wire(step), random).float().sum()
            else:
                terms = self._log_probs(step, rows, random)
                log_prob = self._combined(terms).sum()
                if options.order_penalty:
                    # Over all pairs of orderings the mean square is twice the variance.
                    penalty = options.order_penalty * 2 * terms.var(dim=0).mean()
        self._fabric.backward(penalty - log_prob / len(rows))
        if options.clip_norm:
            self._clip(options.clip_norm)
        self._optimizer.step()
        return log_prob.detach()

    @staticmethod
    def _combined(terms: Tensor) -> Tensor:
        """Return log q(x) of each row under the mixture of a few orderings."""
        return terms.logsumexp(dim=0) - math.log(len(terms))

    def _log_probs(self, step: int, rows: Tensor, random: torch.Generator | None) -> Tensor:
        """Return log q(x) of ``rows`` under each of a few orderings, (n_orderings, n_rows)."""
        count = self._options.orderings_per_step
        return torch.stack(
            [
                self._model(rows, self._wire(step * count + place), random).float().sum(dim=1)
                for place in range(count)
            ]
        )

    def _wire(self, step: int) -> Wiring:
        network = self._model.network
        index = step if self._options.n_orderings is None else step % self._options.n_orderings
        if not self._triangular:
            return network.wire(self._source.training(index))
        if index not in self._prepared:
            self._prepare(index)
        connectivity, triangles = self._prepared[index]
        self._wiring = network.wire_triangular(connectivity, triangles, self._wiring)
        return self._wiring

    def _prepare(self, first: int) -> None:
        """Draw the next connectivities, or all of a short fixed list."""
        fixed = self._options.n_orderings
        if fixed is not None and fixed <= _KEPT:
            wanted = range(fixed)
        else:
            wanted = range(first, first + _AHEAD)
        self._prepared.clear()
        triangles = self._triangles
        for index in wanted:
            connectivity = self._source.training(index)
            triangles = self._model.network.triangles(connectivity, self._n_rows, triangles)
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
