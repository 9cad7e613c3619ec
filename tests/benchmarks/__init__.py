"""What nbagents costs beside the openai SDK's own stream and autogen-ext; run by ``make bench``.

``python -m tests.benchmarks`` prints a Markdown table and writes nothing.
"""
