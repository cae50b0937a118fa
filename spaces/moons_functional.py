"""Two moons once more, as a functional model of two inputs; `python` on this file trains it by hand.

Each coordinate is an input with a branch of its own; the branches are joined, and a skip
connection may lead past the hidden layer. `hpsearch run moons_functional` trains it with `fit`.
`python spaces/moons_functional.py` searches the same space by ask and tell, with the training loop
that is written out below: what one does when `fit` is not enough.

Reference: none is printed; docs/ready-spaces.md has our own figures.
"""

from hpsearch import Fit, Space, Study, choice, integer, loguniform
from hpsearch.keras import Input, Model, layers, optimizers
from hpsearch.spaces.pieces.data import moons

EPOCHS, BATCH_SIZE = 20, 10

across, up = Input((1,), name="across"), Input((1,), name="up")
width = integer(4, 32, log=True, name="width")
join = {"concatenate": layers.Concatenate(), "add": layers.Add(), "multiply": layers.Multiply()}
joined = choice(join, name="join")(
    [layers.Dense(width, activation="tanh")(one) for one in (across, up)]
)
hidden = layers.Dense(
    integer(4, 64, log=True, name="units"), activation=choice(["relu", "tanh"], name="activation")
)(joined)
past = choice({"plain": hidden, "skip": layers.Concatenate()([joined, hidden])}, name="past")

space = Space(
    data=moons(rows=300, noise=0.15, inputs=2),
    model=Model({"across": across, "up": up}, layers.Dense(1, activation="sigmoid")(past)),
    optimizer=optimizers.Adam(loguniform(1e-3, 1e-1)),
    loss="binary_crossentropy",
    metrics=["accuracy"],
    fit=Fit(batch_size=BATCH_SIZE, epochs=EPOCHS),
    minimize="val_loss",
    name="moons_functional",
    baselines={
        "plain": {
            "past": "plain",
            "width": 16,
            "join": "concatenate",
            "units": 16,
            "activation": "relu",
            "learning_rate": 0.01,
        }
    },
)


def train(model, part, seed):
    """Train a compiled model on one part of the data, step by step; return the last epoch's loss."""
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((part.x, part.y[:, None]))
    batches = rows.shuffle(len(part.y), seed=seed).batch(BATCH_SIZE)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        return loss

    for _ in range(EPOCHS):
        losses = [step(x, y) for x, y in batches]
    return float(tf.reduce_mean(losses))


def search_by_hand(max_trials=10, seed=1, **options):
    """Ask for a point, build its model, train it with `train`, tell its validation loss."""
    with Study(space, max_trials=max_trials, seed=seed, **options) as study:
        while (trial := study.ask()) is not None:
            model, data = study.model(trial), study.data(trial)
            train(model, data.train, trial.seed)
            found = model.evaluate(
                data.validation.x, data.validation.y, verbose=0, return_dict=True
            )
            study.tell(trial, found["loss"])
            print(
                f"trial {trial.number}: " + ", ".join(f"val_{k} {v:.4f}" for k, v in found.items())
            )
        return study.best


if __name__ == "__main__":
    best = search_by_hand()
    print(f"best: val_loss {best.value:.4f} at {best.point}")
