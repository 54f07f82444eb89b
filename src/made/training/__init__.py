"""Training: the one loop, its options, checkpoints. `options` is free of torch."""
