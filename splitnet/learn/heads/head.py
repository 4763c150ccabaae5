"""A head: features of a tensor scaled to unit size, then a hidden layer and logits, both of them trainable."""

from dataclasses import dataclass, fields

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from splitnet.codec.nodes import Nodes
from splitnet.learn.heads.form import HeadForm
from splitnet.tensors import BATCH, Tensors

_LEAST_HIDDEN, _MOST_HIDDEN = 64, 256
#: What the names of parameters begin with in the layers' own model.
LAYERS_PREFIX = "head"
# A feature that varies less than this share of the usual one is not blown up to the same size.
_LEAST_SCALE = 0.1

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """What brings features to mean 0 and about variance 1; it does not learn. Compared by identity.

    Attributes:
        mean: float32 `[features]`.
        deviation: float32 `[features]`, above 0.
    """

    mean: _Floats
    deviation: _Floats

    @classmethod
    def of(cls, features: _Floats) -> "Scaling":
        """Measure it on float32 `[n, features]`."""
        deviation = features.std(axis=0)
        varying = deviation[deviation > 0]
        usual = float(np.median(varying)) if varying.size else 1.0
        return cls(features.mean(axis=0), np.maximum(deviation, np.float32(_LEAST_SCALE * usual)))

    def __call__(self, features: _Floats) -> _Floats:
        """Scale float32 `[n, features]`."""
        return (features - self.mean) / self.deviation


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """The trainable layers. Compared by identity.

    Attributes:
        hidden_weight: float32 `[features, hidden]`.
        hidden_bias: float32 `[hidden]`.
        scores_weight: float32 `[hidden, classes]`.
        scores_bias: float32 `[classes]`.
    """

    hidden_weight: _Floats
    hidden_bias: _Floats
    scores_weight: _Floats
    scores_bias: _Floats

    @classmethod
    def seeded(cls, features: int, classes: int, *, seed: int) -> "Layers":
        """Make layers that have learned nothing: He et al., 2015, for the first, and small scores."""
        generator = np.random.default_rng(seed)
        hidden = min(max(_LEAST_HIDDEN, classes), _MOST_HIDDEN)

        def normal(shape: tuple[int, int], deviation: float) -> _Floats:
            return generator.standard_normal(shape, np.float32) * np.float32(deviation)

        return cls(
            normal((features, hidden), (2 / features) ** 0.5),
            np.zeros(hidden, np.float32),
            normal((hidden, classes), 0.1 * hidden**-0.5),
            np.zeros(classes, np.float32),
        )

    def __call__(self, features: _Floats) -> _Floats:
        """Return the logits `[n, classes]` of scaled features `[n, features]`."""
        hidden = np.maximum(features @ self.hidden_weight + self.hidden_bias, 0)
        logits: _Floats = hidden @ self.scores_weight + self.scores_bias
        return logits

    def append(self, nodes: Nodes, source: ir.Value) -> ir.Value:
        """Add their nodes behind scaled features, and return the logits."""
        parameters = [_parameter(f"{nodes.prefix}.{name}", array) for name, array in self.tensors.items()]
        nodes.constants.extend(parameters)
        hidden = nodes.add("Relu", [nodes.add("Gemm", [source, *parameters[:2]])])
        return nodes.add("Gemm", [hidden, *parameters[2:]])

    @property
    def tensors(self) -> Tensors:
        """The parameters by name: `hidden_weight`, `hidden_bias`, `scores_weight`, `scores_bias`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def model(self) -> ir.Model:
        """Return a model of these layers alone, from `features` to `logits`, to be trained."""
        taken = ir.Value(
            name="features",
            type=ir.TensorType(ir.DataType.FLOAT),
            shape=ir.Shape([BATCH, self.hidden_weight.shape[0]]),
        )
        nodes = Nodes(LAYERS_PREFIX)
        made = self.append(nodes, taken)
        made.name = "logits"
        for node in nodes.made:
            width = self.scores_bias.size if node.outputs[0] is made else self.hidden_bias.size
            node.outputs[0].dtype, node.outputs[0].shape = ir.DataType.FLOAT, ir.Shape([BATCH, width])
        graph = ir.Graph(
            [taken],
            [made],
            nodes=nodes.made,
            initializers=nodes.constants,
            opset_imports={"": 13},
            name=LAYERS_PREFIX,
        )
        return ir.Model(graph, ir_version=8)


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head that has learned. Compared by identity.

    Attributes:
        form: what it reads, and the features it makes of that.
        scaling: of the features.
        layers: the rest.
    """

    form: HeadForm
    scaling: Scaling
    layers: Layers

    def append(self, nodes: Nodes, source: ir.Value, *, opset: int) -> ir.Value:
        """Add its nodes behind `source`, the tensor that it reads, and return its logits `[batch, classes]`."""
        features = self.form.append(nodes, source, opset=opset)
        count = self.form.features
        # As a normalisation layer, which stays as it is in whatever trains the head later.
        scaled = nodes.add(
            "BatchNormalization",
            [
                features,
                nodes.constant((1 / self.scaling.deviation).astype(np.float32)),
                nodes.constant(np.zeros(count, np.float32)),
                nodes.constant(self.scaling.mean),
                nodes.constant(np.ones(count, np.float32)),
            ],
            epsilon=0.0,
        )
        return self.layers.append(nodes, scaled)


def _parameter(name: str, array: _Floats) -> ir.Value:
    tensor = ir.tensor(array, name=name)
    return ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape))
