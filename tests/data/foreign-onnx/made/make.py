# Makes the small models of this folder; see ../README.md.
import numpy as np
import onnx
from onnx import TensorProto as T, helper as h

OPSET = [h.make_opsetid("", 17)]


def save(name, nodes, inputs, outputs, initializers=()):
    graph = h.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = h.make_model(graph, opset_imports=OPSET, ir_version=8, producer_name="qvl-tests")
    onnx.save(model, name + ".onnx")


# One Identity per element type of core/dtype.h.
TYPES = {"F64": T.DOUBLE, "F32": T.FLOAT, "F16": T.FLOAT16, "BF16": T.BFLOAT16, "I64": T.INT64, "I32": T.INT32,
         "I16": T.INT16, "I8": T.INT8, "U64": T.UINT64, "U32": T.UINT32, "U16": T.UINT16, "U8": T.UINT8,
         "BOOL": T.BOOL}
save("every-type",
     [h.make_node("Identity", ["in_" + n], ["out_" + n]) for n in TYPES],
     [h.make_tensor_value_info("in_" + n, t, [2, "n"]) for n, t in TYPES.items()],
     [h.make_tensor_value_info("out_" + n, t, [2, "n"]) for n, t in TYPES.items()])

# A scalar and a dimension without a name.
save("scalar",
     [h.make_node("Mul", ["x", "scale"], ["y"])],
     [h.make_tensor_value_info("x", T.FLOAT, [None]), h.make_tensor_value_info("scale", T.FLOAT, [])],
     [h.make_tensor_value_info("y", T.FLOAT, [None])])

# y = x + w, w of 4 floats in external.data, which is not there.
w = h.make_tensor("w", T.FLOAT, [4], np.zeros(4, np.float32).tobytes(), raw=True)
w.ClearField("raw_data")
w.data_location = T.EXTERNAL
for key, value in (("location", "external.data"), ("offset", "0"), ("length", "16")):
    entry = w.external_data.add()
    entry.key, entry.value = key, value
save("external", [h.make_node("Add", ["x", "w"], ["y"])],
     [h.make_tensor_value_info("x", T.FLOAT, [4])], [h.make_tensor_value_info("y", T.FLOAT, [4])], [w])

# What is not a tensor of numbers.
sequence = h.make_tensor_sequence_value_info("s", T.FLOAT, None)
save("sequence-input", [h.make_node("SequenceLength", ["s"], ["n"])], [sequence],
     [h.make_tensor_value_info("n", T.INT64, [])])
save("sequence-output", [h.make_node("SequenceConstruct", ["x"], ["s"])],
     [h.make_tensor_value_info("x", T.FLOAT, [1])], [sequence])
save("string-input", [h.make_node("Identity", ["x"], ["y"])],
     [h.make_tensor_value_info("x", T.STRING, [1])], [h.make_tensor_value_info("y", T.STRING, [1])])
optional = h.make_value_info("o", h.make_optional_type_proto(h.make_tensor_type_proto(T.FLOAT, [1])))
save("optional-input", [h.make_node("OptionalHasElement", ["o"], ["b"])], [optional],
     [h.make_tensor_value_info("b", T.BOOL, [])])

# An operator that does not exist.
save("unknown-operator", [h.make_node("NoSuchOperator", ["x"], ["y"])],
     [h.make_tensor_value_info("x", T.FLOAT, [1])], [h.make_tensor_value_info("y", T.FLOAT, [1])])

# `count` turns of a loop that adds 1: as long as one likes.
body = h.make_graph(
    [h.make_node("Identity", ["go"], ["go_on"]), h.make_node("Add", ["a", "one"], ["b"])], "body",
    [h.make_tensor_value_info("i", T.INT64, []), h.make_tensor_value_info("go", T.BOOL, []),
     h.make_tensor_value_info("a", T.FLOAT, [])],
    [h.make_tensor_value_info("go_on", T.BOOL, []), h.make_tensor_value_info("b", T.FLOAT, [])],
    [h.make_tensor("one", T.FLOAT, [], [1.0])])
save("loop", [h.make_node("Loop", ["count", "", "start"], ["end"], body=body)],
     [h.make_tensor_value_info("count", T.INT64, []), h.make_tensor_value_info("start", T.FLOAT, [])],
     [h.make_tensor_value_info("end", T.FLOAT, [])])

# A tensor of the shape asked for.
save("filled", [h.make_node("ConstantOfShape", ["shape"], ["y"])],
     [h.make_tensor_value_info("shape", T.INT64, ["rank"])],
     [h.make_tensor_value_info("y", T.FLOAT, None)])

# Outputs that no kernel writes: an input handed through and a constant.
save("handed-through", [h.make_node("Neg", ["x"], ["y"])],
     [h.make_tensor_value_info("x", T.FLOAT, [2])],
     [h.make_tensor_value_info("x", T.FLOAT, [2]), h.make_tensor_value_info("y", T.FLOAT, [2]),
      h.make_tensor_value_info("c", T.FLOAT, [2])],
     [h.make_tensor("c", T.FLOAT, [2], [7.0, 8.0])])

# A cache that grows in place, as attention keys do: present = past with `value` written at `position`.
save("cache", [h.make_node("ScatterElements", ["past", "position", "value"], ["present"])],
     [h.make_tensor_value_info("past", T.FLOAT16, ["length"]), h.make_tensor_value_info("position", T.INT64, [1]),
      h.make_tensor_value_info("value", T.FLOAT16, [1])],
     [h.make_tensor_value_info("present", T.FLOAT16, ["length"])])
