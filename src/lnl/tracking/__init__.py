"""What TensorBoard and W&B are told, and their pictures."""
