"""``python -m lnl.evaluate``: trained runs on a test set, their own or another dataset's."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lnl.app import cli
from lnl.progress import loading
from lnl.runs.find import finished_runs
from lnl.values import check_values


def job(cfg: DictConfig) -> None:
    """Evaluates every run that ``cfg.runs`` names, writes ``evaluations/`` in its folder, and prints the results."""
    check_values("", cfg)
    runs = finished_runs(cfg.runs)
    # Imported here, so that --help and a folder that is no run are answered without loading torch.
    with loading():
        from lnl.runs.closing import evaluation_block
        from lnl.trained.evaluating import Evaluator, SideBySide

    hydra = HydraConfig.get()
    evaluator = Evaluator(cfg, hydra.runtime.choices.get("data"), hydra.overrides.task)
    table = SideBySide(cfg.output, cfg.names, runs) if cfg.output else None
    for run in runs:
        evaluation = evaluator.evaluate(run)
        evaluation.save()
        print(evaluation_block(evaluation.record, run.folder.path))
        for remark in evaluation.remarks:
            print("  " + remark.split("\n")[0])
        if table is not None:
            table.add(evaluation)
        elif len(runs) == 1:
            print(evaluation.report())
    if table is not None:
        print(f"  {table.save()}")


if __name__ == "__main__":
    cli.run(job, config_name="evaluate")
