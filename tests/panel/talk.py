"""A conversation with everything in it that a panel shows."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

from tests.panel.room import message


def picture(width: int = 120, height: int = 80) -> str:
    """A PNG as a data address: a gradient."""
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 160)) for x in range(width))
        for y in range(height)
    )
    parts = [b"\x89PNG\r\n\x1a\n"]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(kind + data))
        parts += [struct.pack(">I", len(data)), kind, data, check]
    return "data:image/png;base64," + base64.b64encode(b"".join(parts)).decode()


REPLY = """\
The survival rate differs **strongly** between the classes. Grouping does it in one line:

```python
import pandas as pd

# share of survivors, and how many there were
rates = df.groupby(["pclass", "sex"]).agg(
    survived=("survived", "mean"), people=("survived", "size")
)
print(f"{rates.survived.max():.1%}")  # 96.8%
```

| Class | Women | Men | People |
|:------|------:|----:|-------:|
| First | 96.8 % | 36.9 % | 216 |
| Second | 92.1 % | 15.7 % | 184 |
| Third | 50.0 % | 13.5 % | 491 |

### What to look at next

1. Whether `age` explains the rest: a [logistic regression](https://en.wikipedia.org/) will tell.
2. Whether missing ages are missing at random
   - [x] by class
   - [ ] by port

> With 891 rows, an interval of about three points is all that can be had.
"""
MATHS = r"""The standard error of a share is $s_p = \sqrt{p (1 - p) / n}$, so that

$$P\left(|\hat p - p| \le 1.96\, s_p\right) \approx 0.95$$
"""
CALLS = [
    {
        "id": "call-1",
        "name": "describe_table",
        "arguments": '{"table": "titanic", "columns": ["age", "fare"]}',
        "result": "       age   fare\nmean  29.70  32.20\nstd   14.53  49.69",
        "is_error": False,
        "state": "done",
    },
    {
        "id": "call-2",
        "name": "load_url",
        "arguments": '{"url": "https://data.example/ports.csv"}',
        "result": "ConnectError: no route to host",
        "is_error": True,
        "state": "done",
    },
    {
        "id": "call-3",
        "name": "write_file",
        "arguments": '{"path": "rates.csv", "rows": 6}',
        "result": "",
        "is_error": False,
        "state": "asked",
    },
]


def talk() -> list[dict[str, Any]]:
    """The messages, in order."""
    return [
        message(
            "u1", "Which passengers of @df survived? Show me the code, and the numbers by class."
        ),
        message(
            "a2",
            REPLY,
            reasoning=[
                "<p>The frame has <code>pclass</code> and <code>sex</code>: group by both.</p>"
            ],
            footer="gpt-4o-mini · 1,204 + 331 tokens · $0.0004 · 3.1 s",
        ),
        message("u3", "And how sure can I be of these shares?", images=[picture()]),
        message(
            "a4",
            MATHS,
            calls=CALLS,
            status="streaming",
        ),
        message("u5", "اشرح لي هذا المخطط بالعربية من فضلك"),
        message("a6", "هذا المخطط يبيّن نسبة الناجين في كل درجة، مع `pclass` على المحور الأفقي."),
        message(
            "a7",
            "Half an answer",
            status="failed",
            notes=["The model server closed the connection. Press Retry to ask again."],
        ),
    ]
