"""What is lost by keeping the k largest logits and the rest's mass, by k and temperature, for a synthetic teacher.

    .venv/bin/python benchmarks/sparse_logits.py

Next to KL(teacher || kept) is its share of KL(teacher || uniform), the information in the teacher's output at that
temperature. Figures of `docs/teachers.md`, Many classes; the same on every machine, up to rounding.
"""

import torch
from _measure import conclude, parser
from torch import Tensor

from distill_tune.distillation.cache.sparse import SparseLogits, sample_bytes

CLASSES, SAMPLES = 1000, 2000
KEEP = (10, 30, 100, 300)
TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 20.0)


def made_up_teacher() -> Tensor:
    """Normal logits with a few classes far above the others: the mean largest probability is about 0.3 at T = 1."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(SAMPLES, CLASSES, generator=generator)
    return logits + 7.0 * torch.rand(SAMPLES, CLASSES, generator=generator).pow(60)


def kl(teacher: Tensor, other: Tensor, temperature: float) -> float:
    """Mean KL(teacher || other) at a temperature, in nats."""
    log_p, log_q = ((each.double() / temperature).log_softmax(1) for each in (teacher, other))
    return float((log_p.exp() * (log_p - log_q)).sum(1).mean())


def main() -> None:
    """Print the table."""
    parser(__doc__).parse_args()
    logits = made_up_teacher()
    print(f"mean largest probability {logits.softmax(1).amax(1).mean():.3f}")
    print(
        "| kept | bytes a view, of 4,000 | the tail's mass | " + " | ".join(f"T = {t:g}" for t in TEMPERATURES) + " |"
    )
    print("|" + "---|" * (3 + len(TEMPERATURES)))
    found = {}
    for keep in KEEP:
        dense = SparseLogits.of(logits, keep).dense()
        mass = 1 - float(logits.softmax(1).topk(keep).values.sum(1).mean())
        lost = [(kl(logits, dense, t), kl(logits, torch.zeros_like(logits), t)) for t in TEMPERATURES]
        found[keep] = {t: {"lost": nats, "told": told} for t, (nats, told) in zip(TEMPERATURES, lost, strict=True)}
        shown = " | ".join(f"{nats:.4f} ({nats / told:.0%})" for nats, told in lost)
        print(f"| {keep} | {sample_bytes(CLASSES, keep):,} | {mass:.3f} | {shown} |")
    conclude("sparse_logits", classes=CLASSES, samples=SAMPLES, kept=found)


if __name__ == "__main__":
    main()
