"""The masked network of TensorFlow Probability, compiled: a training step, and drawing rows.

In an environment of its own, since it asks for older versions of what others need; where it is not
installed, the benchmarks go without.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

PACKAGES = ("tensorflow-cpu", "tf-keras", "tensorflow-probability")


def tensorflow_network(n_columns: int, width: int, threads: int) -> Any | None:
    """Return its autoregressive network, with logits for outputs, or None."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow
        from tensorflow_probability import bijectors
    except ImportError:
        return None
    # Threads are set once in a process.
    with contextlib.suppress(RuntimeError):
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    network = bijectors.AutoregressiveNetwork(
        params=1, event_shape=[n_columns], hidden_units=[width, width], activation="relu"
    )
    network(tensorflow.zeros((1, n_columns)))
    return network


def tensorflow_step(network: Any, rows: np.ndarray) -> Callable[[], None]:
    """Return one compiled step of Bernoulli cross-entropy with AdamW."""
    import tensorflow
    import tf_keras

    optimizer = tf_keras.optimizers.AdamW(1e-3)
    cells = tensorflow.constant(rows, tensorflow.float32)

    @tensorflow.function(jit_compile=True)
    def gradients() -> Any:
        with tensorflow.GradientTape() as tape:
            logits = network(cells)[..., 0]
            terms = tensorflow.nn.sigmoid_cross_entropy_with_logits(cells, logits)
            loss = tensorflow.reduce_sum(terms) / len(rows)
        return tape.gradient(loss, network.trainable_variables)

    @tensorflow.function
    def apply() -> None:
        optimizer.apply_gradients(zip(gradients(), network.trainable_variables, strict=True))

    optimizer.build(network.trainable_variables)
    return apply


def tensorflow_draw(network: Any, n_columns: int, n_rows: int) -> Callable[[], Any]:
    """Return a compiled draw of ``n_rows`` rows: a pass for every column, as it documents."""
    import tensorflow

    @tensorflow.function
    def draw() -> Any:
        rows = tensorflow.zeros((n_rows, n_columns))
        uniforms = tensorflow.random.uniform((n_rows, n_columns))
        for column in tensorflow.range(n_columns):
            probability = tensorflow.sigmoid(network(rows)[..., 0])
            cells = tensorflow.cast(uniforms < probability, tensorflow.float32)
            keep = tensorflow.range(n_columns) == column
            rows = tensorflow.where(keep[None], cells, rows)
        return rows

    return draw
