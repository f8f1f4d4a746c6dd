"""The losses of Sec. 5.2 against values worked out by hand, and their gradients against finite differences."""

import math

import pytest
import torch

from pipeline.training.losses import cross_entropy, distillation, relational


def test_cross_entropy_by_hand() -> None:
    """Softmax (3/4, 1/4) and (1/2, 1/2): the mean of ln 4/3 and ln 2."""
    logits = torch.tensor([[math.log(3), 0.0], [1.0, 1.0]])
    assert cross_entropy(logits, torch.tensor([0, 1])).item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_distillation_by_hand() -> None:
    """At T = 2 the student says (3/4, 1/4), the teacher (1/2, 1/2); the second clip agrees. Mean over 2 x 2 numbers."""
    student = torch.tensor([[2 * math.log(3), 0.0], [5.0, 1.0]])
    teacher = torch.tensor([[7.0, 7.0], [5.0, 1.0]])
    by_hand = (0.5 * math.log((1 / 2) / (3 / 4)) + 0.5 * math.log((1 / 2) / (1 / 4)) + 0) / 4
    assert distillation(student, teacher, 2.0).item() == pytest.approx(by_hand, rel=1e-6)


def test_distillation_is_from_the_teacher_s_side() -> None:
    """Eq. 5.7 weighs with the teacher's probabilities: the other way round it is another number."""
    one, other = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0]])
    p = math.exp(2) / (math.exp(2) + 2)
    q = 1 / (math.exp(2) + 2)
    assert distillation(one, other, 1.0).item() == pytest.approx(-(math.log(3 * p) + 2 * math.log(3 * q)) / 9)
    assert distillation(other, one, 1.0).item() == pytest.approx((p * math.log(3 * p) + 2 * q * math.log(3 * q)) / 3)


def test_relational_by_hand() -> None:
    """Student's distances 5, 10, 5, mean 20/3; teacher's 1, 1, √2, mean (2 + √2) / 3; all differ by less than 1."""
    student = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    teacher = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    mean = (2 + math.sqrt(2)) / 3
    differences = [3 / 4 - 1 / mean, 3 / 2 - 1 / mean, 3 / 4 - math.sqrt(2) / mean]
    by_hand = 2 * sum(0.5 * d**2 for d in differences) / 9
    assert relational(student, teacher).item() == pytest.approx(by_hand, rel=1e-5)


def test_relational_beyond_one_is_linear() -> None:
    """Four clips, three of the student's alike: its distances are 0 (not counted for the mean) and 1 after division."""
    student = torch.tensor([[0.0], [0.0], [0.0], [8.0]])
    teacher = torch.tensor([[0.0], [0.0], [10.0], [10.1]])
    # Teacher's: 0, 10, 10.1, 10, 10.1, 0.1; the mean of those that are not 0:
    mean = (2 * 10 + 2 * 10.1 + 0.1) / 5
    pairs = [(0, 0), (0, 10 / mean), (1, 10.1 / mean), (0, 10 / mean), (1, 10.1 / mean), (1, 0.1 / mean)]
    by_hand = 2 * sum(0.5 * (a - b) ** 2 if abs(a - b) <= 1 else abs(a - b) - 0.5 for a, b in pairs) / 16
    assert any(abs(a - b) > 1 for a, b in pairs)
    assert relational(student, teacher).item() == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_relational_of_clips_that_are_all_alike(count: int) -> None:
    student = torch.zeros(count, 4, requires_grad=True)
    loss = relational(student, torch.ones(count, 4))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(student.grad).all()  # type: ignore[arg-type]


def test_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    teacher = torch.randn(4, 5, dtype=torch.float64, generator=generator)
    labels = torch.tensor([0, 1, 4, 2])
    assert torch.autograd.gradcheck(lambda s: cross_entropy(s, labels), student)
    assert torch.autograd.gradcheck(lambda s: distillation(s, teacher, 5.0), student)
    assert torch.autograd.gradcheck(lambda s: relational(s, teacher), student)
    assert torch.autograd.gradcheck(
        lambda s: cross_entropy(s, labels) + 12_500 * distillation(s, teacher, 5.0) + 10 * relational(s, teacher),
        student,
    )
