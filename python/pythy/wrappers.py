"""The wrappers that every header can name: ``$ wrapper encode_string_args PATTERN...``.

A wrapper takes a :class:`pythy.variable.Function` and gives it another ``py_func``.
"""

from pythy.variable import Function


def encode_string_args(function: Function) -> None:
    """Encodes arguments that are ``str`` as UTF-8."""
    inner = function.py_func

    def encoding(*args, **keywords):
        return inner(*(arg.encode() if isinstance(arg, str) else arg for arg in args), **keywords)

    function.py_func = encoding


def decode_string_rtn(function: Function) -> None:
    """Decodes a result that is ``bytes`` from UTF-8."""
    inner = function.py_func

    def decoding(*args, **keywords):
        result = inner(*args, **keywords)
        return result.decode() if isinstance(result, bytes) else result

    function.py_func = decoding
