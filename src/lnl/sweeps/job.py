"""One job, single or of a sweep: trains its run unless it is finished, and records how it ended."""

import atexit
import functools
import gc
import logging
import re
import traceback
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.types import RunMode
from omegaconf import OmegaConf

from lnl.errors import UserError, first_line
from lnl.files import write_atomically
from lnl.progress import hushed, loading, working
from lnl.runs.closing import closing_block
from lnl.runs.folder import Busy, held
from lnl.runs.plan import Plan
from lnl.sweeps.journal import JobJournal
from lnl.values import check_values

log = logging.getLogger(__name__)
Result = dict[str, Any]


def run_job(plan: Plan, hydra: HydraConf) -> float | None:
    """Trains the run that a plan describes, unless it is finished, and returns the :func:`objective` of a search.

    A job of a sweep raises nothing: it returns None, and the journal and ``error.txt`` say what went wrong.
    """
    if hydra.mode == RunMode.MULTIRUN:
        return _job_of_a_sweep(plan, hydra)
    result, was_there = _result(plan, hydra)
    if was_there:
        print("finished already (force=true trains again):")
    print(closing_block(result, plan.folder.path))
    return objective(result)


def _job_of_a_sweep(plan: Plan, hydra: HydraConf) -> float | None:
    sweep = Path(hydra.runtime.cwd, hydra.callbacks["sweep"]["journal"])
    typed = [re.sub(r"^(\w+)@\1\.", r"\1.", override) for override in hydra.overrides.task]  # loss.active=nfl
    journal = JobJournal(sweep, hydra.job.num, plan.folder.path, typed)
    try:
        with hushed():  # the sweep shows the progress of its jobs
            result, was_there = _result(plan, hydra, journal)
        journal.tell(state="skipped" if was_there else "finished", accuracy=objective(result))
        return objective(result)
    except Busy as busy:
        journal.tell(state="left", reason=busy.holder)
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"
        journal.tell(state="failed", reason=reason)
    return None


def objective(result: Result) -> float:
    """Accuracy on validation labels, of the epoch that they chose."""
    protocol = result["protocol"]
    chosen = next((name for name in protocol if name.endswith("_val_best")), "last")
    return float(protocol[chosen]["val"]["accuracy"])


def _finished(plan: Plan) -> Result | None:
    return None if plan.cfg.force or plan.cfg.trainer.fast_dev_run else plan.folder.finished()


def _result(plan: Plan, hydra: HydraConf, journal: JobJournal | None = None) -> tuple[Result, bool]:
    """The result of the run, trained in a folder that is held unless it was there already, and whether it was."""
    if result := _finished(plan):
        return result, True
    with held(plan.folder):
        if result := _finished(plan):  # by another process, a moment ago
            return result, True
        if journal is not None and plan.folder.error.exists():
            journal.say("failed before, tried again")
        return _train(plan, hydra, journal), False


def _train(plan: Plan, hydra: HydraConf, journal: JobJournal | None) -> Result:
    """The result of the run, trained in a folder that is held."""
    cfg, folder = plan.cfg, plan.folder
    if not cfg.force:
        folder.check_identity()
    _save_config(plan, hydra)
    try:
        from lnl.training.beforehand import check_beforehand

        with working("looking at the data"):
            check_beforehand(cfg)
        with loading(show=cfg.callbacks.get("progress") is not None):  # torch, which a finished run does not need
            # lnl chooses the precision for `auto`.
            check_values("", cfg, skip=("trainer.precision",), known=False)
            if cfg.data.folds and cfg.data.fold is None:
                from lnl.training.cross_validation import cross_validate as train
            else:
                from lnl.training.run import train
        if journal is not None:
            folds = 1 if cfg.data.fold else cfg.data.folds or 1
            if "progress" in cfg.callbacks:
                cfg.callbacks.progress = None
            result = train(plan, journal.say, lambda epochs: journal.tell(epochs=folds * epochs))
        else:
            result = train(plan)
    except Exception as error:
        if journal is None and isinstance(error, UserError) and not folder.marker.exists():
            folder.discard_if_empty()  # nothing was begun
            raise
        log.warning("failed: %s", first_line(error))
        try:
            write_atomically(folder.error, "".join(traceback.format_exception(error)), durable=False)
        except OSError:
            log.warning("error.txt could not be written")
        raise
    finally:
        if journal is not None:
            gc.collect()  # Trainer, method and data refer to one another, and the next job needs their memory
            _freeze_libraries()
    folder.error.unlink(missing_ok=True)
    return result


@functools.cache
def _freeze_libraries() -> None:
    """Excludes loaded libraries from later collections, which are a quarter of a second faster."""
    gc.freeze()
    atexit.register(gc.unfreeze)  # libraries free their objects at exit


def _save_config(plan: Plan, hydra: HydraConf) -> None:
    """Writes ``.hydra/``. Hydra itself would do so before the folder is known to be this run's."""
    plan.folder.hydra.mkdir(exist_ok=True)
    contents = {"config": plan.cfg, "hydra": OmegaConf.create({"hydra": hydra}), "overrides": hydra.overrides.task}
    for name, content in contents.items():
        (plan.folder.hydra / f"{name}.yaml").write_text(OmegaConf.to_yaml(content))
