"""Expert rules over one caption: its length in tokens, and what makes it no caption at all.

Rules speak of what the caption says itself: words that it quotes from the picture are left out before they look, so
that a card with "sorry" on it is no refusal and a sign with a URL on it no advertisement.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from annotate.captions.language import ELSEWHERE, ENGLISH, HAN, contradicts, count_han, words
from annotate.captions.phrases import (
    BOILERPLATE,
    BOILERPLATE_BY_TWO,
    FILE_NAMES,
    MARKUP,
    PLACEHOLDERS,
    PROMOTION,
    REFUSALS,
    SAYS_NOTHING,
    UNFINISHED_EN,
    UNFINISHED_ZH,
    URL,
)
from annotate.captions.quotes import without_quotes

#: Raise it when a rule changes what it says of some caption.
VERSION = "1"
REASONS = (
    *("garbled", "placeholder", "file_name", "markup", "refusal", "boilerplate"),
    *("too_short", "repeated", "keywords", "wrong_language", "truncated"),
)

_PIECE = re.compile(rf"[{HAN}\u3041-\u30fa\uac00-\ud7a3]|[0-9]|[^\W\d_]+|[^\w\s]")
_WHOLE = re.compile(rf"[{HAN}\u3041-\u30fa\uac00-\ud7a3]")
_TERMS = re.compile(rf"[{HAN}]|[^\W_]+(?:['’-][^\W_]+)*")


def count_tokens(text: str) -> int:
    """Length of a caption in tokens, an estimate without a vocabulary.

    A Chinese, Japanese or Korean character, a digit and a punctuation mark count one each, a word one for every six
    letters begun. Qwen's own tokenizer joins frequent Chinese pairs and so counts fewer on long Chinese text.
    """
    return sum(1 if _WHOLE.match(piece) else -(-len(piece) // 6) for piece in _PIECE.findall(text))


def invalid(text: str, declared: str | None = None) -> str | None:
    """Why the text is no usable caption, one of `REASONS`, or None. `declared`: the language the source tells."""
    own = " ".join(without_quotes(text).split())
    checks: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("garbled", lambda: is_garbled(text)),
        ("placeholder", lambda: is_placeholder(own)),
        ("file_name", lambda: is_file_name(own)),
        ("markup", lambda: is_markup(own)),
        ("refusal", lambda: any(p.search(own) for p in REFUSALS)),
        ("boilerplate", lambda: is_boilerplate(own)),
        ("too_short", lambda: is_too_short(text)),
        ("repeated", lambda: is_repeated(own)),
        ("keywords", lambda: is_keywords(own)),
        ("wrong_language", lambda: contradicts(declared, own)),
        ("truncated", lambda: is_truncated(text, own)),
    )
    return next((reason for reason, holds in checks if holds()), None)


_BROKEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ue000-\uf8ff]"  # control, replacement, private use
    "|Ã[\u00a0-\u00bf]|Â[\u00a0-\u00bf]|â€|[äåæçèé][\u00a0-\u00bf†‡ˆ‰‹Œ‘’“”•–—˜™š›œž]|ðŸ"  # UTF-8 read as Latin-1
    r"|锟斤拷|烫烫烫|屯屯屯|(?:\\u[0-9a-fA-F]{4}){2}|(?:□\s?){3}"
)
_QUESTIONS = re.compile(r"\?{2,}")
_BASE64 = re.compile(r"(?:^|\s)(?=\S*[0-9])(?=\S*[A-Z])(?=\S*[a-z])[A-Za-z0-9+/=]{40,}(?:\s|$)")


def is_garbled(text: str) -> bool:
    """Characters that no encoding was meant to give: control and replacement characters, UTF-8 read as Latin-1 or GBK,
    question marks where letters were, encoded bytes, a random string."""
    if _BROKEN.search(text) or _BASE64.search(text):
        return True
    letters = sum(c.isalpha() for c in text)
    if sum(map(len, _QUESTIONS.findall(text))) > max(3, letters):
        return True
    if " " not in text.strip() and len(text) >= 16:
        symbols = {c for c in text if not c.isalnum() and c.isascii() and c not in "-_./:'&"}
        if len(symbols) >= 3 and any(c.isdigit() for c in text) and any(c.isupper() for c in text):
            return True
    return _is_utf8_read_as_gbk(text)


def _is_utf8_read_as_gbk(text: str) -> bool:
    """Chinese written as UTF-8 and read as GBK gives Chinese again, of rare characters: reading it back shows it."""
    if count_han(text) < 4:
        return False
    back = text.encode("gb18030", "ignore").decode("utf-8", "replace")
    good = count_han(back)
    return good >= 3 and good > back.count("\ufffd")


def is_placeholder(text: str) -> bool:
    """A form's own words where a caption was to be."""
    bare = re.sub(r"[\s\d_\-.:：。!！\[\]()（）【】<>#]+", " ", text.lower()).strip()
    return bare in PLACEHOLDERS or any(p.search(text) for p in SAYS_NOTHING)


def is_file_name(text: str) -> bool:
    """The name of a file and no more."""
    return any(p.search(text) for p in FILE_NAMES)


def is_markup(text: str) -> bool:
    """HTML, Markdown, JSON, CSS; or an address that is all there is, or that the reader is sent to."""
    if any(p.search(text) for p in MARKUP):
        return True
    urls = URL.findall(text)
    if not urls:
        return False
    rest = URL.sub(" ", text)
    return len(urls) > 1 or PROMOTION.search(rest) is not None or len(words(rest)) + count_han(rest) // 2 < 4


PAGE_WORDS = 400  # characters: what is longer describes a page, should it speak like one


def is_boilerplate(text: str) -> bool:
    """The words of a page around the picture: buttons, notices, offers, shop and stock-photo phrases."""
    if len(text) > PAGE_WORDS:
        return False
    if any(p.search(text) for p in BOILERPLATE):
        return True
    return sum(p.search(text) is not None for p in BOILERPLATE_BY_TWO) >= 2


_NOT_TOLD = frozenset("的了好是我你他她它这那哈啊嗯哦吧呢吗不有在和一个也都就很") | {
    *(
        "ok",
        "okay",
        "yes",
        "no",
        "wow",
        "lol",
        "hi",
        "hello",
        "hey",
        "nice",
        "cool",
        "great",
        "good",
        "bad",
        "omg",
        "yay",
    ),
    *("hmm", "huh", "na", "nan", "none", "nil", "test", "foo", "bar", "asdf", "img", "pic", "pics", "jpg", "png"),
}


def is_too_short(text: str) -> bool:
    """A single token, or none, that tells nothing: a letter, a number, a small word. `sunset`, `EXIT` and 猫 tell."""
    terms = _TERMS.findall(text.lower())
    if len(terms) > 1:
        return False
    if not terms:
        return True
    (term,) = terms
    if _WHOLE.match(term):
        return term in _NOT_TOLD
    return len(term) < 2 or not any(c.isalpha() for c in term) or term in ENGLISH or term in _NOT_TOLD


_RUN = re.compile(r"([^\W\d_])\1{5,}|([!?~*#=,])\2{7,}", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?。！？\n]+")
MAX_UNIT = 24  # tokens of the longest loop that is looked for
LOOKED_AT = 600  # tokens: a loop shows in them


def is_repeated(text: str) -> bool:
    """A loop: one character six times or more, a token four times, a pair four times, a longer unit three times in a
    row; or sentences most of which were said before; or few different words in many."""
    if _RUN.search(text):
        return True
    found = re.findall(rf"“”|{_TERMS.pattern}", text.lower())[:LOOKED_AT]
    tokens = [t if t != "“”" and not t.isdigit() else f"{t}{n}" for n, t in enumerate(found)]  # 0 0 0 0 may be a table
    if any(_loops(tokens, unit, 4 if unit <= 2 else 3) for unit in range(1, min(MAX_UNIT, len(tokens) // 3) + 1)):
        return True
    sentences = [s.strip().lower() for s in _SENTENCE.split(text) if len(s.strip()) > 3]
    if len(sentences) >= 4 and len(set(sentences)) * 2 <= len(sentences):
        return True
    return len(tokens) >= 24 and len(set(tokens[:100])) < 0.25 * min(len(tokens), 100)


def _loops(tokens: Sequence[str], unit: int, times: int) -> bool:
    """Whether some `unit` tokens stand `times` times in a row: that many tokens equal those `unit` places before."""
    same = 0
    for here, before in zip(tokens[unit:], tokens, strict=False):
        same = same + 1 if here == before else 0
        if same >= unit * (times - 1):
            return True
    return False


_HASHTAG = re.compile(r"[#＃]\w*[^\W\d]\w*")
_SEPARATOR = re.compile(r"\s*[,;|/、，；]\s*")
_SMALL_ZH = re.compile("[的了着在是有和与正被把从向着过]")
MIN_ITEMS = 6


def is_keywords(text: str) -> bool:
    """Hashtags, or a list of search words where a sentence was to be."""
    if len(_HASHTAG.findall(text)) >= 3:
        return True
    han = count_han(text)
    if han * 2 >= sum(c.isalpha() for c in text):
        items = [i for i in re.split(r"[,;|/、，；\s]+", text) if i]
        short = sum(map(len, items)) <= 5 * len(items)
        separators = Counter(c for c in text if c in ",;|/、，； ")
        return (
            len(items) >= MIN_ITEMS
            and short
            and not re.search("[。！？：]", text)
            and not _SMALL_ZH.search(text)
            and max(separators.values()) >= len(items) - 2
            and (separators.most_common(1)[0][0] != "，" or sum(map(len, items)) <= 3 * len(items))
        )
    items = [words(i) for i in _SEPARATOR.split(text) if i]
    spoken = words(text)
    small = sum(word in ENGLISH or word in ELSEWHERE for word in spoken)
    if len(items) >= MIN_ITEMS:
        return sum(map(len, items)) <= 2.5 * len(items) and small <= 0.15 * len(spoken)
    return len(spoken) >= 10 and small == 0 and len(items) <= 2 and not re.search(r"[.:!?]\s|[.!?]$", text)


_OPEN = re.compile(r"“[^“”]*$|「[^「」]*$|[(（][^()（）]*$")
_ENDED = re.compile(r"[.!?。！？…)）\]】]['\"”’」』]*$")


def is_truncated(text: str, own: str) -> bool:
    """Cut off: it ends in a word that must go on, in a comma, or inside a quotation or bracket. `own`: it unquoted."""
    if _OPEN.search(own.replace("“”", "")) or (own.count('"') % 2 and not re.search(r'\d"', own)):
        return not _ENDED.search(text.strip())
    end = re.sub(r"(?:\.\.\.|…)+$", "", own).rstrip()
    if re.search("[,，、;；:：]$", end) and len(end) > 1:
        return len(words(own)) + count_han(own) > 2
    return UNFINISHED_ZH.search(end) is not None or (len(words(own)) > 3 and UNFINISHED_EN.search(end) is not None)
