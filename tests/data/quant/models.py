"""Writes the models of this folder: the operators that the roundings of qvl are compared with."""

import onnx
from onnx import TensorProto as T
from onnx import helper


def value(name, dtype, shape):
    return helper.make_tensor_value_info(name, dtype, shape)


def save(name, nodes, inputs, outputs, contrib=False):
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid("com.microsoft", 1)] if contrib else [])
    graph = helper.make_graph(nodes, name, inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), name + ".onnx")


def blocks(bits, block, depth, columns):
    count = -(-depth // block)
    save(
        f"matmul-int{bits}-{block}",
        [
            helper.make_node(
                "MatMulNBits",
                ["a", "codes", "scales"],
                ["y"],
                domain="com.microsoft",
                K=depth,
                N=columns,
                bits=bits,
                block_size=block,
            )
        ],
        [
            value("a", T.FLOAT, ["m", depth]),
            value("codes", T.UINT8, [columns, count, block * bits // 8]),
            value("scales", T.FLOAT, [columns, count]),
        ],
        [value("y", T.FLOAT, ["m", columns])],
        contrib=True,
    )


if __name__ == "__main__":
    save(
        "dynamic",
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero_point"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero_point"], ["y"]),
        ],
        [value("x", T.FLOAT, ["n"])],
        [value("scale", T.FLOAT, []), value("zero_point", T.UINT8, []), value("y", T.FLOAT, ["n"])],
    )
    save(
        "static",
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero_point"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero_point"], ["y"]),
        ],
        [value("x", T.FLOAT, ["n"]), value("scale", T.FLOAT, []), value("zero_point", T.UINT8, [])],
        [value("y", T.FLOAT, ["n"])],
    )
    # The int8 of an output channel, with the weight either way around.
    for name, axis in (("channels-last", 1), ("channels-first", 0)):
        save(
            name,
            [helper.make_node("DequantizeLinear", ["q", "scale"], ["y"], axis=axis)],
            [value("q", T.INT8, ["m", "n"]), value("scale", T.FLOAT, ["c"])],
            [value("y", T.FLOAT, ["m", "n"])],
        )
    for bits in (4, 8):
        for block, depth in ((16, 70), (32, 96), (64, 61)):
            blocks(bits, block, depth, 6)
