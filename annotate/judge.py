"""What an answer is worth: a valid annotation, or which of the other statuses, and what to say to have it put right."""

from __future__ import annotations

import re
from dataclasses import dataclass

from annotate.backends.base import Answer, Request, Status
from annotate.refusal import any_refusal, is_refusal
from annotate.schema import Annotation, AnnotationError, parse

_BLANKS = re.compile(r"\s{200}")


@dataclass(frozen=True)
class Judged:
    """`fault`: what is wrong with an answer that may be sent back; None where nothing is, or nothing would help."""

    status: Status
    annotation: Annotation | None = None
    error: str | None = None
    fault: str | None = None


def judge(answer: Answer, request: Request) -> Judged:
    """Validate an answer against the schema, and tell refusals and endings in mid-air from mere mistakes.

    An answer that ran into its limit but is a whole annotation followed by nothing but whitespace is a success: servers
    with constrained decoding are known to fill up what is left with blanks.
    """
    if answer.status in (Status.ERROR, Status.BLOCKED):
        return Judged(answer.status, error=answer.error)
    try:
        annotation = parse(answer.text, request.languages)
    except AnnotationError as error:
        if is_refusal(answer.text):
            return Judged(Status.BLOCKED, error="the model refused")
        if answer.status is Status.TRUNCATED or _BLANKS.search(answer.text):
            endless = _BLANKS.search(answer.text) is not None
            return Judged(Status.TRUNCATED, error="endless whitespace" if endless else answer.error)
        return Judged(Status.INVALID, error=str(error), fault=str(error))
    if any_refusal(text for caption in annotation.captions for text in (caption.short, caption.long)):
        return Judged(Status.BLOCKED, error="the model refused, in the form of an annotation")
    return Judged(Status.SUCCESS, annotation)
