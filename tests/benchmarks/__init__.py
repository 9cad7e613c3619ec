"""What nbagents costs beside the openai SDK, autogen-ext and HoloViz Panel; run by ``make bench``.

``python -m tests.benchmarks`` prints a Markdown table and writes nothing.
"""
