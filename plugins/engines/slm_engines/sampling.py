"""From one row of logits to the next token: greedy, temperature, nucleus. Knows nothing of models or text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slm.plugin import Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Logits = NDArray[np.float32]


class Sampler:
    """Picks the tokens of one request.

    It has its own random generator, so a request with a seed gets the same draws alone and among others.
    """

    def __init__(self, request: Request) -> None:
        import numpy as np

        self.temperature = request.temperature
        self.top_p = request.top_p
        self.random = np.random.default_rng(request.seed)

    def pick(self, logits: Logits) -> int:
        """The next token's id from the logits (vocabulary,)."""
        import numpy as np

        if self.temperature <= 0:
            return int(logits.argmax())
        scaled = logits.astype(np.float64) / self.temperature
        weights = np.exp(scaled - scaled.max())
        if self.top_p < 1:
            weights = nucleus(weights, self.top_p)
        total = weights.cumsum()
        # Drawn in the order of the ids, not of the weights: rounding cannot reorder it between batch sizes.
        return min(int(np.searchsorted(total, self.random.random() * total[-1], side="right")), len(total) - 1)


def nucleus(weights: NDArray[Any], top_p: float) -> NDArray[Any]:
    """The weights with all set to 0 but the fewest largest whose share is at least `top_p` (Holtzman et al., 2019)."""
    import numpy as np

    share = weights.sum() * top_p
    largest = np.argpartition(weights, -min(512, len(weights)))[-min(512, len(weights)) :]
    if weights[largest].sum() < share:  # a flat distribution: sort it all
        largest = np.arange(len(weights))
    order = largest[np.argsort(-weights[largest], kind="stable")]
    count = int(np.searchsorted(weights[order].cumsum(), share)) + 1
    kept = np.zeros_like(weights)
    kept[order[:count]] = weights[order[:count]]
    return kept
