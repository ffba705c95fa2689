"""Looks at what Intel Neural Compressor makes of an ONNX file of qvl.

    check_compressor.py ranking MODEL.onnx RANKING.json   the last line of tools/compare_inc: is it a ranking of all units?
    check_compressor.py rtn MODEL.onnx                    its weight-only int4, in the release that runs this

A line; an exception and exit code 1 where it does not hold.
"""

import contextlib
import json
import math
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

SEED, SEQUENCE = 5, 12


def units_of(model):
    """Names of the MatMuls with a constant weight: all that a graph of qvl has."""
    constants = {initializer.name for initializer in model.graph.initializer}
    return {node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants}


def require(holds, text):
    if not holds:
        raise ValueError(text)


def check_ranking(path, ranking_file):
    result = json.loads(pathlib.Path(ranking_file).read_text())
    units = units_of(onnx.load(path, load_external_data=False))
    ranking = result["first_ranking"]
    require(result["error"] is None, f"it says {result['error']}")
    require(result["trials"] == 3, f"{result['trials']} trials")
    # It first lets ONNX Runtime make a Gemm of a MatMul with a bias, and then takes that apart, under other names.
    products = {name for name in ranking if not (name.startswith("gemm") and name.endswith("_Add"))}
    unknown = {name for name in products - units if not name.startswith("gemm")}
    require(len(products) == len(units) and not unknown, f"it ranks {len(products)} of {len(units)} units: {products}")
    require(all(math.isfinite(error) and error > 0 for error in ranking.values()), f"errors {sorted(ranking.values())}")
    require(len(set(ranking.values())) > len(units) // 2, "most units have one error")
    # 1 is what nothing quantized gives.
    unquantized, *trials = result["closeness"]
    require(unquantized == 1.0 and all(0.9 < trial < 1.0 - 1e-9 for trial in trials), f"closeness {result['closeness']}")
    first = min(ranking, key=ranking.get)
    return (
        f"mse_v2 ranks {len(units)} units in {result['seconds']:.0f} s, to be spared first {first} ({ranking[first]:.1e}); "
        f"closeness {', '.join(f'{trial:.5f}' for trial in trials)}"
    )


def random_inputs(model):
    generator = np.random.default_rng(SEED)
    inputs = {}
    for value in model.graph.input:
        sizes = {"batch": 1, "seq": SEQUENCE}
        shape = [dim.dim_value or sizes[dim.dim_param] for dim in value.type.tensor_type.shape.dim]
        if value.name == "attention_mask":
            inputs[value.name] = np.ones(shape, np.int64)
        elif value.name == "input_ids":
            inputs[value.name] = generator.integers(0, 100, shape)
        else:
            inputs[value.name] = generator.standard_normal(shape).astype(np.float32)
    return inputs


def run(model, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0].astype(np.float64)


def check_rtn(path):
    from neural_compressor import PostTrainingQuantConfig, __version__, quantization

    model = onnx.load(path)
    units = units_of(model)
    inputs = random_inputs(model)
    expected = run(model, inputs)
    # Its zero points are wrong where a row has an odd number of blocks, as the patch embedding's have; symmetric has none.
    weight = {"bits": 4, "group_size": 32, "scheme": "sym", "algorithm": "RTN"}
    config = PostTrainingQuantConfig(approach="weight_only", op_type_dict={".*": {"weight": weight}})
    with contextlib.redirect_stdout(sys.stderr):  # its progress
        quantized = quantization.fit(model, config).model
    products = [node for node in quantized.graph.node if node.op_type == "MatMulNBits"]
    require(len(products) == len(units), f"{len(products)} MatMulNBits; the graph has {len(units)} units")
    bits = {attribute.i for node in products for attribute in node.attribute if attribute.name == "bits"}
    require(bits == {4}, f"weights of {bits} bits")
    found = run(quantized, inputs)
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    require(1e-4 < error < 0.3, f"its outputs are {error:.1e} from the unquantized ones")
    return f"RTN int4 of {__version__}: {len(products)} units, outputs {error:.1e} from the unquantized ones"


def main():
    command, path, *rest = sys.argv[1:]
    line = check_ranking(path, *rest) if command == "ranking" else check_rtn(path)
    print(f"ok     {pathlib.Path(path).name}: {line}", flush=True)


if __name__ == "__main__":
    main()
