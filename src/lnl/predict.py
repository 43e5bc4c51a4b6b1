"""``python -m lnl.predict``: predictions of a trained run for other images."""

from omegaconf import DictConfig

from lnl.app import cli
from lnl.progress import loading
from lnl.runs.find import one_finished_run
from lnl.values import check_values


def job(cfg: DictConfig) -> None:
    """Predicts the images that ``cfg.images`` names, with the run that ``cfg.run`` names; nothing is trained."""
    check_values("", cfg)
    run = one_finished_run(cfg.run, str(cfg.paths.output_dir))
    # Imported here, so that --help and a folder that is no run are answered without loading torch.
    with loading():
        from lnl.trained.predicting import predict_new_images
        from lnl.training.environment import send_warnings_to_the_log

    send_warnings_to_the_log()
    predict_new_images(cfg, run)


if __name__ == "__main__":
    cli.run(job, config_name="predict")
