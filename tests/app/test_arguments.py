"""What is typed becomes what Hydra takes."""

import pytest

from lnl.app.arguments import prepare
from lnl.errors import UserError


@pytest.mark.parametrize(
    ("typed", "prepared"),
    [
        ("data=digits -m seed=0,1 trainer.max_epochs=1", "-m data=digits seed=0,1 trainer.max_epochs=1"),
        ("seed=0,1 --config-dir mine --multirun loss=gce", "--config-dir mine --multirun seed=0,1 loss=gce"),
        ("callbacks=null scheduler=null logger=null", "callbacks=none scheduler=none logger=csv"),
        (
            "~callbacks ~logger=tensorboard noise=[] corruption={}",
            "callbacks=none logger=csv noise=none corruption=none",
        ),
        ("experiment=null seed=1", "seed=1"),
        ("augment=[flip,strong] logger=[tensorboard,wandb]", None),
        ("~callbacks.progress data.subset=null callbacks=[early_stopping,fit_until]", None),
        ("-m scheduler=null,cosine", "-m scheduler=none,cosine"),
        ("-m loss=gce,ngce loss.q=0.5 seed=3", "-m loss=gce,ngce loss.q=choice(0.5) seed=3"),
        (
            "-m model=cnn,cnn_wide model.channels=[4,8] ++model.x=1",
            "-m model=cnn,cnn_wide model.channels=choice([4,8]) ++model.x=1",
        ),
        ("-m experiment=a,b loss.q=0.5 paths.output_dir=x", "-m experiment=a,b loss.q=choice(0.5) paths.output_dir=x"),
        ("-m seed=0,1 loss.q=0.5", None),
        ("loss=gce loss.q=0.5", None),
        ("init_from=a=b", None),  # Hydra's to refuse
    ],
)
def test_arguments_are_prepared(typed, prepared):
    assert prepare(typed.split(), "train") == (prepared or typed).split()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("model=null", ["model cannot be null or left out", "The options are alexnet_small, cnn, "]),
        ("~loss", ["loss cannot be null or left out", "apl_nce_mae"]),
        ("-m data=digits,null", ["data cannot be null"]),
        ("mix=[mixup,cutmix]", ["mix takes one option, got [mixup,cutmix]", "-m mix=mixup,cutmix"]),
        ("-m method=elr,[apl,baseline]", ["method takes one option, got [apl,baseline]"]),
        ("optimizer=3", ["optimizer has no option '3'", "adam, adamw, sgd"]),
        ("callbacks=true", ["callbacks has no option 'true'"]),
        ("--epochs 3", ["there is no flag --epochs", "key=value"]),
        ("--multi-run seed=0,1", ["did you mean '--multirun'?"]),
        ("--cfg everything", ["--cfg", "'everything'", "job"]),
        ("=3", ["=3 cannot be read"]),
    ],
)
def test_what_cannot_be_is_refused(typed, words):
    with pytest.raises(UserError) as refused:
        prepare(typed.split(), "train")
    assert all(word in str(refused.value) for word in words)
    assert len(str(refused.value).splitlines()) <= 2


def test_null_is_the_runs_own_data_in_an_evaluation():
    assert prepare(["runs=outputs", "data=null", "noise=null"], "evaluate") == ["runs=outputs", "noise=none"]
