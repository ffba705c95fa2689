# Makes newer-fields.onnx; see README.md.
import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

OPSET = [h.make_opsetid("", 21), h.make_opsetid("local", 1)]


def times(factor, overload):
    constant = h.make_node("Constant", [], ["k"], value=nh.from_array(np.float32(factor)))
    return h.make_function("local", "Times", ["a"], ["b"], [constant, h.make_node("Mul", ["a", "k"], ["b"])],
                           OPSET[:1], overload=overload)


call = h.make_node("Times", ["x"], ["t"], domain="local", name="call", overload="thirty")
negate = h.make_node("Neg", ["t"], ["y"], name="negate")
h.set_metadata_props(negate, {"note": "metadata of a node"})
graph = h.make_graph([call, negate], "newer", [h.make_tensor_value_info("x", T.FLOAT, [2])],
                     [h.make_tensor_value_info("y", T.FLOAT, [2])])
model = h.make_model(graph, opset_imports=OPSET, ir_version=10, producer_name="qvl-tests",
                     functions=[times(3, "three"), times(30, "thirty")])
onnx.checker.check_model(model)
onnx.save(model, "newer-fields.onnx")
