"""Arrays and numbers of numpy as plain JSON and back: their bytes, their type, their shape."""

import base64
import binascii
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import FormatError

DTYPES = frozenset({"|b1", "|i1", "|u1", "<i4", "<i8", "<f4", "<f8"})


def plain_array(array: NDArray[Any]) -> dict[str, Any]:
    """Type, shape and bytes in the order of rows.

    Raises
    ------
    FormatError
        If it does not hold numbers.

    Examples
    --------
    >>> plain_array(np.array([1.0, np.inf]))
    {'array': '<f8', 'shape': [2], 'base64': 'AAAAAAAA8D8AAAAAAADwfw=='}
    """
    dtype = array.dtype.newbyteorder("<").str
    if dtype not in DTYPES:
        raise FormatError(f"an array of {array.dtype} cannot be kept; use numbers")
    content = base64.b64encode(array.astype(dtype, copy=False).tobytes()).decode("ascii")
    plain = {"array": dtype, "shape": list(array.shape), "base64": content}
    # A product of matrices may round differently by the layout of its operands: it is part of the model.
    by_column = array.flags.f_contiguous and not array.flags.c_contiguous
    return plain | {"by_column": True} if by_column else plain


def built_array(plain: dict[str, Any]) -> Any:  # noqa: ANN401 - an array, or a number of numpy
    """Read back :func:`plain_array`; without a shape it is a number of numpy.

    Raises
    ------
    FormatError
        If its type is none of numbers, or its bytes are not those of its type and shape.
    """
    dtype, shape = plain["array"], plain["shape"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise FormatError(f"an array of {dtype!r} is none of numbers")
    if not isinstance(shape, list) or any(type(length) is not int or length < 0 for length in shape):
        raise FormatError(f"an array has no shape {shape!r}")
    try:
        content = base64.b64decode(plain["base64"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise FormatError(f"an array is no base64 ({error})") from error
    if len(content) != math.prod(shape) * np.dtype(dtype).itemsize:
        raise FormatError(f"{len(content)} bytes are no array of {dtype} and shape {shape}")
    try:
        array = np.frombuffer(content, dtype=dtype).reshape(shape).astype(np.dtype(dtype).newbyteorder("="))
    except ValueError as error:  # of nothing, but in too many dimensions or too long ones
        raise FormatError(f"an array has no shape {str(shape)[:60]} ({error})") from error
    if not shape:
        return array[()]
    return np.asfortranarray(array) if plain.get("by_column") is True else array
