"""Writes the .npz files beside it."""
import io
import zipfile

import numpy as np

TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


def numbers(code, shape):
    """0, 1, 2, ... from -3 on where the type has a sign."""
    first = 0 if code[0] in "u?" else -3
    return np.arange(first, first + np.prod(shape, dtype=int)).astype(code).reshape(shape)


def npy(array, version):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    return stream.getvalue()


types = {("b1" if code == "?" else code): numbers(code, (2, 3)) for code in TYPES}
np.savez("types.npz", **types)
np.savez_compressed("types-deflated.npz", **types)

cube = numbers("i2", (2, 3, 4))
np.savez(
    "shapes.npz",
    scalar=np.float32(2.5),
    one=numbers("f4", (1,)),
    empty=np.zeros((0, 4), "f4"),
    cube=cube,
    cube_fortran=np.asfortranarray(cube),
    matrix_fortran=np.asfortranarray(numbers("f8", (3, 5))),
    **{"folder/größe": numbers("u1", (4,))},
)

with zipfile.ZipFile("versions.npz", "w") as archive:
    for major in (1, 2, 3):
        archive.writestr(f"v{major}.npy", npy(numbers("f4", (3,)), (major, 0)))

# Every length and offset in its 64-bit field, as in an archive of more than 4 GB.
zipfile.ZIP64_LIMIT = 1
np.savez_compressed("zip64.npz", a=numbers("f4", (2, 2)), b=numbers("i8", (5,)))
zipfile.ZIP64_LIMIT = (1 << 31) - 1

np.savez_compressed("zeros.npz", zeros=np.zeros(100_000, "f4"))

np.savez("big-endian.npz", x=numbers(">f4", (3,)))
np.savez("objects.npz", x=np.array([{"a": 1}, None], dtype=object))
np.savez("complex.npz", x=numbers("f4", (3,)).astype("c8"))
np.savez("text.npz", x=np.array(["a", "bc"]))
np.savez("structured.npz", x=np.zeros(2, dtype=[("a", "f4"), ("b", "i2")]))
