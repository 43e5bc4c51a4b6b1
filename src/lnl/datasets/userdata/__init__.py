"""A user's own images and labels."""
