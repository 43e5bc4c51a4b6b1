"""Forward and backward correction: their numbers in float64, where T comes from, and whole runs on digits."""

import numpy as np
import pandas as pd
import pytest
import torch

from lnl.data import Batch
from lnl.errors import UserError
from lnl.losses import CrossEntropy, GeneralizedCrossEntropy, MeanAbsoluteError, NormalizedCrossEntropy
from lnl.methods import Backward, Forward
from lnl.methods.transition import anchor_transition, read_transition
from lnl.noise.transition import asymmetric
from tests.conftest import above_chance, weights
from tests.methods.made import make, samples

T = np.array([[0.7, 0.2, 0.1], [0.0, 0.9, 0.1], [0.3, 0.1, 0.6]])
LOGITS = np.random.default_rng(0).normal(0, 2, (6, 3))
LABELS = np.array([0, 1, 2, 2, 0, 1])


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def knowing(kind, transition=T, **options):
    """A method in float64 that has a matrix for T, as of an epoch's start."""
    made = make(kind, 6, 3, transition="estimate", **options).double()
    made.transition.copy_(torch.from_numpy(transition))
    made.on_train_epoch_start()
    return made


def loss_and_gradient(method, labels=LABELS):
    images = torch.from_numpy(LOGITS).requires_grad_()
    loss = method.training_loss(Batch(images, torch.from_numpy(labels), torch.arange(6)))
    return loss.item(), 6 * torch.autograd.grad(loss, images)[0].numpy()  # of a mean over 6


def test_forward_is_cross_entropy_of_what_the_noise_makes_of_the_prediction():
    """-log q_y with q_y = sum_i p_i T_iy; its gradient is p_i (1 - T_iy / q_y)."""
    loss, gradient = loss_and_gradient(knowing(Forward))
    terms = []
    for p, label, row in zip(softmax(LOGITS), LABELS, gradient, strict=True):
        q = sum(p[i] * T[i, label] for i in range(3))
        terms.append(-np.log(q))
        np.testing.assert_allclose(row, p * (1 - T[:, label] / q), rtol=1e-10, atol=1e-12)
    assert loss == pytest.approx(np.mean(terms), rel=1e-12)


def test_backward_is_what_the_inverse_makes_of_the_losses():
    """sum_k inverse_yk (-log p_k); rows of the inverse add up to 1, so that its gradient is p - inverse_y."""
    loss, gradient = loss_and_gradient(knowing(Backward))
    inverse, p = np.linalg.inv(T), softmax(LOGITS)
    expected = [
        sum(-inverse[label, k] * np.log(row[k]) for k in range(3)) for row, label in zip(p, LABELS, strict=True)
    ]
    assert loss == pytest.approx(np.mean(expected), rel=1e-10)
    np.testing.assert_allclose(gradient, p - inverse[LABELS], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "loss", [CrossEntropy(), GeneralizedCrossEntropy(0.7), MeanAbsoluteError(), NormalizedCrossEntropy()]
)
def test_the_mean_of_backward_over_the_given_labels_is_the_loss_of_the_true_one(loss):
    method, logits = knowing(Backward), torch.from_numpy(LOGITS)
    method.loss = loss
    corrected = torch.stack([method.corrected(logits, torch.full((6,), j)) for j in range(3)], dim=1)
    mean = corrected @ torch.from_numpy(T).T  # of the given labels j of each true class i
    torch.testing.assert_close(mean, loss.of_every_label(logits), rtol=1e-9, atol=1e-11)


def test_the_minimum_of_forward_is_the_posterior_of_the_true_labels():
    posterior = torch.tensor([[0.6, 0.3, 0.1], [0.05, 0.05, 0.9]], dtype=torch.float64)
    given = posterior @ torch.from_numpy(T)
    method, logits = knowing(Forward), torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16)

    def closure():
        optimizer.zero_grad()
        risk = method.corrected(logits, given).sum()  # soft labels: the mean over the given ones
        risk.backward()
        return risk

    optimizer.step(closure)
    torch.testing.assert_close(logits.softmax(dim=1).detach(), posterior, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [Forward, Backward])
def test_without_noise_it_is_cross_entropy_and_soft_labels_count_in_parts(kind):
    plain = -np.log(softmax(LOGITS))
    loss, _ = loss_and_gradient(knowing(kind, np.eye(3)))
    assert loss == pytest.approx(plain[np.arange(6), LABELS].mean(), rel=1e-12)
    soft = np.random.default_rng(1).dirichlet(np.ones(3), 6)
    by_label = [knowing(kind).corrected(torch.from_numpy(LOGITS), torch.full((6,), j)).numpy() for j in range(3)]
    mixed, _ = loss_and_gradient(knowing(kind), soft)
    assert mixed == pytest.approx((soft * np.stack(by_label, axis=1)).sum(axis=1).mean(), rel=1e-10)


def test_forward_of_large_logits_is_finite_in_low_precision():
    method = knowing(Forward, np.eye(3)).float()
    logits = torch.tensor([[1e4, 0.0, -1e4]], dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = method.corrected(logits, torch.tensor([2])).sum()
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_anchors_have_the_rows_of_t():
    """Samples of which one of each class is certain: with its true posterior, p T, an anchor says its row."""
    rng = np.random.default_rng(0)
    posterior = np.concatenate([np.eye(3), rng.dirichlet(np.ones(3), 400)])
    transition = asymmetric({0: 1, 1: 2}, 3, 0.3)
    found = anchor_transition(torch.from_numpy(posterior @ transition), 1.0)
    np.testing.assert_allclose(found, transition, atol=1e-12)


@pytest.mark.parametrize("percentile", [0.5, 0.97, 1.0])
def test_an_anchor_is_the_sample_at_the_percentile(percentile):
    p = np.random.default_rng(0).dirichlet(np.ones(4), 345)
    found = anchor_transition(torch.from_numpy(p), percentile)
    for i in range(4):
        place = np.percentile(p[:, i], 100 * percentile, method="higher")
        np.testing.assert_array_equal(found[i], p[p[:, i] == place][0])


def test_stage_2_begins_with_the_anchors_of_stage_1(monkeypatch):
    method = make(Forward, 6, 3, percentile=1.0, samples=samples(6, 3, [0, 0, 0, 1, 1, 2]))
    p = torch.tensor([[0.8, 0.2, 0], [0.1, 0.9, 0], [0, 0, 1], *[[1 / 3] * 3] * 3])
    monkeypatch.setattr(method, "over_training_set", lambda function: (torch.arange(6), p))
    method.begin_stage(1)
    assert torch.equal(method.transition, torch.eye(3))
    method.begin_stage(2)
    torch.testing.assert_close(method.transition, p[:3])
    # The given labels (3, 2, 1) are those of (x, y, 1) true ones, with .8 x + .1 y = 3 and .2 x + .9 y = 2.
    x, y = 2.5 / 0.7, 1 / 0.7
    assert method.noise_rate.item() == pytest.approx((0.2 * x + 0.1 * y) / 6, rel=1e-5)
    assert [(stage.epochs, stage.fresh) for stage in method.stages(5)] == [(1, ()), (4, True)]


@pytest.mark.parametrize(
    "options", [{"percentile": 1.1}, {"stage1_epochs": 0}, {"transition": "guess"}, {"transition": "t.txt"}]
)
def test_values_outside_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        make(Forward, 6, 3, **options)


def test_a_matrix_is_read_from_each_kind_of_file_and_checked(tmp_path):
    np.save(tmp_path / "t.npy", T)
    np.savez(tmp_path / "one.npz", T)
    np.savez(tmp_path / "run.npz", believed=T, true=np.eye(3))
    np.savetxt(tmp_path / "t.csv", T, delimiter=",")
    for name in ("t.npy", "one.npz", "run.npz", "t.csv"):
        np.testing.assert_allclose(read_transition(tmp_path / name, 3), T)
    np.savez(tmp_path / "two.npz", a=T, true=T)
    np.save(tmp_path / "columns.npy", T.T)
    (tmp_path / "text.csv").write_text("cat,dog\n")
    wrong = {"two.npz": "cannot be read", "none.npy": "cannot be read", "text.csv": "cannot be read"}
    wrong |= {"columns.npy": "add up to 1"}
    for name, said in wrong.items():
        with pytest.raises(UserError, match=said):
            read_transition(tmp_path / name, 3)
    with pytest.raises(UserError, match=r"10 rows and columns, and has the shape \[3, 3\]"):
        read_transition(tmp_path / "t.npy", 10)


def test_a_run_finds_t_between_its_stages_and_learns(digits):
    arguments = ("method=forward", "noise.rate=0.4", "trainer.max_epochs=6", "optimizer.lr=0.05")
    outcome = digits(*arguments, "method.percentile=0.95")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(outcome.folder / "metrics.csv")
    assert table["stage"].tolist() == [1, 1, 2, 2, 2, 2]
    assert table["train/memorised"].notna().all()
    believed = np.load(outcome.folder / "transition.npz")["believed"]
    np.testing.assert_allclose(believed.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(weights(outcome.folder)["transition"], believed, atol=1e-6)
    assert torch.equal(weights(outcome.folder, "stage1")["transition"], torch.eye(10))
    assert outcome.result["noise_believed"]["transition_error"] < 0.8  # which the identity has
    assert outcome.result["oracle_options"] == {}
    assert outcome.result["protocol"]["last"]["test"]["accuracy"] > above_chance(359)


def test_t_is_estimated_told_or_read(digits, tmp_path):
    given = 0.7 * np.eye(10) + 0.03
    np.save(tmp_path / "my t.npy", given)
    found = {}
    for source in ("estimate", "true", "my t.npy"):
        outcome = digits(
            "method=backward", f"method.transition={source}", "noise.rate=0.3", "model=mlp_1x512", f"sweep={source[:2]}"
        )
        assert outcome.code == 0, outcome.err
        (folder,) = (path for path in outcome.folders if path.parent.name == source[:2])
        found[source] = weights(folder), outcome.out
    torch.testing.assert_close(found["my t.npy"][0]["transition"].numpy(), given.astype(np.float32))
    told = found["true"][0]["transition"]
    torch.testing.assert_close(told.diagonal(), torch.full((10,), 0.7))
    assert "IS THE TRUE NOISE" in found["true"][1]
    assert 0 < found["estimate"][0]["noise_rate"] < 1
    inverse = torch.linalg.inv(told.double())
    torch.testing.assert_close(found["true"][0]["inverse"].double(), inverse, rtol=0, atol=1e-5)
    np.save(tmp_path / "my t.npy", np.eye(4))
    refused = digits("method=backward", "method.transition=my t.npy")
    assert "my t.npy must have 10 rows and columns" in refused.err
