"""Methods that are here to be tested with: the frame of a published one, and some that say what happens to them."""

import random
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from lnl.methods import Baseline, LabelCorrection, NoisyLabelMethod


class OneLossPerSample(NoisyLabelMethod):
    """The commonest mistake in a method: the mean is forgotten."""

    def training_loss(self, batch) -> Tensor:
        return self.loss(self(batch.images), batch.labels)


class Silent(NoisyLabelMethod):
    """Calls its network instead of itself, so that nobody hears what it predicts."""

    def training_loss(self, batch) -> Tensor:
        return self.loss(self.model(batch.images), batch.labels).mean()


class Projects(Baseline):
    """Has a linear layer of its own, which does not predict."""

    def __init__(self, **base):
        super().__init__(**base)
        self.projection = torch.nn.Linear(self.num_classes, 3)


class Counts(NoisyLabelMethod):
    """Counts what it trained on: samples, and for each of them who trained on it last."""

    def __init__(self, **base):
        super().__init__(**base)
        self.register_buffer("visits", torch.zeros(self.num_samples, dtype=torch.int64))
        self.register_buffer("visitor", torch.full((self.num_samples,), -torch.inf))
        self.register_buffer("seen", torch.zeros(self.num_samples, dtype=torch.bool))

    def training_loss(self, batch) -> Tensor:
        self.visits[batch.index] += 1
        self.visitor[batch.index] = float(self.trainer.global_rank)
        self.seen[batch.index] = True
        return self.loss(self(batch.images), batch.labels).mean()


class Draws(Counts):
    """Draws whom each of four epochs trains on, by every global generator, and is asked once for each of them."""

    def __init__(self, **base):
        super().__init__(**base)
        self.register_buffer("asked", torch.zeros(4, dtype=torch.int64))

    def training_set(self, epoch) -> Tensor:
        assert self.current_epoch == epoch
        self.asked[epoch] += 1
        train = self.samples.index
        first = train[torch.randperm(len(train))[:200]]
        second = train[np.random.permutation(len(train))[:100]]  # noqa: NPY002 - the global generator is what is meant
        return torch.cat([first, second, train[random.sample(range(len(train)), 1)]]).unique()

    def on_train_end(self) -> None:
        assert self.asked.tolist() == [1, 1, 1, 1]
        assert self.seen.sum() > 301  # other samples in each epoch


class Streams(NoisyLabelMethod):
    """Trains on the first half of the samples, and counts those of the others that a stream gives it."""

    def __init__(self, **base):
        super().__init__(**base)
        self.register_buffer("streamed", torch.zeros(self.num_samples, dtype=torch.int64))
        self.register_buffer("answers", torch.zeros(self.num_samples))

    def training_set(self, epoch) -> Tensor:
        index, values = self.over_training_set(lambda batch: batch.index.float())
        self.answers[index] = values
        half = len(self.samples.index) // 2
        self.endless(self.samples.index[half:], stream=3, batch_size=32)
        return self.samples.index[:half]

    def training_loss(self, batch) -> Tensor:
        other = next(self.streams[3])
        self.streamed[other.index] += 1
        return self.loss(self(batch.images), batch.labels).mean() + self.loss(self(other.images), other.labels).mean()


class LeavesItsState(LabelCorrection):
    """Writes what each process has in the end."""

    def on_train_end(self) -> None:
        torch.save(self.state_dict(), f"{self.trainer.default_root_dir}/process{self.trainer.global_rank}.pt")


class Spy(NoisyLabelMethod):
    """Keeps all that it is shown."""

    seen: ClassVar[list] = []

    def training_loss(self, batch) -> Tensor:
        Spy.seen.append(("train", batch))
        return self.loss(self(batch.images), batch.labels).mean()

    def validation_step(self, batch, batch_idx) -> None:
        Spy.seen.append(("val", batch))
        super().validation_step(batch, batch_idx)

    def predict_step(self, batch, batch_idx) -> Tensor:
        Spy.seen.append(("test", batch))
        return super().predict_step(batch, batch_idx)


class TrustingSpy(Spy):
    """The same, of a method that may use trusted labels."""

    uses_trusted = True
