"""Label correction: learn from trusted labels, relabel the rest, learn from both."""

from typing import Any

import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lnl.data.batch import Batch
from lnl.errors import check_range
from lnl.labels import empirical_transition
from lnl.methods.functional import soft
from lnl.methods.label_stages import LabelStages
from lnl.methods.stages import Stage, StagedMethod


class LabelCorrection(StagedMethod):
    r"""Stage 1 trains on the trusted images. Then every other training image whose largest probability exceeds
    ``threshold`` takes the predicted label, and stage 2 trains on trusted and relabelled images together.

    Each further round relabels them with the model that the round before trained. Trusted images keep their label.

    Args:
        threshold: in [0, 1]; images at or below it are left out of the next stage.
        soft_labels: train relabelled images on the predicted probabilities, :math:`\sum_k p_k \ell(f(x), k)`.
        max_per_class: keep at most this many relabelled images of each predicted class, the most confident ones; null
            for all. Trusted images are not counted.
        given_label_evidence: let the given label :math:`\tilde y` count,
            :math:`p(y \mid x, \tilde y) \propto p(y \mid x)\, T_{y \tilde y}`, with T counted on the trusted images
            (one added to each count). It supposes that the noise depends only on the class. A given label counts once:
            where the model was trained on what came of it, the model's probabilities stay as they are.
        stage1_epochs: epochs of stage 1, at least 1; the rest of ``trainer.max_epochs`` is divided among the rounds.
        rounds: stages after the first, at least 1.
        fresh_model: train a new network in each stage; if false, the same network is trained on.
        patience: end a stage when noisy validation accuracy has not risen for this many epochs; null for never.
    """

    uses_trusted = True
    labels: Tensor
    confidence: Tensor
    beliefs: Tensor
    heard: Tensor | None

    def __init__(
        self,
        *,
        threshold: float = 0.85,
        soft_labels: bool = False,
        max_per_class: int | None = None,
        given_label_evidence: bool = False,
        stage1_epochs: int = 3,
        rounds: int = 1,
        fresh_model: bool = True,
        patience: int | None = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        check_range("[0, 1]", threshold=threshold)
        check_range("[1, inf)", stage1_epochs=stage1_epochs, rounds=rounds)
        check_range("[1, inf)", patience=patience, max_per_class=max_per_class)
        self.threshold, self.soft_labels, self.max_per_class = threshold, soft_labels, max_per_class
        self.given_label_evidence = given_label_evidence
        self.stage1_epochs, self.rounds, self.fresh_model, self.patience = stage1_epochs, rounds, fresh_model, patience
        self.register_buffer("labels", torch.zeros(self.num_samples, dtype=torch.int64))
        self.register_buffer("confidence", torch.zeros(self.num_samples))
        self.register_buffer("beliefs", torch.zeros(self.num_samples if soft_labels else 0, self.num_classes))
        # Whether the model was trained on what came of the sample's given label.
        asked = given_label_evidence and self.rounds > 1
        self.register_buffer("heard", torch.zeros(self.num_samples, dtype=torch.bool) if asked else None)

    def stages(self, epochs: int) -> list[Stage]:
        share, rest = divmod(epochs - self.stage1_epochs, self.rounds)
        others = [Stage(share + (i < rest), self.fresh_model, patience=self.patience) for i in range(self.rounds)]
        return [Stage(self.stage1_epochs, patience=self.patience), *others]

    def labels_of(self, batch: Batch) -> Tensor:
        return (self.beliefs if self.soft_labels else self.labels)[batch.index]

    def training_loss(self, batch: Batch) -> Tensor:
        return self.loss(self(batch.images), batch.labels).mean()

    def begin_stage(self, number: int) -> None:
        """Keeps the trusted images for stage 1, with them the relabelled ones after."""
        known, right = self.samples.trusted.to(self.device), self.samples.trusted_labels.to(self.device)
        if number > 1:
            index, beliefs = self.over_training_set(lambda batch: self(batch.images).float().softmax(dim=1))
            others = ~torch.isin(index, known)
            index, beliefs = index[others], beliefs[others]
            if self.given_label_evidence:
                posterior = self.with_evidence(beliefs, index)
                beliefs = posterior if self.heard is None else posterior.where(~self.heard[index, None], beliefs)
            self.correct(index, beliefs)
            if self.heard is not None:
                self.heard.copy_(self.kept if self.fresh_model else self.kept | self.heard)
        self.kept[known], self.labels[known], self.confidence[known] = True, right, 1.0
        if self.soft_labels:
            self.beliefs[known] = soft(right, self.num_classes)

    def with_evidence(self, beliefs: Tensor, index: Tensor) -> Tensor:
        """``beliefs[n, K]`` about the samples ``index[n]`` once their given labels are heard."""
        given, trusted = self.samples.given, self.samples.trusted
        right, said = self.samples.trusted_labels.numpy(), given[trusted].numpy()
        transition = empirical_transition(right, said, self.num_classes, smoothing=1.0)
        posterior = beliefs * torch.from_numpy(transition.T[given[index.cpu()].numpy()]).to(beliefs)
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

    def configure_callbacks(self) -> list[Callback]:
        return [LabelStages()]
