"""Label correction: learn from trusted labels, relabel the rest, learn from both."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from torch import Tensor

from lnl.callbacks import FitUntil, LabelStages
from lnl.data.batch import Batch
from lnl.errors import UserError
from lnl.methods.base import NoisyLabelMethod
from lnl.noise import empirical_transition


class LabelCorrection(NoisyLabelMethod):
    r"""Stage 1 trains on the trusted images. Then every other training image whose largest probability exceeds
    ``threshold`` takes the predicted label, and stage 2 trains on trusted and relabelled images together.

    A stage has its own model, optimizer and learning rate schedule; a cosine schedule spans each stage. What is kept,
    and under which label, is state of the method: a resumed run repeats no finished stage.

    Args:
        threshold: in [0, 1]; images at or below it are left out of the next stage.
        stage1_epochs: epochs of stage 1; ``trainer.max_epochs`` less these are divided among the rounds.
        rounds: corrections; round r + 1 relabels all images anew with the model that round r trained.
        fresh_model: train a new model after each correction; if false, the same network is trained on.
        soft_labels: train relabelled images on the predicted probabilities, :math:`\sum_k p_k \ell(f(x), k)`.
        max_per_class: keep at most so many images of each predicted class, the most confident ones; null for all.
        given_label_evidence: let the given label :math:`\tilde y` count,
            :math:`p(y \mid x, \tilde y) \propto p(y \mid x)\, T_{y \tilde y}`, with T counted on the trusted images
            (one added to each count). It supposes that the noise depends on the class alone.
        patience: end a stage when noisy validation accuracy has not risen for so many epochs; null for never.

    Raises:
        ValueError: for a value outside these.
    """

    uses_trusted = True
    stage: Tensor
    stage_start: Tensor
    stage_over: Tensor
    best: Tensor
    labels: Tensor
    kept: Tensor
    confidence: Tensor
    beliefs: Tensor

    def __init__(
        self,
        *,
        threshold: float = 0.85,
        stage1_epochs: int = 3,
        rounds: int = 1,
        fresh_model: bool = True,
        soft_labels: bool = False,
        max_per_class: int | None = None,
        given_label_evidence: bool = False,
        patience: int | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        if not 0 <= threshold <= 1:
            raise ValueError(f"method.threshold must be in [0, 1], got {threshold}")
        counts = {"stage1_epochs": stage1_epochs, "rounds": rounds}
        for name, value in {**counts, "max_per_class": max_per_class, "patience": patience}.items():
            if value is not None and value < 1:
                raise ValueError(f"method.{name} must be at least 1, got {value}")
        self.threshold, self.stage1_epochs, self.rounds, self.patience = threshold, stage1_epochs, rounds, patience
        self.fresh_model, self.soft_labels, self.max_per_class = fresh_model, soft_labels, max_per_class
        self.given_label_evidence = given_label_evidence
        self.register_buffer("stage", torch.tensor(0))
        self.register_buffer("stage_start", torch.tensor(0))  # its first epoch
        self.register_buffer("stage_over", torch.tensor(False))
        self.register_buffer("best", torch.tensor([-1.0, 0.0]))  # this stage's noisy validation accuracy and its epoch
        self.register_buffer("labels", torch.zeros(self.num_samples, dtype=torch.int64))
        self.register_buffer("kept", torch.zeros(self.num_samples, dtype=torch.bool))
        self.register_buffer("confidence", torch.zeros(self.num_samples))
        self.register_buffer("beliefs", torch.zeros(self.num_samples if soft_labels else 0, self.num_classes))

    def training_loss(self, batch: Batch) -> Tensor:
        logits = self(batch.images)
        if self.soft_labels:
            beliefs = self.beliefs[batch.index]
            losses = [self.loss(logits, torch.full_like(batch.labels, k)) for k in range(self.num_classes)]
            return (beliefs * torch.stack(losses, dim=1)).sum(dim=1).mean()
        return self.loss(logits, self.labels[batch.index]).mean()

    def training_set(self) -> Tensor:
        """The trusted images in stage 1, with them the relabelled ones after."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if self.stage == 0:
            self.begin_stage(torch.from_numpy(data.trusted.index), torch.from_numpy(data.trusted.labels))
        elif self.stage_over and self.stage <= self.rounds:
            index, beliefs = self.predict_training_set()
            if self.given_label_evidence:
                beliefs = self.with_evidence(beliefs, index)
            self.correct(index, beliefs)
            self.begin_stage(torch.from_numpy(data.trusted.index), torch.from_numpy(data.trusted.labels))
        return self.kept.nonzero()[:, 0].cpu()

    def begin_stage(self, trusted: Tensor, right: Tensor) -> None:
        """Starts the next stage; whatever was predicted for them, trusted images keep their right labels."""
        trusted, right = trusted.to(self.device), right.to(self.device)
        self.kept[trusted], self.labels[trusted], self.confidence[trusted] = True, right, 1.0
        if self.soft_labels:
            self.beliefs[trusted] = torch.nn.functional.one_hot(right, self.num_classes).float()
        self.stage += 1
        self.stage_start.fill_(-1)  # resuming, Lightning does not yet say here which epoch it is
        self.stage_over.fill_(False)

    @torch.inference_mode()
    def predict_training_set(self) -> tuple[Tensor, Tensor]:
        """Sample numbers ``[n]`` of the training split and their probabilities ``[n, K]``."""
        training, data = self.training, self.trainer.datamodule  # type: ignore[attr-defined]
        beliefs = torch.zeros(self.num_samples, self.num_classes, device=self.device)
        self.eval()
        with self.trainer.precision_plugin.forward_context():
            for batch in data.loader("train", self.device, share=data.share):
                batch = batch.to(self.device)
                beliefs[batch.index] = self(batch.images).float().softmax(dim=1)
        self.train(training)
        # Each process predicts its share, and all of them decide on the same numbers.
        beliefs = self.trainer.strategy.reduce(beliefs, reduce_op="sum")
        index = torch.from_numpy(data.splits["train"]).to(self.device)
        return index, beliefs[index]

    def with_evidence(self, beliefs: Tensor, index: Tensor) -> Tensor:
        """``beliefs[n, K]`` about the samples ``index[n]`` once their given labels are heard."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        trusted, given = data.trusted, data.labels.noisy
        transition = empirical_transition(trusted.labels, given[trusted.index], self.num_classes, smoothing=1.0)
        likelihood = torch.from_numpy(transition.T[given[index.cpu()]]).to(beliefs)
        posterior = beliefs * likelihood
        return posterior / posterior.sum(dim=1, keepdim=True)

    def correct(self, index: Tensor, beliefs: Tensor) -> None:
        """Relabels the samples ``index[n]`` by ``beliefs[n, K]`` and keeps those that are sure enough."""
        confidence, labels = beliefs.max(dim=1)
        keep = confidence > self.threshold
        if self.max_per_class is not None:
            order = torch.argsort(confidence, descending=True, stable=True)
            one_hot = torch.nn.functional.one_hot(labels[order], self.num_classes)
            rank = one_hot.cumsum(dim=0).gather(1, labels[order, None])[:, 0]  # from 1, within the predicted class
            keep[order[rank > self.max_per_class]] = False
        self.kept.fill_(False)
        self.kept[index], self.labels[index], self.confidence[index] = keep, labels, confidence
        if self.soft_labels:
            self.beliefs[index] = beliefs

    @property
    def stage_epochs(self) -> int:
        """Epochs that the present stage may take."""
        if self.stage <= 1:
            return self.stage1_epochs
        rest = (self.trainer.max_epochs or 0) - self.stage1_epochs
        return rest // self.rounds + (int(self.stage) - 2 < rest % self.rounds)

    def on_fit_start(self) -> None:
        epochs = self.trainer.max_epochs or 0
        if epochs < self.stage1_epochs + self.rounds and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            raise UserError(
                f"trainer.max_epochs={epochs} leaves no epochs to train on corrected labels: it must be at least "
                f"method.stage1_epochs ({self.stage1_epochs}) + method.rounds ({self.rounds})."
            )

        if any(isinstance(callback, EarlyStopping | FitUntil) for callback in self.trainer.callbacks):  # type: ignore[attr-defined]
            raise UserError(
                "early_stopping and fit_until would end stage 1 for good: use method.patience in their place."
            )

    def on_train_epoch_start(self) -> None:
        if self.stage_start < 0:
            self.stage_start.fill_(self.current_epoch)
            self.best.copy_(torch.tensor([-1.0, self.current_epoch]))
            if self.stage > 1:
                if self.fresh_model:
                    # In place, because DDP averages the gradients of the parameters that it was given. Each process
                    # would draw a model of its own.
                    self.model.load_state_dict(self.trainer.strategy.broadcast(self.make_model().state_dict()))
                self.trainer.strategy.setup_optimizers(self.trainer)
        self.log("stage", self.stage.float(), sync_dist=True)

    def on_train_epoch_end(self) -> None:
        accuracy = self.trainer.callback_metrics.get("val/accuracy")
        if accuracy is not None and accuracy > self.best[0]:
            self.best.copy_(torch.tensor([float(accuracy), self.current_epoch]))
        stale = self.patience is not None and self.current_epoch - self.best[1] >= self.patience
        if stale or self.current_epoch + 1 - self.stage_start >= self.stage_epochs:
            self.stage_over.fill_(True)
            if self.stage > self.rounds:
                self.trainer.should_stop = True
            else:
                path = Path(self.trainer.default_root_dir) / "checkpoints" / f"stage{int(self.stage)}.ckpt"
                self.trainer.save_checkpoint(path, weights_only=True)

    def schedule(self, optimizer: torch.optim.Optimizer) -> Any:
        schedule = super().schedule(optimizer)
        if hasattr(schedule, "T_max"):
            schedule.T_max = self.stage_epochs
        return schedule

    def configure_callbacks(self) -> list[Callback]:
        return [LabelStages()]
