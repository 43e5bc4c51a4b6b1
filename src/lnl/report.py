"""``python -m lnl.report``: trained runs -> tables, figures and one page."""

from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from lnl.app import cli
from lnl.progress import working
from lnl.values import check_hinted


def job(cfg: DictConfig) -> None:
    """Reads the runs that ``cfg.runs`` names, writes their report, and prints its place."""
    # Imported here, so that --help and a misspelt key are answered at once.
    with working("loading pandas"):
        from lnl.reporting.material import Options
        from lnl.reporting.report import write_report

    hints = get_type_hints(Options)
    check_hinted("", cfg, {key: hints[key] for key in ("name", "output_dir", "oracle", "baseline", "names", "page")})
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    print(write_report(Options(**{key: plain[key] for key in Options.__dataclass_fields__})))


if __name__ == "__main__":
    cli.run(job, config_name="report")
