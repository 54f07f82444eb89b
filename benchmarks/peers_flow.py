"""zuko's autoregressive neural spline flow, trained until validation rows stop improving."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from peers_density import Scored

CONFIGURATIONS: tuple[dict[str, Any], ...] = (
    {"transforms": 2, "hidden_features": (64, 64), "bins": 8},
    {"transforms": 3, "hidden_features": (128, 128), "bins": 16},
    {"transforms": 5, "hidden_features": (256, 256), "bins": 8},
)
LEARNING_RATE, LEAST_RATE = 2e-3, 2e-5
# Looks at the validation rows without a better one before the rate is halved.
_PATIENCE = 6
_LEAST_STEPS, _BATCH, _CLIP = 50, 256, 5.0


def neural_spline_flow(
    train: np.ndarray, valid: np.ndarray, test: np.ndarray, *, seed: int, seconds: float
) -> Scored:
    """Return the best of several flows; each may train for so many seconds."""
    started = time.perf_counter()
    rows, held_out = _tensor(train), _tensor(valid)
    found = []
    for configuration in CONFIGURATIONS:
        flow, score, about = _train(rows, held_out, configuration, seed, seconds)
        found.append((score, flow, configuration | about))
    score, flow, chosen = max(found, key=lambda item: item[0])
    chosen["tried"] = {
        f"{about['transforms']} transforms, {about['hidden_features']}, {about['bins']} bins": score
        for score, _, about in found
    }
    nats = _nats(flow, _tensor(test))
    return Scored(nats, score, time.perf_counter() - started, chosen)


def _train(
    rows: Tensor, valid: Tensor, configuration: dict[str, Any], seed: int, seconds: float
) -> tuple[torch.nn.Module, float, dict[str, Any]]:
    import zuko

    torch.manual_seed(seed)
    flow = zuko.flows.NSF(rows.shape[1], **configuration)
    optimizer = torch.optim.AdamW(flow.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=_PATIENCE - 1, threshold=1e-4
    )
    deadline = time.process_time() + seconds
    best, kept, steps = -np.inf, copy.deepcopy(flow.state_dict()), 0
    look_every = max(_LEAST_STEPS, min(500, len(rows) // _BATCH))
    while time.process_time() < deadline and optimizer.param_groups[0]["lr"] > LEAST_RATE:
        for batch in torch.randperm(len(rows)).split(_BATCH):
            optimizer.zero_grad()
            loss = -flow().log_prob(rows[batch]).mean()
            if not torch.isfinite(loss):
                flow.load_state_dict(kept)
                continue
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), _CLIP)
            optimizer.step()
            steps += 1
            if steps % look_every == 0:
                score = float(_nats(flow, valid).mean())
                schedule.step(score)
                if score > best:
                    best, kept = score, copy.deepcopy(flow.state_dict())
                if time.process_time() > deadline:
                    break
    flow.load_state_dict(kept)
    finished = time.process_time() < deadline
    return flow, best, {"steps": steps, "stopped_early": finished}


def _nats(flow: torch.nn.Module, rows: Tensor) -> np.ndarray:
    with torch.no_grad():
        return np.concatenate([flow().log_prob(some).double().numpy() for some in rows.split(4096)])


def _tensor(rows: np.ndarray) -> Tensor:
    return torch.as_tensor(rows, dtype=torch.float32)
