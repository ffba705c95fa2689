"""Runs model folders in Python's onnxruntime and compares with what `qvl infer` gives for the same inputs.

    compare.py QVL SCRATCH FOLDER...

Of every ONNX file in each FOLDER: onnx's checker and onnx.load with its data, then one run on random inputs in both, whose outputs must be equal within
float rounding. A line a file; exit code 1 when one fails.
"""

import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime

import safetensors_file

DTYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "BOOL": np.bool_, "U8": np.uint8}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
ELEMENTS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}
# Of the largest value: a few steps of the output's last bit.
BARS = {np.dtype(np.float32): 1e-5, np.dtype(np.float16): 2e-3}
BATCH, TEXT = 2, 9


def write_inputs(path, arrays):
    safetensors_file.write(path, {n: (NAMES[a.dtype], list(a.shape), np.ascontiguousarray(a).tobytes()) for n, a in arrays.items()})


def read_outputs(path):
    tensors = safetensors_file.read(path).items()
    return {name: np.frombuffer(raw, DTYPES[dtype]).reshape(shape) for name, (dtype, shape, raw) in tensors}


def image_tokens(folder):
    """Tokens of a picture of the folder's size."""
    config = json.loads((folder / "config.json").read_text())["vision_config"]
    side = config["patch_size"] * config["spatial_merge_size"]
    for artifact in json.loads((folder / "manifest.json").read_text())["artifacts"]:
        if "image_size" in artifact:
            size = artifact["image_size"]
            return size["height"] // side * (size["width"] // side)
    return 0


def random_inputs(folder, session):
    """Values for every input: a batch of two prompts with a picture each, the second padded on the left."""
    config = json.loads((folder / "config.json").read_text())
    vocabulary = config.get("text_config", config)["vocab_size"]
    picture = config["image_token_id"]
    generator = np.random.default_rng(7)
    with_picture = any(i.name == "image_embeds" for i in session.get_inputs())
    ids = generator.integers(0, vocabulary, (BATCH, TEXT))
    ids[ids == picture] = 0
    if with_picture:
        ids = np.concatenate([ids[:, :4], np.full((BATCH, image_tokens(folder)), picture), ids[:, 4:]], axis=1)
    mask = np.ones_like(ids)
    mask[1, :2] = 0
    inputs = {}
    for put in session.get_inputs():
        dtype = ELEMENTS[put.type]
        if put.name == "input_ids":
            inputs[put.name] = ids.astype(dtype)
        elif put.name == "attention_mask":
            inputs[put.name] = mask.astype(dtype)
        else:
            sizes = {"batch": BATCH, "seq": ids.shape[1]}
            shape = [size if isinstance(size, int) else sizes[size] for size in put.shape]
            inputs[put.name] = generator.standard_normal(shape).astype(dtype)
    return inputs


def difference(expected, found, mask):
    """The largest difference as a share of the largest value; of logits, where there is a token."""
    if expected.shape != found.shape or expected.dtype != found.dtype:
        raise ValueError(f"{found.dtype}{found.shape} instead of {expected.dtype}{expected.shape}")
    if mask is not None and expected.shape[:2] == mask.shape:
        expected, found = expected[mask != 0], found[mask != 0]
    expected, found = expected.astype(np.float64), found.astype(np.float64)
    if not np.isfinite(expected).all():
        raise ValueError("outputs that are not finite")
    return np.abs(expected - found).max() / np.abs(expected).max()


def check(qvl, scratch, path):
    """What there is to say of one file; raises where it does not hold."""
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path))  # with its data
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ValueError("onnx.load left some of its data behind")
    domains = sorted({node.domain or "ai.onnx" for node in model.graph.node})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = random_inputs(path.parent, session)
    write_inputs(scratch / "in.safetensors", inputs)
    subprocess.run(
        [qvl, "infer", path, "--inputs", scratch / "in.safetensors", "--outputs", scratch / "out.safetensors"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    expected = read_outputs(scratch / "out.safetensors")
    names = [put.name for put in session.get_outputs()]
    if sorted(names) != sorted(expected):
        raise ValueError(f"outputs {names} and {sorted(expected)}")
    worst = []
    for name, found in zip(names, session.run(names, inputs)):
        off, bar = difference(expected[name], found, inputs.get("attention_mask")), BARS[found.dtype]
        if not off <= bar:
            raise ValueError(f"{name} differs by {off:.1e} of its largest value, {bar:.0e} is allowed")
        worst.append(f"{name} {off:.0e} of {bar:.0e}")
    return f"{', '.join(worst)} ({' '.join(domains)})"


def main():
    qvl, scratch, *folders = sys.argv[1:]
    failed = checked = 0
    for folder in map(pathlib.Path, folders):
        files = sorted(folder.glob("*.onnx"))
        if len(files) < 3:
            print(f"FAILED {folder.name}: {len(files)} ONNX files; 3 are expected")
            failed += 1
        for path in files:
            checked += 1
            try:
                print(f"ok     {folder.name}/{path.name}: {check(qvl, pathlib.Path(scratch), path)}", flush=True)
            except Exception as error:  # whatever it is, the other files are looked at, too
                print(f"FAILED {folder.name}/{path.name}: {type(error).__name__}: {error}", flush=True)
                failed += 1
    print(f"{checked} files, {failed} failed; onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
