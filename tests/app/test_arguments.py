"""What is typed becomes what Hydra takes."""

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from lnl.app.arguments import prepare
from lnl.app.paths import parse
from lnl.errors import UserError, typed_list


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
        ("noise.rate=a=b", None),  # Hydra's to refuse
        ("init_from=a=b", "init_from='a=b'"),
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


@pytest.mark.parametrize(
    ("command", "typed", "prepared"),
    [
        ("train", ["photos", "seed=1"], ["data=folder", "seed=1", "data.path=photos"]),
        ("audit", ["seed=1", "it's"], ["data=folder", "seed=1", "data.path='it\\'s'", "features=backbone"]),
        ("audit", ["data.path=photos"], ["data=folder", "data.path=photos", "features=backbone"]),
        ("audit", ["data.path=a.csv"], ["data=table", "data.path=a.csv", "features=backbone"]),
        ("audit", ["data.path=nowhere.parquet"], ["data=table", "data.path=nowhere.parquet", "features=backbone"]),
        ("train", ["data.path=a.npz"], ["data=arrays", "data.path=a.npz"]),
        ("train", ["data.path=nowhere"], ["data=folder", "data.path=nowhere"]),
        ("train", ["data.path=folder.csv"], ["data=folder", "data.path=folder.csv"]),
        ("train", ["data.path=notes"], ["data=table", "data.path=notes"]),
        ("train", ["data=table", "data.path=photos"], None),
        ("train", ["experiment=mine", "data.path=photos"], None),
        ("train", ["data.path=${nowhere}"], None),
        ("train", ["-m", "data.path=photos,folder.csv"], ["-m", "data=folder", "data.path=photos,folder.csv"]),
        ("train", ["-m", "data.path=photos,a.csv"], None),
        ("evaluate", ["runs=a", "data.path=photos"], ["data=folder", "runs=a", "data.path=photos"]),
        ("evaluate", ["run"], ["runs=run"]),
        ("evaluate", ["run", "photos"], ["data=folder", "runs=run", "data.path=photos"]),
        ("evaluate", ["photos", "runs=a"], ["data=folder", "runs=a", "data.path=photos"]),
        ("evaluate", ["r*"], ["runs=r*"]),
        ("report", ["photos", "folder.csv"], ["runs=['photos','folder.csv']"]),
        ("report", ["fol*"], ["runs=fol*"]),
        ("export", ["photos", "format=onnx"], ["format=onnx", "run=photos"]),
        ("predict", ["run=x", "photos", "a.csv"], ["run=x", "images=['photos','a.csv']"]),
        ("predict", ["My photos (new), a=b"], ["images='My photos (new), a=b'"]),
        ("predict", ["run", "photos"], ["run=run", "images=photos"]),
        ("predict", ["photos", "run/of mine"], ["images=photos", "run=run/of mine"]),
        ("evaluate", ["run/of mine", "photos"], ["data=folder", "runs=run/of mine", "data.path=photos"]),
        ("audit", ["run/of", "mine"], ["data=folder", "data.path=run/of mine", "features=backbone"]),
        ("train", ["--config-dir=~/mine", "seed=1"], ["--config-dir=HOME/mine", "seed=1"]),
    ],
)
def test_a_path_without_a_key_or_a_kind_is_what_it_is(command, typed, prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "HOME")
    for folder in ("photos", "it's", "folder.csv", "My photos (new), a=b"):
        (tmp_path / folder).mkdir()
    for file in ("a.csv", "a.npz", "notes", "run/of mine/result.json"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert prepare(typed, command) == (typed if prepared is None else prepared)


@pytest.mark.parametrize(
    ("typed", "features"),
    [
        (["data=cifar10"], ["features=backbone"]),
        (["data=mnist"], ["features=fourier"]),
        (["data=cifar10", "noise=human"], ["features=backbone"]),
        (["data=cifar10", "features=pixels"], []),
        (["data=cifar10", "model=timm", "model.name=resnet50"], ["features=backbone"]),
        (["data=cifar10", "model=resnet18"], ["features=pixels"]),
        (["data=cifar10", "loss=gce"], ["features=pixels"]),
        (["data=cifar10", "trainer.max_epochs=2"], ["features=pixels"]),
        (["data=cifar10", "data.folds=10"], ["features=pixels"]),
        (["runs=outputs/a"], []),
        (["seed=1"], []),
        (["data.path=digits"], ["features=fourier"]),
        (["data.path=large"], ["features=backbone"]),
        (["data.path=colours"], ["features=backbone"]),
        (["data.path=digits.npz"], ["features=fourier"]),
        (["data=mnist", "model=resnet18"], ["features=pixels"]),
        (["data=mnist", "model=efficientnet_lite0"], ["features=backbone"]),
        (["data.path=colours.npz"], ["features=backbone"]),
        (["data.path=broken.npz"], ["features=backbone"]),
    ],
)
def test_an_audit_has_features_of_photographs_and_pixels_of_digits(typed, features, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, mode, side in (("digits", "L", 28), ("large", "L", 65), ("colours", "RGB", 28)):
        (tmp_path / folder / "a").mkdir(parents=True)
        Image.new(mode, (side, side)).save(tmp_path / folder / "a/1.png")
    np.savez("digits.npz", images=np.zeros((3, 28, 28), np.uint8), labels=np.zeros(3, np.int64))
    np.savez("colours.npz", images=np.zeros((3, 28, 28, 3), np.uint8), labels=np.zeros(3, np.int64))
    (tmp_path / "broken.npz").write_bytes(b"broken")
    assert [argument for argument in prepare(typed, "audit") if argument.startswith("features=")] == (
        features or [argument for argument in typed if argument.startswith("features=")]
    )


def test_a_file_of_features_is_named_by_its_path():
    prepared = prepare(["data=cifar10", "features=my features/clip.npy"], "train")
    assert prepared == ["data=cifar10", "features=file", "features.path=my features/clip.npy"]


@pytest.mark.parametrize(
    ("command", "typed", "message"),
    [
        ("audit", "nil", "there is no file or folder nil.\nValues are given as key=value, such as data.path=FOLDER"),
        ("export", "nil", "Values are given as key=value, such as run=outputs/runs/RUN"),
        ("train", "digits", "there is no file or folder digits; did you mean data=digits?\n"),
        ("train", "a b", "data.path takes one path, got a and b"),
        ("predict", "a images=b", "images=b and a are both for images: leave out one."),
        ("evaluate", "a", "no trained run is in a: runs=outputs/runs data.path=a tests runs on it."),
        ("train", "--data folder", "there is no flag --data\nValues are given as key=value, such as data=folder"),
        (
            "audit",
            "one.png",
            "one.png is one picture: give the folder that has a folder for each class, data.path=FOLDER",
        ),
        ("audit", "one.pnk", "there is no file or folder one.pnk; did you mean 'one.png'?"),
        ("audit", "--data a", "there is no flag --data\nValues are given as key=value, such as data.path=a"),
        ("audit", "--path photos", "such as data.path=photos or noise.path=photos"),
        ("audit", "-data=folder", "there is no flag -data\nValues are given as key=value, such as data=folder"),
        ("audit", "-path photos", "there is no flag -path\n"),
        ("train", "--batch-size=64 seed=1", "such as data.batch_size=64"),
        ("train", "--epochs 3", "such as trainer.max_epochs=3"),
        ("predict", "--output x.csv", "such as output=x.csv"),
        ("train", "--seed", "such as seed=..."),
    ],
)
def test_what_is_not_understood_gets_the_line_to_type(command, typed, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "one.png").touch()
    with pytest.raises(UserError) as refused:
        prepare(typed.split(), command)
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 2


def write_options(folder):
    """A folder of options beside lnl's."""
    texts = {"loss/mine": "_target_: mine.Loss\nknob: 3\n", "augment/tilt": "tilt: {_target_: mine.Tilt}\n"}
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)


@pytest.mark.parametrize("added", ["--config-dir=added", "hydra.searchpath=[file://added]", "hydra.searchpath=[added]"])
def test_added_options_are_in_lists_and_hints(added, train, tmp_path):
    write_options(tmp_path / "added")
    assert "mine" in train(added, "loss=null").err
    assert "; it needs loss=mine." in train(added, "loss.knob=1").err
    assert "did you mean 'knob'?" in train(added, "loss.knb=1").err
    assert "did you mean loss.knob?" in train(added, "knob=1").err
    assert "did you mean loss=mine?" in train(added, "mine").err
    assert "loss takes one option, got [mine,ce]" in train(added, "loss=[mine,ce]").err
    assert "augment=[flip,tilt] for one list" in train(added, "augment=flip,tilt").err
    if added.startswith("--"):
        assert "mae, mine, nce" in train(added, "--help").out


def test_names_in_a_hint_can_be_typed_as_they_are():
    names = ["cat", "white, large", "Rosen [rot]", "it's", "Löwenzahn (gelb)", "sea lion"]
    override = parse(f"data.classes={typed_list(names)}")
    assert override is not None
    assert [str(getattr(name, "text", name)) for name in override.value()] == names


def test_an_option_that_starts_from_own_data_has_its_defaults(train, tmp_path):
    (tmp_path / "added/data").mkdir(parents=True)
    for name, start in {"ours": "folder", "theirs": "ours", "fewer": "cifar10"}.items():
        (tmp_path / f"added/data/{name}.yaml").write_text(f"defaults: [{start}, _self_]\nimage_size: 16\n")

    def defaults(*arguments):
        return OmegaConf.create(train("--config-dir=added", *arguments, "--cfg", "job", "-p", "optimizer").out)

    own, usual = defaults("data=folder"), defaults("data=cifar10")
    assert own.lr != usual.lr
    assert defaults("data=ours") == defaults("data=theirs") == own
    assert defaults("data=fewer") == usual
