"""ONNX models as graphs: load, record shapes, classify nodes, enumerate cuts, extract segments."""

from splitnet.graph.axes import AxisFit, axis_fits
from splitnet.graph.classify import NodeClass, classify, quantised_tensors
from splitnet.graph.cuts import cut_at, enumerate_cuts, is_below, nodes_between
from splitnet.graph.exits import exit_position, head_nodes
from splitnet.graph.extract import extract_segment
from splitnet.graph.initialisers import read_initialisers, with_initialisers
from splitnet.graph.load import linked_bytes, load_model, model_bytes
from splitnet.graph.observe import with_every_output
from splitnet.graph.pieces import Piece, cut_into_pieces, observable, piece_model, whole_piece, with_outputs
from splitnet.graph.shapes import fix_axes, record_shapes
from splitnet.graph.specs import input_specs, output_specs, sendable_specs, spec_of
from splitnet.graph.trunk import Cut
from splitnet.graph.trunk_flow import FlowTensor, TrunkFlow, cut_below, head_reads, trunk_flow
from splitnet.graph.weight_files import WEIGHTS_FOLDER, WeightsFile, WeightStore
from splitnet.graph.weights import external_folder, weight_bytes

__all__ = [
    "WEIGHTS_FOLDER",
    "AxisFit",
    "Cut",
    "FlowTensor",
    "NodeClass",
    "Piece",
    "TrunkFlow",
    "WeightStore",
    "WeightsFile",
    "axis_fits",
    "classify",
    "cut_at",
    "cut_below",
    "cut_into_pieces",
    "enumerate_cuts",
    "exit_position",
    "external_folder",
    "extract_segment",
    "fix_axes",
    "head_nodes",
    "head_reads",
    "input_specs",
    "is_below",
    "linked_bytes",
    "load_model",
    "model_bytes",
    "nodes_between",
    "observable",
    "output_specs",
    "piece_model",
    "quantised_tensors",
    "read_initialisers",
    "record_shapes",
    "sendable_specs",
    "spec_of",
    "trunk_flow",
    "weight_bytes",
    "whole_piece",
    "with_every_output",
    "with_initialisers",
    "with_outputs",
]
