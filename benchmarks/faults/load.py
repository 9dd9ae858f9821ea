"""Requests over several connections at once, until told to stop, and what became of each."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx
import numpy as np

LONGEST_S: Final = 60.0
"""An answer that takes longer is one that never came."""
MOST_UNSETTLED: Final = 20_000
"""Answers after which a service that is still not as wanted never will be."""
SHOWN: Final = 20
"""Violations that a result tells; there may be more."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request."""

    path: str
    """With its query."""
    body: str | None = None
    """JSON to post; None to get."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question."""

    question: Question
    status: int
    """Of HTTP; 0 where no answer came."""
    seconds: float
    text: str
    """The body; what went wrong where no answer came."""
    began: float
    """When it was asked, by `time.perf_counter`."""


class Load:
    """Questions being asked; `answers` grows meanwhile.

    Args:
        connections: how many ask.
    """

    def __init__(self, connections: int) -> None:
        self.connections = connections
        """As given."""
        self.answers: list[Answer] = []
        """In the order they came."""
        self.done = False
        """Whether no more questions are to be asked."""
        self._came = threading.Condition()
        self._read = 0

    def add(self, answer: Answer) -> None:
        """Take note of one."""
        with self._came:
            self.answers.append(answer)
            self._came.notify_all()

    def wait_for(self, more: int) -> list[Answer]:
        """The next so many answers after those that were waited for before, once they are there."""
        with self._came:
            wanted = self._read + more
            came = self._came.wait_for(lambda: len(self.answers) >= wanted, LONGEST_S * more)
            assert came, f"no more than {len(self.answers)} answers came"
            found = self.answers[self._read : wanted]
            self._read = wanted
            return found

    def wait_until(self, settled: Callable[[Answer], bool]) -> list[Answer]:
        """The next answers, up to twice as many in a row as there are connections that are as wanted."""
        came: list[Answer] = []
        in_a_row = 0
        while in_a_row < 2 * self.connections:
            assert len(came) < MOST_UNSETTLED, f"still not as wanted: {came[-1]}"
            came += self.wait_for(1)
            in_a_row = in_a_row + 1 if settled(came[-1]) else 0
        return came


@contextmanager
def load(address: str, questions: Sequence[Question], connections: int) -> Iterator[Load]:
    """Ask questions in turn over each of some connections while the context lasts.

    Args:
        address: of the service.
        questions: each connection begins with another one.
        connections: how many.
    """
    under_way = Load(connections)

    def ask(first: int) -> None:
        with httpx.Client(base_url=address, timeout=LONGEST_S) as client:
            number = first
            while not under_way.done:
                under_way.add(asked(client, questions[number % len(questions)]))
                number += 1

    threads = [
        threading.Thread(target=ask, args=(len(questions) * number // connections,))
        for number in range(connections)
    ]
    for thread in threads:
        thread.start()
    try:
        yield under_way
    finally:
        under_way.done = True
        for thread in threads:
            thread.join()


def asked(client: httpx.Client, question: Question) -> Answer:
    """Ask one question."""
    began = time.perf_counter()
    try:
        if question.body is None:
            answer = client.get(question.path)
        else:
            answer = client.post(
                question.path, content=question.body, headers={"Content-Type": "application/json"}
            )
    except httpx.TransportError as error:
        return Answer(question, 0, time.perf_counter() - began, f"{type(error).__name__}: {error}", began)
    return Answer(question, answer.status_code, time.perf_counter() - began, answer.text, began)


def milliseconds(answers: Sequence[Answer]) -> dict[str, float]:
    """How long answers took."""
    took = 1000 * np.array([answer.seconds for answer in answers])
    return {
        "p50": round(float(np.percentile(took, 50)), 1),
        "p99": round(float(np.percentile(took, 99)), 1),
        "most": round(float(took.max()), 1),
    }


def unexpected(answers: Sequence[Answer], should: str, expected: Callable[[Answer], bool]) -> list[str]:
    """The answers that are not as they should be, told in words; the first of them.

    Args:
        answers: What came.
        should: What each should do, in words.
        expected: Whether one does.
    """
    wrong = [answer for answer in answers if not expected(answer)]
    return [
        f"should {should}: {answer.question.path}: {answer.status} {answer.text[:300]}"
        for answer in wrong[:SHOWN]
    ]
