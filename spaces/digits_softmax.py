"""Handwritten digits by softmax regression: no hidden layer, so all there is to search is training.

The baseline `notes` is the course notes' first exercise on scikit-learn's digits: SGD one sample
at a time at rate .01, for one epoch; weights and biases start uniform in [-.1, .1]. Standardised
pixels, 15% of the rows for the test, drawn with seed 37.

Reference: none is printed. `python scripts/ready_spaces.py --only digits_softmax` reports the test
accuracy and the mean negative log-likelihood on training and test rows.
"""

from hpsearch import Fit, Space, choice, given, integer, loguniform, maybe, uniform
from hpsearch.keras import Sequential, initializers, layers, optimizers, regularizers
from hpsearch.spaces.pieces.data import digits

start = initializers.RandomUniform(-0.1, 0.1)

space = Space(
    data=digits(),
    model=Sequential(
        [
            layers.Dense(
                given.classes,
                activation="softmax",
                kernel_initializer=start,
                bias_initializer=start,
                kernel_regularizer=maybe(regularizers.L2(loguniform(1e-5, 1e-1))),
            )
        ]
    ),
    optimizer=optimizers.SGD(loguniform(1e-3, 1), momentum=uniform(0, 0.95)),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
    fit=Fit(batch_size=choice([1, 16, 64]), epochs=integer(1, 15)),
    minimize="val_sparse_categorical_crossentropy",  # val_loss has the penalty in it
    baselines={
        "notes": {
            "model.dense.kernel_regularizer": False,
            "optimizer.learning_rate": 0.01,
            "optimizer.momentum": 0.0,
            "fit.batch_size": 1,
            "fit.epochs": 1,
        }
    },
)
