"""What is done with a finished run: evaluate, predict, export."""
