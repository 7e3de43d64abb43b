"""How many samples should go through a network at a time in inference (labelling, validation, examination)?

    .venv/bin/python benchmarks/portions.py [--threads 1]

Samples per second in portions of 1,000 down to 16 and in those that `distill_tune/evaluation/portions.py` chooses, in
turns over the same synthetic samples, for students and teachers of the shipped spaces; the best of three turns counts.
"""

from __future__ import annotations

from argparse import Namespace
from time import perf_counter

import torch
from _measure import conclude, parser, show
from torch import Tensor, nn

from distill_tune.evaluation.portions import samples_at_a_time
from distill_tune.registry import STUDENTS

SIZES = (1000, 500, 256, 64, 16)
TURNS = 3
LETTER, DIGITS, FASHION, PHOTOGRAPH = (16,), (1, 8, 8), (1, 28, 28), (3, 224, 224)
NETWORKS: dict[str, tuple[str, dict[str, int], tuple[int, ...], int]] = {
    "MLP of two layers of 32, Letter": ("mlp", {"width": 32, "depth": 2}, LETTER, 100_000),
    "MLP of three layers of 512, Letter": ("mlp", {"width": 512, "depth": 3}, LETTER, 20_000),
    "convnet, width 16, digits": ("convnet", {"width": 16, "depth": 2}, DIGITS, 20_000),
    "convnet, width 16, Fashion-MNIST": ("convnet", {"width": 16, "depth": 3}, FASHION, 8_000),
    "resnet, width 12, Fashion-MNIST": ("resnet", {"width": 12, "depth": 2, "stages": 2}, FASHION, 4_000),
    "resnet, width 32, its teacher": ("resnet", {"width": 32, "depth": 1, "stages": 3}, FASHION, 4_000),
    "resnet, width 16, photographs": ("resnet", {"width": 16, "depth": 1, "stages": 3}, PHOTOGRAPH, 256),
}
"""Family, its options, the shape of a sample, and the number of samples."""


def main() -> None:
    """Measure, network by network."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    found = {}
    for name, (family, options, shape, samples) in NETWORKS.items():
        network = STUDENTS.get(family)(**options).build(shape, 10).eval()
        found[name] = _per_s(network, torch.rand(samples, *shape), samples_at_a_time(shape))
    own = [str(samples_at_a_time(shape)) for _, _, shape, _ in NETWORKS.values()]
    rows = [
        (name, *(f"{per_s[str(size)]:,.0f}" for size in SIZES), f"{per_s['own']:,.0f} ({size})")
        for (name, per_s), size in zip(found.items(), own, strict=True)
    ]
    show(("samples a second", *map(str, SIZES), "as chosen"), rows)
    conclude("portions", threads=given.threads, samples_per_s=found)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--threads", type=int, default=1)
    return made.parse_args()


@torch.inference_mode()
def _per_s(network: nn.Module, samples: Tensor, own: int) -> dict[str, float]:
    sizes = {**{str(size): size for size in SIZES}, "own": own}
    best = dict.fromkeys(sizes, 0.0)
    for _ in range(1 + TURNS):  # the first is a warm-up
        for name, size in sizes.items():
            began_s = perf_counter()
            for portion in samples.split(size):
                network(portion)
            best[name] = max(best[name], len(samples) / (perf_counter() - began_s))
    return best


if __name__ == "__main__":
    main()
