"""Writes blocks.json: weights, and the codes and scales that ONNX Runtime's block quantizer gives them.

Numbers are the bits of f32 values. Weights are [K, N]; codes are unpacked, [N, K]; scales are [N, blocks].
"""

import json

import numpy as np
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, DefaultWeightOnlyQuantizer


def weights(depth, columns):
    random = np.random.default_rng(depth)
    w = random.normal(0, 0.02, (depth, columns)).astype(np.float32)
    w[:, 1] = np.abs(w[:, 1])  # one sign only
    w[:, 2] = -np.abs(w[:, 2])
    w[:, 3] = np.round(w[:, 3] * 100) / 8  # halves of a step, and extremes of both signs
    w[0:2, 3] = [1, -1]
    w[:, 4] *= np.float32(2e-35)
    w[:, 5] *= np.float32(1e37)
    return w


def case(bits, block, w):
    config = DefaultWeightOnlyQuantConfig(block_size=block, is_symmetric=True, bits=bits)
    packed, scales, _ = DefaultWeightOnlyQuantizer(config).qbits_block_quant(w)
    depth, columns = w.shape
    flat = packed.reshape(columns, -1)
    codes = flat if bits == 8 else np.stack([flat & 15, flat >> 4], -1).reshape(columns, -1)
    return {
        "bits": bits,
        "block": block,
        "depth": depth,
        "columns": columns,
        "weights": w.view(np.uint32).ravel().tolist(),
        "codes": codes[:, :depth].ravel().tolist(),
        "scales": scales.view(np.uint32).ravel().tolist(),
    }


if __name__ == "__main__":
    cases = [case(bits, block, weights(depth, 6)) for bits in (4, 8) for block, depth in ((16, 70), (32, 96), (64, 61))]
    with open("blocks.json", "w", encoding="utf-8") as file:
        json.dump(cases, file, separators=(",", ":"))
        file.write("\n")
