"""Label correction: learn from trusted labels, relabel the rest, learn from both."""

from typing import Any

import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lnl.data.batch import Batch
from lnl.labels import empirical_transition
from lnl.methods.label_stages import LabelStages
from lnl.methods.stages import StagedMethod


class LabelCorrection(StagedMethod):
    r"""Stage 1 trains on the trusted images. Then every other training image whose largest probability exceeds
    ``threshold`` takes the predicted label, and stage 2 trains on trusted and relabelled images together.

    Each further round relabels them with the model that the round before trained. Trusted images keep their label.

    Args:
        threshold: in [0, 1]; images at or below it are left out of the next stage.
        soft_labels: train relabelled images on the predicted probabilities, :math:`\sum_k p_k \ell(f(x), k)`.
        max_per_class: keep at most so many relabelled images of each predicted class, the most confident ones; null for
            all. Trusted images come on top.
        given_label_evidence: let the given label :math:`\tilde y` count,
            :math:`p(y \mid x, \tilde y) \propto p(y \mid x)\, T_{y \tilde y}`, with T counted on the trusted images
            (one added to each count). It supposes that the noise depends only on the class. A given label counts once:
            where the model was trained on what came of it, the model's probabilities stay as they are.
        stages: ``stage1_epochs``, ``rounds``, ``fresh_model``, ``patience``: :class:`~lnl.methods.stages.StagedMethod`.

    Raises:
        ValueError: for a value outside these.
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
        **stages: Any,
    ) -> None:
        super().__init__(**stages)
        if not 0 <= threshold <= 1:
            raise ValueError(f"method.threshold must be in [0, 1], got {threshold}")
        if max_per_class is not None and max_per_class < 1:
            raise ValueError(f"method.max_per_class must be at least 1, got {max_per_class}")
        self.threshold, self.soft_labels, self.max_per_class = threshold, soft_labels, max_per_class
        self.given_label_evidence = given_label_evidence
        self.register_buffer("labels", torch.zeros(self.num_samples, dtype=torch.int64))
        self.register_buffer("confidence", torch.zeros(self.num_samples))
        self.register_buffer("beliefs", torch.zeros(self.num_samples if soft_labels else 0, self.num_classes))
        # Whether the model was trained on what came of the sample's given label.
        asked = given_label_evidence and self.rounds > 1
        self.register_buffer("heard", torch.zeros(self.num_samples, dtype=torch.bool) if asked else None)

    def training_loss(self, batch: Batch) -> Tensor:
        logits = self(batch.images)
        if self.soft_labels:
            beliefs = self.beliefs[batch.index]
            losses = [self.loss(logits, torch.full_like(batch.labels, k)) for k in range(self.num_classes)]
            return (beliefs * torch.stack(losses, dim=1)).sum(dim=1).mean()
        return self.loss(logits, self.labels[batch.index]).mean()

    def begin_stage(self) -> None:
        """Keeps the trusted images for stage 1, with them the relabelled ones after."""
        trusted = self.trainer.datamodule.trusted  # type: ignore[attr-defined]
        known, right = (torch.from_numpy(array).to(self.device) for array in (trusted.index, trusted.labels))
        if self.stage > 0:
            index, beliefs = self.predict_training_set()
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
            self.beliefs[known] = torch.nn.functional.one_hot(right, self.num_classes).float()

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
        trusted, given = data.trusted, data.labels.noise.labels
        transition = empirical_transition(trusted.labels, given[trusted.index], self.num_classes, smoothing=1.0)
        posterior = beliefs * torch.from_numpy(transition.T[given[index.cpu()]]).to(beliefs)
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
