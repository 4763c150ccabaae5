"""ONNX models as graphs: load, record shapes, classify nodes, enumerate cuts, extract segments."""

from splitnet.graph.axes import AxisFit, axis_fits
from splitnet.graph.classify import NodeClass, classify, quantised_tensors
from splitnet.graph.cuts import cut_at, enumerate_cuts, is_below, nodes_between
from splitnet.graph.exits import exit_position, head_nodes
from splitnet.graph.extract import extract_segment
from splitnet.graph.load import load_model, model_bytes
from splitnet.graph.shapes import fix_axes, record_shapes, with_every_output
from splitnet.graph.specs import input_specs, output_specs, sendable_specs, spec_of
from splitnet.graph.trunk import Cut
from splitnet.graph.trunk_flow import FlowTensor, TrunkFlow, cut_below, head_reads, trunk_flow

__all__ = [
    "AxisFit",
    "Cut",
    "FlowTensor",
    "NodeClass",
    "TrunkFlow",
    "axis_fits",
    "classify",
    "cut_at",
    "cut_below",
    "enumerate_cuts",
    "exit_position",
    "extract_segment",
    "fix_axes",
    "head_nodes",
    "head_reads",
    "input_specs",
    "is_below",
    "load_model",
    "model_bytes",
    "nodes_between",
    "output_specs",
    "quantised_tensors",
    "record_shapes",
    "sendable_specs",
    "spec_of",
    "trunk_flow",
    "with_every_output",
]
