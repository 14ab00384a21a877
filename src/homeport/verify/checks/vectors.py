"""Are the vectors of an embedding model as many, as long, in such an order and as near each other as clients expect?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from homeport.errors import EndpointError, HomeportError
from homeport.json_types import Json
from homeport.verify.checks.load import together
from homeport.verify.report import Finding, VerificationSubject, failed, noted, passed, skipped

_TRIPLES = (
    ("A cat sleeps on the sofa.", "A kitten naps on the couch.", "The central bank raised interest rates."),
    ("How do I bake bread at home?", "A recipe for homemade bread", "The train to Berlin leaves at noon."),
    ("The patient has a high fever.", "The sick man's temperature is high.", "He tuned his old guitar."),
    ("Stock prices fell sharply today.", "Shares dropped a lot this day.", "A whale swam beside the boat."),
    ("My laptop does not turn on.", "The notebook computer won't start.", "Tulips bloom in spring."),
    ("The team won the football match.", "The side was victorious in the game.", "Salt dissolves in water."),
)
"""A text, one that says the same in other words, and one of something else."""
_LEAST_RIGHT = 5
"""Of six: an arrangement by chance gets so many in one of nine runs, and a model that was made for it all."""
_NORM_WITHIN = 0.01
"""Of vectors that were computed in 16 bits."""
_SAME = 0.99
"""Cosine of one text's vectors, alone and in a batch: sums in another order differ a little."""
_MOST = 16
_WORDS = "bread rain ships trees songs salt stars bridges"


async def vectors(subject: VerificationSubject) -> Finding:
    """Check that a batch gets a vector each, in its order, of the model's dimension and of length 1."""
    texts = [text for triple in _TRIPLES[:2] for text in triple]
    batch = await _embedded(subject, texts)
    lengths = [math.hypot(*vector) for vector in batch]
    if len(batch) != len(texts):
        return failed(f"{len(texts)} texts were sent, {len(batch)} vectors came")
    alone = [(await _embedded(subject, [text]))[0] for text in (texts[0], texts[-1])]
    evidence: dict[str, Json] = {
        "dimensions": len(batch[0]),
        "norms": [round(length, 4) for length in lengths],
    }
    expected = _dimensions(subject)
    if len({len(vector) for vector in batch}) > 1 or (expected and len(batch[0]) != expected):
        return failed(f"a vector has {len(batch[0])} numbers, and the model's have {expected}", **evidence)
    if not all(math.isfinite(length) for length in lengths):
        return failed("a vector holds what is no number", **evidence)
    if any(abs(length - 1) > _NORM_WITHIN for length in lengths):
        return failed(f"a vector has the length {max(lengths):.3g}, not 1", **evidence)
    if _cosine(alone[0], batch[0]) < _SAME or _cosine(alone[1], batch[-1]) < _SAME:
        return failed("a text gets another vector in a batch than alone, or in another place", **evidence)
    remark = "" if expected else "; how many they should have is not known"
    return passed(f"{len(batch)} of {len(batch[0])} numbers, length 1, in order{remark}", **evidence)


async def similarity(subject: VerificationSubject) -> Finding:
    """Check that texts that say the same are nearer to each other than to others."""
    right, cosines = 0, []
    for triple in _TRIPLES:
        text, alike, other = await _embedded(subject, triple)
        near, far = _cosine(text, alike), _cosine(text, other)
        right += near > far
        cosines.append([round(near, 3), round(far, 3)])
    summary = (
        f"{right} of {len(_TRIPLES)} texts are nearer to one that says the same than to one of something else"
    )
    if right < _LEAST_RIGHT:
        return failed(
            f"only {summary}: is it a model of embeddings, and pooled as it was trained?", cosines=cosines
        )
    return passed(summary, cosines=cosines)


async def empty_input(subject: VerificationSubject) -> Finding:
    """Check that no text at all, and an empty one, are called a client's mistake."""
    statuses = {}
    async with subject.endpoint.client(timeout_s=120) as client:
        for name, empty in {"no text": [], "an empty text": ""}.items():
            request = {"model": subject.endpoint.model, "input": empty}
            statuses[name] = (await client.post("/v1/embeddings", json=request)).status_code
    unrefused = [f"{name} gets {status}" for name, status in statuses.items() if not 400 <= status < 500]
    if any(status in {401, 403} or status >= 500 for status in statuses.values()):
        return failed("; ".join(unrefused) or "the key is not taken", statuses=statuses)
    if unrefused:
        return noted(f"{'; '.join(unrefused)}, and no error: its vector is of nothing", statuses=statuses)
    return passed("both are refused with 4xx", statuses=statuses)


async def too_long(subject: VerificationSubject) -> Finding:
    """Check that a text a quarter longer than the context is refused, and not cut without a word."""
    few = await _counted(subject, _WORDS)
    rounds = int(subject.context * 1.25 / max(few - 2, 1)) + 1
    try:
        counted = await _counted(subject, " ".join([_WORDS] * rounds))
    except EndpointError as error:
        if error.status in {401, 403}:
            raise
        if error.status == 400:
            return passed(f"refused with 400: {error.body[:160]}", status=error.status)
        return noted(f"refused with {error.status}, not with 400: {error.body[:160]}", status=error.status)
    if counted > subject.context:
        return noted(
            f"{counted:,} tokens were taken, more than the {subject.context:,} promised", counted=counted
        )
    return failed(
        f"a text of about {rounds * (few - 2):,} tokens was silently cut to {counted:,}", counted=counted
    )


async def at_once(subject: VerificationSubject) -> Finding:
    """Check that twice as many requests as are served at once all get a vector."""
    count = min(2 * subject.parallel, _MOST)

    async def one(number: int) -> str:
        try:
            await _embedded(subject, [f"A sentence about {_WORDS.split()[number % 8]}, number {number}."])
        except HomeportError as error:
            return str(error)
        return ""

    problems = [problem for problem in await together(one(number) for number in range(count)) if problem]
    if problems:
        return failed(f"{len(problems)} of {count} requests did not finish: {problems[0]}", problems=problems)
    return passed(f"{count} requests, {subject.parallel} at a time, all finished", requests=count)


async def no_text(_: VerificationSubject) -> Finding:
    """Skip what asks for text."""
    return skipped('not asked: it gives vectors, and no text (task = "embed")')


async def _embedded(subject: VerificationSubject, texts: Sequence[str]) -> list[list[float]]:
    """Return the vectors, by the place that each says it is for."""
    answer = await subject.endpoint.embed(texts)
    placed = sorted(answer["data"], key=lambda record: record["index"])
    return [[float(number) for number in record["embedding"]] for record in placed]


async def _counted(subject: VerificationSubject, text: str) -> int:
    return int((await subject.endpoint.embed([text]))["usage"]["prompt_tokens"])


def _dimensions(subject: VerificationSubject) -> int:
    """Return how many numbers a vector has; 0 where it is not known."""
    model = subject.model
    return model.dimensions or (model.architecture.hidden if model.architecture else 0)


def _cosine(vector: Sequence[float], other: Sequence[float]) -> float:
    length = math.hypot(*vector) * math.hypot(*other)
    return sum(a * b for a, b in zip(vector, other, strict=True)) / length if length else 0.0
