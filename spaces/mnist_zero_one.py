"""MNIST's zeros against its ones: one logit, binary cross-entropy, SGD.

The baseline `notes` is the network of the course notes: 784–500–256–1, relu, SGD without momentum
in batches of 64 at rate .064 (the notes sum the loss over a batch, at rate .001), five epochs.
Nearly every point gets all validation images right, so the loss is searched for, not the accuracy.

Reference: 2,113 of the 2,115 test images right, an accuracy of 0.99905.
"""

from hpsearch import Fit, Space, choice, integer, loguniform, uniform
from hpsearch.keras import Sequential, layers, losses, metrics, optimizers
from hpsearch.spaces.pieces.data import mnist

space = Space(
    data=mnist(held_out=0.1, flatten=True, only=(0, 1)),
    model=Sequential(
        [
            layers.Dense(integer(64, 1024, log=True), activation="relu"),
            layers.Dense(integer(32, 512, log=True), activation="relu"),
            layers.Dense(1),
        ]
    ),
    optimizer=optimizers.SGD(loguniform(1e-2, 1), momentum=uniform(0, 0.95)),
    loss=losses.BinaryCrossentropy(from_logits=True),
    metrics=[metrics.BinaryAccuracy(name="accuracy", threshold=0.0)],  # logit 0 is probability .5
    fit=Fit(batch_size=choice([32, 64, 128]), epochs=5),
    minimize="val_loss",
    baselines={
        "notes": {
            "model.dense.units": 500,
            "model.dense_1.units": 256,
            "optimizer.learning_rate": 0.064,
            "optimizer.momentum": 0.0,
            "fit.batch_size": 64,
        }
    },
)
