"""Several teachers as one: a weighted mean of their logits, or the logarithm of the weighted mean of probabilities.

Ensembles as teachers: Hinton et al. 2015 (https://arxiv.org/abs/1503.02531); You et al. 2017, "Learning from Multiple
Teacher Networks" (https://doi.org/10.1145/3097983.3098135); weighted by quality: Fukuda et al. 2017, "Efficient
Knowledge Distillation from an Ensemble of Teachers" (https://doi.org/10.21437/Interspeech.2017-614).

    logits          z = sum_i w_i z_i                  at every T, softmax(z / T) is the normalised geometric mean of
                                                       the members' softened probabilities
    probabilities   z = log sum_i w_i softmax(z_i)     the ensemble's own prediction, but only at T = 1

Log-probabilities are logits minus one number per sample, to which a softmax is invariant, but losses on the logits
themselves are not (mse_logits, sp, rkd). So the second z is shifted to have the first one's mean over the classes.

The first commutes with the temperature, which is searched; more confident members weigh more in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from distill_tune.evaluation.mode import put_in_evaluation

Average = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class Mix:
    """Which members take part, and with what weight."""

    weights: dict[str, float]
    """Weight of each member; they sum to 1."""
    average: Average

    def of(self, logits: dict[str, Tensor]) -> Tensor:
        """[n, classes]: the mix's logits from those of the members; members that take no part are ignored."""
        if len(self.weights) == 1:
            return logits[next(iter(self.weights))]
        parts = [(weight, logits[name]) for name, weight in self.weights.items()]
        if self.average == "logits":
            return torch.stack([weight * each for weight, each in parts]).sum(0)
        shares = torch.stack([each.log_softmax(1) + torch.tensor(weight).log() for weight, each in parts])
        means = torch.stack([weight * each.mean(1, keepdim=True) for weight, each in parts]).sum(0)
        return centred(shares.logsumexp(0)) + means


def centred(logits: Tensor) -> Tensor:
    """[n, classes]: each row minus its mean."""
    return logits - logits.mean(-1, keepdim=True)


class MixedNetwork(nn.Module):
    """The members' networks side by side: inputs [batch, *input_shape] to the mix's logits [batch, classes]."""

    def __init__(self, networks: dict[str, nn.Module], mix: Mix):
        super().__init__()
        self.names, self.mix = tuple(networks), mix
        self.networks = nn.ModuleList(networks.values())
        put_in_evaluation(self)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        networks = dict(zip(self.names, self.networks, strict=True))
        return self.mix.of({name: networks[name](inputs) for name in self.mix.weights})

    def mixed(self, mix: Mix) -> MixedNetwork:
        """The same networks in another mix; networks that take no part are not run."""
        return MixedNetwork(dict(zip(self.names, self.networks, strict=True)), mix)
