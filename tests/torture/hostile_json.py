"""Hostile JSON by the categories of RFC 8259: what a reader must take, must not, and may.

The cases are our own, built from the grammar: each value and each error in each place.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["INVALID", "LENIENT", "VALID"]

_DEEP = 200
_TOO_DEEP = 100_000
_PLACES = (b"%b", b"[%b]", b'{"a": %b}', b"[1, %b, 2]", b" \t\r\n%b \t\r\n")


def _everywhere(*values: bytes) -> Iterator[bytes]:
    for value in values:
        for place in _PLACES:
            yield place.replace(b"%b", value)


VALID = [
    *_everywhere(
        b"null",
        b"true",
        b"false",
        b"0",
        b"-0",
        b"7",
        b"-1.5",
        b"1e3",
        b"1E+3",
        b"1e-3",
        b"0.0",
        b"123456789012345678901234567890",
        b"1.7976931348623157e308",
        b"5e-324",
        b"1e-400",
        b"0.1000000000000000000000000000000000000001",
        b'""',
        b'"a"',
        b'"\\""',
        b'"\\\\"',
        b'"\\/"',
        b'"\\b\\f\\n\\r\\t"',
        b'"\\u0000"',
        b'"\\u00e9"',
        b'"\\ud83d\\ude00"',
        b'"\x7f"',
        '"é€😀"'.encode(),
        '"\u2028\u2029"'.encode(),
        '"\ufeff"'.encode(),
        b"[]",
        b"{}",
        b"[[]]",
        b'{"": 0}',
        b'{"a": {"b": []}}',
        b'{"a": 1, "a": 2}',
        b'{"\\u0061": 1, "a": 2}',
    ),
    b"[" * _DEEP + b"]" * _DEEP,
    b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    b'"' + b"x" * 100_000 + b'"',
    b"[" + b"1," * 10_000 + b"1]",
]
"""What every reader must take."""

INVALID = [
    *_everywhere(
        b"nul",
        b"True",
        b"None",
        b"undefined",
        b"truefalse",
        b"01",
        b"-",
        b"+1",
        b"-01",
        b".5",
        b"1.",
        b"1.e3",
        b"1e",
        b"1e+",
        b"1.2.3",
        b"0x1f",
        b"1_000",
        b"1 2",
        b"--1",
        b"1e1.5",
        "\uff11".encode(),
        b"'a'",
        b'"a',
        b'a"',
        b'"\\x41"',
        b'"\\a"',
        b'"\\u12"',
        b'"\\u12g4"',
        b'"\\"',
        b'"a\nb"',
        b'"a\tb"',
        b'"a\0b"',
        b'"\x1f"',
        b'"a" "b"',
        b"[",
        b"]",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[,1]",
        b"[1,,2]",
        b"[1 2]",
        b"[1:2]",
        b"{",
        b"}",
        b'{"a"',
        b'{"a":',
        b'{"a" 1}',
        b'{"a": 1,}',
        b'{"a": 1 "b": 2}',
        b"{a: 1}",
        b"{1: 2}",
        b"{'a': 1}",
        b'{"a":: 1}',
        b'{"a": 1,, "b": 2}',
        b"{,}",
        b"[}",
        b"{]",
        b"/* */ 1",
        b"// x",
        b"1 # x",
        b"\x00",
        b"\x0b1",
        "\u00a01".encode(),
        b"<null>",
        b"\\n",
        b"*",
    ),
    b"[" * _TOO_DEEP,
    b'{"a":' * _TOO_DEEP,
    b"[" * _TOO_DEEP + b"]" * _TOO_DEEP,
    b'{"a":' * _TOO_DEEP + b"1" + b"}" * _TOO_DEEP,
]
"""What no reader may take, and what is nested beyond all reason."""

LENIENT = [
    *_everywhere(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"9" * 5_000,
        b"1" + b"0" * 400,
        b"1e1000000000",
        b'"\xff"',
        b'"\xc3("',
        b'"\xe2\x82"',
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b'"\xf4\x90\x80\x80"',
        b'"\\ud83d"',
        b'"\\ude00"',
        b'"\\ude00\\ud83d"',
        b'"\\ud83d\\u0041"',
        b'{"\\ud83d": 1}',
        b'{"\xff": 1}',
    ),
    b"\xef\xbb\xbf[]",
    b"\xff\xfe[\x00]\x00",
    b"\xfe\xff\x00[\x00]",
    b"[" * 1_500 + b"]" * 1_500,
]
"""What a reader may take or not, as long as it says which."""
