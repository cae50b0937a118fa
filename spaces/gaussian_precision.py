"""The precision of a normal distribution, β = 1/σ², learned by one unit from 1,000 draws.

One input, one unit that is never negative (softplus or relu), and the negative log-likelihood as a
loss of one's own: −log β + β (y − μ)², with μ = 0. What it should find is the maximum likelihood of
the sample, 1 / mean((y − μ)²). The baseline `notes` is the course notes' setting: softplus, SGD at
rate .01 with the gradient clipped to norm 1, 300 epochs in batches of 64.

Three spaces. `hpsearch run gaussian_precision` has σ = 1/√5, β near 5 (the notes reached 5.67 for
it). `gaussian_precision:wide` has σ = 1000: without clipping a step leaves the region in which the
logarithm is defined, and the trial ends as a failure; the search leaves the region where that
happens. `gaussian_precision:narrow` has σ = 0.0001 and a slow descent: none of its points gets to
β = 10⁸. In all three a relu that starts below zero fails at once, which half of them do.

Reference: β within 2% of the sample's maximum likelihood.
"""

import math

from hpsearch import Fit, Space, choice, loguniform, maybe
from hpsearch.keras import Sequential, layers, optimizers
from hpsearch.spaces.pieces.data import gaussian

MEAN = 0.0


def negative_log_likelihood(y, beta):
    """−log β + β (y − μ)² of each row; twice the negative log-likelihood, less a constant."""
    from keras import ops

    return -ops.log(beta) + beta * ops.square(y - MEAN)


def precision(model, data):
    """The mean precision that the model gives, and how far it is from the maximum likelihood."""
    x, y = data.train.x, data.train.y
    beta = model.predict(x, batch_size=len(x), verbose=0)
    likeliest = 1 / ((y - MEAN) ** 2).mean()
    return {
        "beta": float(beta.mean()),
        "likeliest_beta": float(likeliest),
        "relative_error": float(abs(beta.mean() / likeliest - 1)),
        "likelihood_loss": float(negative_log_likelihood(y, beta).numpy().mean()),
    }


def learning_the_precision(sigma):
    """The space for draws of deviation `sigma`."""
    return Space(
        data=gaussian(sigma),
        model=Sequential([layers.Dense(1, activation=choice(["softplus", "relu"]))]),
        optimizer=optimizers.SGD(loguniform(1e-3, 1), clipnorm=maybe(loguniform(1e-2, 10))),
        loss=negative_log_likelihood,
        fit=Fit(batch_size=choice([64, 256]), epochs=choice([30, 100, 300])),
        evaluate=precision,
        minimize="likelihood_loss",
        baselines={
            "notes": {
                "activation": "softplus",
                "learning_rate": 0.01,
                "optimizer.clipnorm": True,
                "clipnorm.value": 1.0,
                "batch_size": 64,
                "epochs": 300,
            }
        },
    )


space = learning_the_precision(1 / math.sqrt(5))
wide = learning_the_precision(1000.0)
"""σ = 1000: most points without clipping diverge, and the search leaves them."""
narrow = learning_the_precision(0.0001)
"""σ = 0.0001: β is to become 10⁸, a slow descent that no point finishes."""
