"""The body of all-MiniLM-L6-v2 as an ONNX graph, from its safetensors and without torch, for `throughput.py` and the feature `onnx`.

    pip install onnx numpy safetensors
    python embed/benches/minilm_onnx.py MODEL_FOLDER minilm.onnx

The operations and their order are those of torch's exporter, so that onnxruntime recognises attention, GELU and skipped layer
normalisations and fuses them.
"""

import json
import math
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

folder, out = sys.argv[1:]
config = json.load(open(f"{folder}/config.json"))
weights = load_file(f"{folder}/model.safetensors")
HIDDEN, HEADS = config["hidden_size"], config["num_attention_heads"]
nodes, constants = [], {}


def constant(name, value):
    if name not in constants:
        constants[name] = numpy_helper.from_array(np.asarray(value), name)
    return name


def add(op, *inputs, **attributes):
    """A node; returns the name of its result."""
    result = f"{op}_{len(nodes)}"
    nodes.append(helper.make_node(op, list(inputs), [result], name=result, **attributes))
    return result


def linear(x, name):
    product = add("MatMul", x, constant(f"{name}.weight", np.ascontiguousarray(weights[f"{name}.weight"].T)))
    return add("Add", constant(f"{name}.bias", weights[f"{name}.bias"]), product)


def normalise(x, name):
    scale, bias = (constant(f"{name}.LayerNorm.{part}", weights[f"{name}.LayerNorm.{part}"]) for part in ("weight", "bias"))
    return add("LayerNormalization", x, scale, bias, axis=-1, epsilon=config["layer_norm_eps"])


def split(x, order):
    """`[batch, length, hidden]` by heads."""
    return add("Transpose", add("Reshape", x, constant("by_head", np.array([0, 0, HEADS, HIDDEN // HEADS]))), perm=order)


def gelu(x):
    erf = add("Erf", add("Div", x, constant("sqrt2", np.float32(math.sqrt(2)))))
    return add("Mul", add("Mul", x, add("Add", erf, constant("one", np.float32(1)))), constant("half", np.float32(0.5)))


def table(name):
    return constant(name, weights[f"embeddings.{name}_embeddings.weight"])


mask = add("Unsqueeze", add("Unsqueeze", "attention_mask", constant("first", np.array([1]))), constant("second", np.array([2])))
mask = add("Cast", mask, to=TensorProto.FLOAT)
mask = add("Mul", add("Sub", constant("one", np.float32(1)), mask), constant("least", np.float32(np.finfo(np.float32).min)))
length = add("Gather", add("Shape", "input_ids"), constant("length", np.array(1)), axis=0)
positions = add("Range", constant("zero", np.array(0)), length, constant("step", np.array(1)))
x = add("Add", add("Gather", table("word"), "input_ids"), add("Gather", table("token_type"), "token_type_ids"))
x = normalise(add("Add", x, add("Gather", table("position"), positions)), "embeddings")
for layer in range(config["num_hidden_layers"]):
    name = f"encoder.layer.{layer}"
    query = split(linear(x, f"{name}.attention.self.query"), [0, 2, 1, 3])
    key = split(linear(x, f"{name}.attention.self.key"), [0, 2, 3, 1])
    value = split(linear(x, f"{name}.attention.self.value"), [0, 2, 1, 3])
    scores = add("Div", add("MatMul", query, key), constant("scale", np.float32(math.sqrt(HIDDEN // HEADS))))
    mixed = add("MatMul", add("Softmax", add("Add", scores, mask), axis=-1), value)
    mixed = add("Reshape", add("Transpose", mixed, perm=[0, 2, 1, 3]), constant("joined", np.array([0, 0, HIDDEN])))
    x = normalise(add("Add", linear(mixed, f"{name}.attention.output.dense"), x), f"{name}.attention.output")
    inner = gelu(linear(x, f"{name}.intermediate.dense"))
    x = normalise(add("Add", linear(inner, f"{name}.output.dense"), x), f"{name}.output")
nodes[-1].output[0] = "last_hidden_state"

inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in ("input_ids", "attention_mask", "token_type_ids")]
states = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "length", HIDDEN])
graph = helper.make_graph(nodes, "minilm", inputs, [states], list(constants.values()))
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, out)
