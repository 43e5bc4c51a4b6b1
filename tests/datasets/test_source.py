"""What a source says that it reads, before it reads it; and the data modules that are a source and its defaults."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir

import lnl.data
from lnl.app.resolvers import register_resolvers
from lnl.config import CONF_DIR
from lnl.data import CIFAR10, Digits, NoisyDataModule
from lnl.datasets import animal10n, clothing1m, digits, flowers, food101n, tiny_imagenet, torchvision_sets, webvision
from lnl.datasets.userdata.arrays import Arrays
from lnl.datasets.userdata.folder import Folder
from lnl.noise import SymmetricNoise
from tests.datasets.own import picture, write_arrays, write_folder

NAMES = {
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "digits": "Digits",
    "tf_flowers": "TFFlowers",
    "tf_flowers_sunflower": "TFFlowersSunflower",
    "clothing1m": "Clothing1M",
    "webvision": "WebVision",
    "webvision_imagenet": "WebVisionImageNet",
    "animal10n": "Animal10N",
    "food101n": "Food101N",
    "tiny_imagenet": "TinyImageNet",
}


def test_a_key_is_that_of_the_data_wherever_it_lies(tmp_path):
    root = write_folder(tmp_path / "data")
    before = Folder(path=root).key()
    assert Folder(path=root, cache_dir="elsewhere", cache_limit_gb=0).key() == before
    assert Folder(path=root.rename(tmp_path / "moved")).key() == before
    moved = tmp_path / "moved"
    assert Folder(path=moved, on_error="skip").key() != before
    assert Folder(path=moved, folds=5).key() != before  # which hold no test set out
    picture(moved / "cat/new.png")
    assert Folder(path=moved).key() != before


def test_a_key_is_of_the_content_of_arrays(tmp_path):
    keys = {Arrays(path=write_arrays(tmp_path / "a.npz", labels=np.arange(30) % count)).key() for count in (2, 3, 2)}
    assert len(keys) == 2


def test_each_dataset_has_a_key_of_its_own():
    every = [torchvision_sets.CIFAR10, torchvision_sets.CIFAR100, torchvision_sets.MNIST, digits.Digits]
    every += [flowers.TFFlowers, flowers.TFFlowersSunflower, animal10n.Animal10N, clothing1m.Clothing1M]
    every += [food101n.Food101N, tiny_imagenet.TinyImageNet, webvision.WebVision, webvision.WebVisionImageNet]
    assert len({kind().key() for kind in every}) == len(every)
    assert torchvision_sets.CIFAR10("here").key() == torchvision_sets.CIFAR10("there").key()


@pytest.mark.parametrize("option", NAMES)
def test_from_python_a_dataset_has_the_defaults_of_its_option(option):
    register_resolvers()
    with initialize_config_dir(CONF_DIR, version_base="1.3"):
        cfg = compose("train", overrides=[f"data={option}"])
    data = getattr(lnl.data, NAMES[option])()
    assert cfg.data._target_ == f"lnl.data.{NAMES[option]}"
    for key, value in vars(data.preparation).items():
        if key != "image_size":  # by default the images' own, if it is small
            assert cfg.data[key] == value, key
    assert (cfg.data.batch_size, cfg.data.eval_batch_size) == (data.batch_size, data.eval_batch_size)
    for key, value in vars(data.splitting).items():
        assert cfg.data[key] == value, key


class Linear(pl.LightningModule):
    """Knows nothing of lnl but what a batch is."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)

    def training_step(self, batch, place):
        return torch.nn.functional.cross_entropy(self.layer(batch.images.flatten(1)), batch.labels)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def of_a_source(**options):
    return NoisyDataModule(digits.Digits(), channels=1, mean=[0.3], std=[0.4], **options)


@pytest.mark.parametrize("make", [Digits, of_a_source])
def test_any_trainer_fits_a_dataset(make, tmp_path):
    data = make(noise=SymmetricNoise(0.4))
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, **quiet)
    trainer.fit(Linear(), datamodule=data)
    assert abs(data.labels.noise.actual_rate() - 0.4) < 0.05


def test_an_option_of_no_part_is_refused():
    with pytest.raises(TypeError, match=r"CIFAR10\.__init__\(\) got an unexpected keyword argument 'batchsize'"):
        CIFAR10(batchsize=3)
    with pytest.raises(TypeError, match="needs a source"):
        NoisyDataModule()
