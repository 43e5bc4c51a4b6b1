"""The engine: builds a run's parts, trains, evaluates."""
