"""Counts the words of texts. Standard library only."""

import re
from collections import Counter

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


class Handler:
    def __init__(self, config):
        self.top = config.get("top", 3)

    def handle_batch(self, payload):
        """One result per text, in the same order."""
        return [self.count(text) for text in payload]

    def count(self, text):
        if not isinstance(text, str):
            raise TypeError(f"expected a text, found {type(text).__name__}")
        counts = Counter(word.casefold() for word in WORD.findall(text))
        # The most frequent first, then by the alphabet, so that equal counts come in one order everywhere.
        most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: self.top]
        return {"words": sum(counts.values()), "most": dict(most)}
