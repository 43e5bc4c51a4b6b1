"""The run folder: identity, resume, result.json. The only thing that reporting reads."""
