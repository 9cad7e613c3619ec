"""Retrieval over the documentation: its pages cut into passages, and the best for a question.

The ranking is Okapi BM25 (Robertson and Zaragoza, *The Probabilistic Relevance Framework*,
2009); words of headings count more than once, and as passages are short, their length counts
less than usual (b = 0.5). Pure, but for reading the pages.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nbagents.models._embedded.passages import Passage, read_passages

__all__ = ["Finding", "Index", "documentation", "terms_of"]

_K1, _B = 1.2, 0.5
_TITLE, _HEADING = 1, 4  # how often their words count
_SYNONYM = 0.4  # what a related word is worth
_BEFORE = 0.8  # what a word of the question before is worth: it has the subject
_MOST_TERMS = 40  # of a question; what follows is data that was pasted or attached

_STOP_WORDS = frozenset(
    """a about all also am an and any are as at be been but by can could did do does doing for
    from get give go had has have hello help hey hi how i if in is it its just like make may me
    mean might my no not now of off on one or our out please set shall should show so some such tell
    than thank thanks that the their them then there these they thing this those to too us use
    used using want was we well were what when where which who why will with work works would
    yes you your yours explain describe really very much many know nbagents own""".split()  # noqa: SIM905
)

_RELATED = (
    ("cost", "price", "money", "dollar", "cheap", "expensive", "budget", "usage", "limit"),
    ("interrupt", "stop", "cancel", "abort"),
    ("key", "credential", "password", "secret"),
    ("install", "pip", "setup"),
    ("history", "conversation", "memory", "remember", "context", "forget"),
    ("local", "offline", "ollama", "loopback"),
    ("error", "exception", "fail", "traceback"),
    ("dataframe", "table", "frame", "pandas"),
    ("image", "picture", "figure", "plot"),
    ("azure", "entra", "microsoft"),
    ("variable", "braces", "placeholder"),
    ("schema", "pydantic", "structured", "json"),
)

# Code blocks, and code of several words: what examples happen to speak of is not their subject.
_EXAMPLE = re.compile(r"^( *)```.*?^\1```|`[^`\n]* [^`\n]* [^`\n]*`", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """A passage that speaks of what was asked.

    Attributes:
        passage: The passage.
        score: Its rank's measure: higher is better, comparable within one question only.
        coverage: The share of the question, 0 to 1, that the passage has the words of; rare
            words weigh more.
    """

    passage: Passage
    score: float
    coverage: float


class Index:
    """Passages, ready to be searched."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = tuple(passages)
        self._counts = [_weighted_terms(passage) for passage in passages]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._mean_length = sum(self._lengths) / max(1, len(passages))
        self._holders = Counter(term for counts in self._counts for term in counts)

    def search(self, question: str, before: str = "") -> list[Finding]:
        """Find the passages that share words with a question, the best first.

        Args:
            question: What is asked.
            before: An earlier question that this one leans on; its words count less.
        """
        asked = dict.fromkeys(terms_of(before), _BEFORE) | dict.fromkeys(terms_of(question), 1.0)
        whole = sum(self._rarity(term) * weight for term, weight in asked.items()) or 1.0
        findings = [self._judge(position, asked, whole) for position in range(len(self.passages))]
        return sorted(
            (finding for finding in findings if finding.score > 0), key=lambda found: -found.score
        )

    def _judge(self, position: int, asked: dict[str, float], whole: float) -> Finding:
        score = covered = 0.0
        for term, weight in asked.items():
            value, share = max(
                (factor * self._worth(position, word), factor * (word in self._counts[position]))
                for word, factor in _readings(term)
            )
            score += weight * value
            covered += weight * share * self._rarity(term)
        return Finding(self.passages[position], score, covered / whole)

    def _worth(self, position: int, term: str) -> float:
        count = self._counts[position][term]
        norm = _K1 * (1 - _B + _B * self._lengths[position] / self._mean_length)
        return self._rarity(term) * count * (_K1 + 1) / (count + norm)

    def _rarity(self, term: str) -> float:
        holders = self._holders[term]
        return math.log(1 + (len(self.passages) - holders + 0.5) / (holders + 0.5))


def terms_of(text: str) -> list[str]:
    """Cut a text into its telling words: lower case, without endings, each once."""
    terms = (_stem(word) for word in _words(text) if word not in _STOP_WORDS)
    return list(dict.fromkeys(terms))[:_MOST_TERMS]


@cache
def documentation() -> Index:
    """Index nbagents' own pages; they are read once."""
    here = Path(__file__).parent
    shipped, checkout = here / "pages", here.parents[2]
    if shipped.is_dir():
        return Index(read_passages(shipped))
    if (checkout / "pyproject.toml").is_file():
        return Index(read_passages(checkout / "docs"))
    return Index(())


def _weighted_terms(passage: Passage) -> Counter[str]:
    prose = _EXAMPLE.sub("", passage.text)
    weighted = ((passage.page.title, _TITLE), (passage.heading, _HEADING), (prose, 1))
    counts: Counter[str] = Counter()
    for text, weight in weighted:
        for word in _words(text):
            counts[_stem(word)] += weight
    return counts


@cache
def _readings(term: str) -> tuple[tuple[str, float], ...]:
    """A term itself, and the words that may stand for it, each with what it is worth."""
    groups = [{_stem(word) for word in group} for group in _RELATED]
    related = {word for group in groups if term in group for word in group} - {term}
    return ((term, 1.0), *((word, _SYNONYM) for word in sorted(related)))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_][^\W_]*", text.lower().replace("'s ", " "))


_ENDINGS = ("ings", "ing", "ions", "ion", "ed", "es", "s", "e")


def _stem(word: str) -> str:
    """Take a common English ending off, so that connect, connecting and connection are one."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
