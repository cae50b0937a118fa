"""How the weights of a layer start."""

from hpsearch.keras import initializers
from hpsearch.spaces.pieces.subset import one_of


def initializer(among=("glorot", "he", "lecun"), name=None):
    """How the weights of a layer start: `kernel_initializer=…`. Also `orthogonal`.

    Their variance is 2 / (inputs + outputs) for glorot (tanh, sigmoid), 2 / inputs for he (relu and
    its like), 1 / inputs for lecun (selu).

    Raises:
        ValueError: for another name.

    >>> initializer(among=("he", "orthogonal"))
    choice(['he', 'orthogonal'])
    """
    options = {
        "glorot": initializers.GlorotUniform(),
        "he": initializers.HeNormal(),
        "lecun": initializers.LecunNormal(),
        "orthogonal": initializers.Orthogonal(),
    }
    return one_of(options, among, name)
