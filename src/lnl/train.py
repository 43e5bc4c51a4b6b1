"""``python -m lnl.train``: one run, or with ``-m`` a sweep of them, from configuration to result.json."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lnl.app import cli
from lnl.runs.plan import make_plan
from lnl.sweeps.job import run_job


def job(cfg: DictConfig) -> float | None:
    """Trains one run in Hydra's output folder, or finds its result."""
    hydra = HydraConfig.get()
    return run_job(make_plan(cfg, hydra), hydra)


if __name__ == "__main__":
    cli.run(job, config_name="train")
