"""TensorBoard and W&B, and their pictures."""
