"""``python -m lnl.export``: a trained run's model as a file that other programs read."""

from pathlib import Path

from omegaconf import DictConfig

from lnl.app import cli
from lnl.config import listed
from lnl.progress import loading
from lnl.runs.find import one_finished_run
from lnl.values import check_values


def job(cfg: DictConfig) -> None:
    """Writes the model of the run that ``cfg.run`` names in each of ``cfg.format``, and prints their paths."""
    check_values("", cfg)
    run = one_finished_run(cfg.run, str(cfg.paths.output_dir))
    # Imported here, so that --help and a folder that is no run are answered without loading torch.
    with loading():
        from lnl.trained.exporting import export
        from lnl.trained.loading import load_trained
        from lnl.training.environment import send_warnings_to_the_log

    send_warnings_to_the_log()
    folder = Path(str(cfg.output)).expanduser() if cfg.output else run.folder.exports / cfg.protocol
    for path in export(load_trained(run, cfg.protocol, cfg.trust), listed(cfg.format), folder):
        print(f"  {path}")


if __name__ == "__main__":
    cli.run(job, config_name="export")
