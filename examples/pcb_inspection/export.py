"""Writing the trained network as one ONNX file that says where its exits are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx_ir
import onnxruntime
import torch
from network import TILE_PIXELS, InspectionNetwork
from tiles import TileSet
from torch import Tensor, nn

from splitnet.exits.calibrate import ExitThreshold

OUTPUTS = ("exit1_logits", "exit1_confidence", "exit2_logits", "exit2_confidence", "logits", "confidence")
OPSET = 20
TOLERANCE = 1e-4


class PackedInspection(nn.Module):
    """The network behind its packed input, with a confidence beside each exit's logits."""

    def __init__(self, network: InspectionNetwork) -> None:
        super().__init__()
        self.network = network
        places = torch.arange(7, -1, -1)
        self.byte_bits: Tensor
        self.register_buffer("byte_bits", (torch.arange(256)[:, None] >> places & 1).float())

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        """Maps uint8 [batch, 2, 64, 8] to logits float32 [batch, 7] and confidence [batch] of each exit."""
        # ONNX has no operator that unpacks bits; one Gather from a table of 256 bytes' bits does it.
        bits = nn.functional.embedding(tiles.int(), self.byte_bits).flatten(-2)
        outputs: list[Tensor] = []
        for logits in self.network(bits):
            outputs += [logits, logits.softmax(-1).amax(-1)]
        return tuple(outputs)


def export(network: InspectionNetwork, thresholds: tuple[ExitThreshold, ExitThreshold], path: Path) -> None:
    """Writes `path`: input `tiles`, six outputs, `splitnet.exits` in the metadata."""
    program = torch.onnx.export(
        PackedInspection(network).eval(),
        (torch.zeros(3, 2, TILE_PIXELS, TILE_PIXELS // 8, dtype=torch.uint8),),
        input_names=["tiles"],
        output_names=list(OUTPUTS),
        opset_version=OPSET,
        dynamic_shapes={"tiles": {0: torch.export.Dim("batch")}},
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = program.model
    model.graph.name = "pcb_inspection"
    model.metadata_props["splitnet.exits"] = json.dumps(
        [_exit_entry(f"exit{depth}", one) for depth, one in enumerate(thresholds, start=1)]
    )
    _name_boundaries(model.graph)
    _forget_source(model.graph)
    onnx_ir.save(model, path)


def largest_difference(network: InspectionNetwork, tiles: TileSet, path: Path) -> float:
    """The largest absolute difference between torch and onnxruntime, over batches of 1 and 5."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    whole = PackedInspection(network).eval()
    largest = 0.0
    for batch in (1, 5):
        packed = tiles.packed[:batch]
        with torch.inference_mode():
            expected = whole(torch.from_numpy(packed))
        found = session.run(list(OUTPUTS), {"tiles": packed})
        for one, other in zip(expected, found, strict=True):
            largest = max(largest, float(np.abs(one.numpy() - other).max()))
    return largest


def _exit_entry(name: str, chosen: ExitThreshold) -> dict[str, object]:
    return {
        "outputs": {"logits": f"{name}_logits", "confidence": f"{name}_confidence"},
        "confidence": f"{name}_confidence",
        "threshold": chosen.threshold,
        "calibration": {
            "epsilon": chosen.epsilon,
            "delta": chosen.delta,
            "n": chosen.n,
            "method": chosen.method,
            "bound": chosen.bound,
            "share": chosen.share,
        },
    }


def _name_boundaries(graph: onnx_ir.Graph) -> None:
    """Calls the tensors at the ends of stages 1 and 2 boundary1 and boundary2, for plans and reports.

    Each head begins with the only pooling of its stage, so their inputs are the stages' ends.
    """
    pooled = [node.inputs[0] for node in graph if node.op_type == "AveragePool"]
    for depth, tensor in enumerate(pooled[:2], start=1):
        if tensor is not None:
            tensor.name = f"boundary{depth}"


def _forget_source(graph: onnx_ir.Graph) -> None:
    """Drops the exporter's notes: paths of the machine that trained, which make two equal models differ."""
    for node in graph:
        node.metadata_props.clear()
        node.doc_string = None
        for tensor in node.outputs:
            tensor.metadata_props.clear()
    for tensor in (*graph.inputs, *graph.initializers.values()):
        tensor.metadata_props.clear()
    graph.metadata_props.clear()
