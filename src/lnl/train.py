"""``python -m lnl.train``: one run, or with ``-m`` a sweep of them, from configuration to result.json."""

import gc
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lnl import cli
from lnl.errors import UserError
from lnl.runs.identity import identity


def job(cfg: DictConfig) -> dict[str, Any]:
    """Trains one run in Hydra's output folder, or returns the result that is there already."""
    # Imported here, so that --help and a misspelt key are answered without loading torch.
    from lnl.runs.closing import closing_block
    from lnl.runs.folder import RunFolder

    hydra = HydraConfig.get().runtime
    folder = RunFolder(hydra.output_dir, identity(cfg))
    result = None if cfg.force or cfg.trainer.fast_dev_run else folder.finished()
    if result is None:
        if cfg.data.folds and cfg.data.fold is None:
            from lnl.runs.cross_validation import cross_validate as train
        else:
            from lnl.runs.training import train

        try:
            result = train(cfg, folder, dict(hydra.choices))
        except UserError:
            folder.discard_if_empty()
            raise
        finally:
            gc.collect()  # Trainer, method and data refer to one another, and a sweep's next job wants their room
    else:
        print("finished already (force=true trains anew):")
    print(closing_block(result, folder.path))
    return result


def main() -> None:
    cli.run(job, config_name="train")


if __name__ == "__main__":
    main()
