"""How long Intel Neural Compressor takes to rank the ops of an ONNX file by the damage of their quantization.

Runs its tuning strategy mse_v2 on MODEL.onnx and prints a table and, in the last line, one JSON object.
"""

import argparse
import functools
import json
import logging
import os
import pathlib
import resource
import sys
import time
import traceback

import numpy as np
import onnx
import onnxruntime

ELEMENT_TYPES = {
    onnx.TensorProto.FLOAT: np.float32,
    onnx.TensorProto.FLOAT16: np.float16,
    onnx.TensorProto.INT64: np.int64,
    onnx.TensorProto.INT32: np.int32,
    onnx.TensorProto.BOOL: np.bool_,
}


def random_input(value, sizes, largest_id, generator):
    """Ordinary numbers for floats, ids below `largest_id` for integers, ones for what is called a mask."""
    shape = []
    for dim in value.type.tensor_type.shape.dim:
        if dim.HasField("dim_value"):
            shape.append(dim.dim_value)
        else:
            shape.append(sizes.get(dim.dim_param, 1))
    dtype = ELEMENT_TYPES[value.type.tensor_type.elem_type]
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(shape).astype(dtype)
    if "mask" in value.name or dtype == np.bool_:
        return np.ones(shape, dtype)
    return generator.integers(0, largest_id, shape).astype(dtype)


class Samples:
    """What Neural Compressor asks of a data loader: batches of (inputs by name, label)."""

    batch_size = 1

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return ((inputs, 0) for inputs in self.batches)

    def __len__(self):
        return len(self.batches)


def load_samples(args, model):
    weights = {initializer.name for initializer in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if args.folder:
        files = sorted(pathlib.Path(args.folder).glob("*.npz"))[: args.samples]
        if not files:
            sys.exit(f"{args.folder} holds no .npz file; one for each sample is expected")
        return Samples([{value.name: np.load(file)[value.name] for value in inputs} for file in files])
    sizes = {name: int(size) for name, size in (text.split("=") for text in args.dim)}
    generator = np.random.default_rng(args.seed)
    return Samples(
        [
            {value.name: random_input(value, sizes, args.largest_id, generator) for value in inputs}
            for _ in range(args.samples)
        ]
    )


def run(model, samples):
    """The first output of each sample."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return [session.run(None, inputs)[0] for inputs, _ in samples]


class FirstError(logging.Handler):
    """Neural Compressor logs exceptions that end its work, and returns."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.text = None

    def emit(self, record):
        if self.text is None and "exception" in record.getMessage():
            self.text = record.getMessage()


class Stopwatch:
    """Replaces methods of Neural Compressor's adaptor by ones that count and measure."""

    def __init__(self):
        self.calls = {}
        self.seconds = {}
        self.cpu_seconds = {}
        self.rankings = []  # of the ops by the error of the model without their quantization, one a trial
        self.closeness = []  # to the unquantized model, of it and of each trial

    def watch(self, owner, name, after=None):
        method = getattr(owner, name)

        @functools.wraps(method)
        def timed(*args, **kwargs):
            started, cpu_started = time.perf_counter(), time.process_time()
            result = method(*args, **kwargs)
            self.calls[name] = self.calls.get(name, 0) + 1
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
            self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + time.process_time() - cpu_started
            if after:
                after(result)
            return result

        setattr(owner, name, timed)


def without_weight(model):
    """Names of the nodes that are no MatMul, Gemm or Conv with a constant weight."""
    constants = {initializer.name for initializer in model.graph.initializer}
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    return [
        node.name
        for node in model.graph.node
        if node.op_type not in ("MatMul", "Gemm", "Conv") or not constants.intersection(node.input)
    ]


def tune(args, model, samples, stopwatch, first_error):
    """Runs mse_v2. No quantized model is as good as asked for, so that it goes on to the last trial."""
    from neural_compressor import PostTrainingQuantConfig, quantization
    from neural_compressor.adaptor.onnxrt import ONNXRUNTIMEAdaptor
    from neural_compressor.config import AccuracyCriterion, TuningCriterion

    logging.getLogger("neural_compressor").addHandler(first_error)  # its import removes others
    stopwatch.watch(ONNXRUNTIMEAdaptor, "quantize")
    stopwatch.watch(ONNXRUNTIMEAdaptor, "_inference_model_on_batches")
    stopwatch.watch(
        ONNXRUNTIMEAdaptor,
        "_get_mse_order",
        lambda errors: stopwatch.rankings.append({op[0]: float(error) for op, error in errors.items()}),
    )
    reference = run(model.SerializeToString(), samples)
    norm = sum(float(np.square(output, dtype=np.float64).sum()) for output in reference)

    def closeness(quantized):
        outputs = run(quantized.SerializeToString(), samples)
        error = sum(float(np.square(a - b, dtype=np.float64).sum()) for a, b in zip(outputs, reference))
        stopwatch.closeness.append(1.0 - error / norm)
        # mse_v2 itself goes on beyond max_trials. The first is the unquantized model.
        if len(stopwatch.closeness) > args.trials:
            raise KeyboardInterrupt
        return stopwatch.closeness[-1]

    unquantized = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}
    config = PostTrainingQuantConfig(
        approach=args.approach,
        quant_level=1,  # else other strategies are tried before the one that is named
        op_name_dict={name: unquantized for name in without_weight(model)} if args.units else None,
        calibration_sampling_size=[len(samples)],
        tuning_criterion=TuningCriterion(
            strategy="mse_v2", max_trials=args.trials + 1, strategy_kwargs={"confidence_batches": len(samples)}
        ),
        accuracy_criterion=AccuracyCriterion(criterion="absolute", tolerable_loss=0.0),
    )
    quantization.fit(model, config, calib_dataloader=samples, eval_func=closeness)


def result_of(args, model, samples, stopwatch, seconds_unquantized, seconds, error):
    trials = max(0, len(stopwatch.closeness) - 1)  # the first is the unquantized model
    usage = resource.getrusage(resource.RUSAGE_SELF)
    ranking = stopwatch.seconds.get("_get_mse_order", 0.0)
    ranked = sum(len(errors) for errors in stopwatch.rankings)
    quantizations = stopwatch.calls.get("quantize", 0)
    inferences = stopwatch.calls.get("_inference_model_on_batches", 0)
    inferring = stopwatch.seconds.get("_inference_model_on_batches", 0.0)
    return {
        "model": pathlib.Path(args.model).name,
        "nodes": len(model.graph.node),
        "approach": args.approach,
        "units_only": args.units,
        "samples": len(samples),
        "seconds_unquantized": round(seconds_unquantized, 3),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "load": [round(load, 1) for load in os.getloadavg()[:2]],
        "trials": trials,
        "seconds_per_trial": round(seconds / max(1, trials), 2),
        "closeness": stopwatch.closeness,
        "quantizations": quantizations,
        "seconds_per_quantization": round(stopwatch.seconds.get("quantize", 0.0) / max(1, quantizations), 3),
        "inferences_to_rank": inferences,
        "seconds_per_inference": round(inferring / max(1, inferences), 3),
        "rankings": len(stopwatch.rankings),
        "ranked_ops": ranked,
        "seconds_ranking": round(ranking, 2),
        "seconds_per_ranked_op": round(ranking / ranked, 3) if ranked else None,
        "cpu_seconds_per_ranked_op": round(stopwatch.cpu_seconds["_get_mse_order"] / ranked, 3) if ranked else None,
        "peak_mib": usage.ru_maxrss // 1024,
        "first_ranking": stopwatch.rankings[0] if stopwatch.rankings else {},
        "error": error,
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument(
        "--trials",
        type=int,
        default=4,
        help="tuning trials; all but the first two rank the ops before (default: 4)",
    )
    parser.add_argument("--folder", help="calibration samples, one .npz file each; default: random ones")
    parser.add_argument("--samples", type=int, default=4, help="how many (default: 4)")
    parser.add_argument("--approach", choices=["static", "dynamic"], default="static")
    parser.add_argument(
        "--units", action="store_true", help="quantize only MatMul, Gemm and Conv with constant weights"
    )
    parser.add_argument(
        "--dim", action="append", default=[], metavar="NAME=SIZE", help="of random samples (default: 1)"
    )
    parser.add_argument("--largest-id", type=int, default=100, help="of random samples (default: 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="show Neural Compressor's own log")
    return parser.parse_args()


def main():
    args = arguments()
    # With its data inside: Neural Compressor loses the folder of external data, and asks for the transformers package
    # when a config.json lies beside the file.
    model = onnx.load(args.model)
    samples = load_samples(args, model)
    started = time.perf_counter()
    run(model.SerializeToString(), samples)
    seconds_unquantized = time.perf_counter() - started

    if not args.verbose:
        logging.disable(logging.WARNING)
    stopwatch = Stopwatch()
    first_error = FirstError()
    started = time.perf_counter()
    try:
        tune(args, model, samples, stopwatch, first_error)
    except Exception as exception:  # what it says is the result
        traceback.print_exc()
        first_error.text = f"{type(exception).__name__}: {exception}"
    seconds = time.perf_counter() - started
    result = result_of(args, model, samples, stopwatch, seconds_unquantized, seconds, first_error.text)
    print("| what | value |\n|---|---:|")
    for name, value in result.items():
        if name not in ("first_ranking", "closeness"):
            print(f"| {name} | {value} |")
    print(json.dumps(result))
    return 1 if first_error.text else 0


if __name__ == "__main__":
    sys.exit(main())
