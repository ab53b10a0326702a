"""The catalogue: its files, its two languages, and the sources that speak with it."""

from __future__ import annotations

import ast
import functools
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common import catalogue
from common.catalogue import LANGUAGES, Language, Sentence, detect_language, load, sentences, translate
from tests.each import each_of
from tests.sources import GROUP, ROOT, parsed

pytestmark = pytest.mark.xdist_group(GROUP)

HAN = re.compile(r"[\u3400-\u9fff]")


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small catalogue in place of the real one."""
    texts = {
        "offline": {"en": "{agent} is offline", "zh": "{agent} 离线"},
        "because": {"en": "{what}: {why}", "zh": "{what}：{why}"},
        "odd": {"en": "{key} in {language}", "zh": "{language} 里的 {key}"},
        "braces": {"en": "{{{agent}}}", "zh": "{{{agent}}}"},
    }
    monkeypatch.setattr(catalogue, "sentences", lambda: texts)


# ---- saying


@pytest.mark.usefixtures("spoken")
def test_a_sentence_is_said_in_either_language() -> None:
    """By key and values, at once or later."""
    assert translate("en", "offline", agent="web-1") == "web-1 is offline"
    assert translate("zh", "offline", agent="web-1") == "web-1 离线"
    later = Sentence("offline", {"agent": "web-1"})
    assert later.render("zh") == "web-1 离线"
    assert str(later) == "web-1 is offline"


@pytest.mark.usefixtures("spoken")
def test_a_sentence_within_a_sentence_is_said_in_the_same_language() -> None:
    """A reason is a sentence too; languages are never mixed."""
    whole = Sentence("because", {"what": "r42", "why": Sentence("offline", {"agent": "web-1"})})
    assert whole.render("zh") == "r42：web-1 离线"
    assert whole.render("en") == "r42: web-1 is offline"


@pytest.mark.usefixtures("spoken")
def test_a_value_is_never_a_template() -> None:
    """Braces and attributes in what people and machines say are shown, not looked up."""
    assert translate("en", "offline", agent="{agent.__class__}{0}") == "{agent.__class__}{0} is offline"
    assert translate("en", "braces", agent="x") == "{x}"


@pytest.mark.usefixtures("spoken")
def test_a_placeholder_may_have_any_name() -> None:
    """Also the names of the parameters of `translate`."""
    assert translate("en", "odd", key="k", language="l") == "k in l"
    assert Sentence("odd", {"key": "k", "language": "l"}).render("zh") == "l 里的 k"


@pytest.mark.usefixtures("spoken")
def test_an_unknown_key_and_a_missing_value_are_programming_errors() -> None:
    """KeyError, wherever they happen."""
    with pytest.raises(KeyError):
        translate("en", "no_such_key")
    with pytest.raises(KeyError):
        translate("en", "offline")


@each_of(
    ("text", "language"),
    [
        ("disk on web-1", "en"),
        ("", "en"),
        ("café Ünïcode 😀", "en"),
        ("web-1 的磁盘", "zh"),
        ("磁盘", "zh"),
        ("restart 服", "zh"),
        ("〇", "zh"),
        ("\U00020bb7", "zh"),
        ("\u4dc0", "en"),
        ("ひらがな", "en"),
    ],
)
def test_a_han_character_makes_it_chinese(text: str, language: Language) -> None:
    """One is enough, also a rare one; anything else is answered in English."""
    assert detect_language(text) == language


# ---- files


def test_a_folder_of_files_is_one_catalogue(tmp_path: Path) -> None:
    """Keys of all TOML files together; other files are not read."""
    (tmp_path / "a.toml").write_text('[one]\nen = "1"\nzh = "一"\n', encoding="utf-8")
    (tmp_path / "b.toml").write_text('[two]\nen = "2"\nzh = "二"\n', encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not TOML [", encoding="utf-8")
    assert load(tmp_path) == {"one": {"en": "1", "zh": "一"}, "two": {"en": "2", "zh": "二"}}


def test_a_key_in_two_files_is_refused(tmp_path: Path) -> None:
    """The file and the key are named."""
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text('[one]\nen = "1"\nzh = "一"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"b\.toml: one is in another file"):
        load(tmp_path)


def placeholders(text: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]


def test_every_sentence_is_in_both_languages_with_the_same_placeholders() -> None:
    """English and Chinese, neither empty, with the same values in them, in plain `{name}` form."""
    wrong = []
    for key, texts in sentences().items():
        if sorted(texts) != sorted(LANGUAGES) or not all(
            isinstance(text, str) and text.strip() for text in texts.values()
        ):
            wrong.append(f"{key}: needs en and zh, and nothing else")
        elif set(placeholders(texts["en"])) != set(placeholders(texts["zh"])):
            wrong.append(f"{key}: {placeholders(texts['en'])} in English, {placeholders(texts['zh'])} in Chinese")
        elif not all(name.isidentifier() for name in placeholders(texts["en"])):
            wrong.append(f"{key}: a placeholder is a plain name")
        elif any(
            spec or conversion for text in texts.values() for _, _, spec, conversion in string.Formatter().parse(text)
        ):
            wrong.append(f"{key}: a placeholder has no format")
        elif not re.fullmatch(r"[a-z][a-z0-9_]*", key):
            wrong.append(f"{key}: keys are lower case with underscores")
    assert not wrong, "\n".join(wrong)


def test_languages_are_not_mixed_up() -> None:
    """No Han character in an English sentence but for quoted examples; no Chinese one that is the English one."""
    wrong = []
    for key, texts in sentences().items():
        bare = re.sub(r"“[^”]*”|`[^`]*`|「[^」]*」|\([^)]*\)", "", texts["en"])
        if HAN.search(bare):
            wrong.append(f"{key}.en: {texts['en']}")
        said = re.sub(r"\{[^}]*\}|[\W\d_]", "", texts["zh"])
        if said and said == re.sub(r"\{[^}]*\}|[\W\d_]", "", texts["en"]) and len(said) > 3:
            wrong.append(f"{key}.zh: {texts['zh']}")
    assert not wrong, "\n".join(wrong)


# ---- the sources and the files, held together


class Use:
    """One call of `translate` or `Sentence`: its key or a pattern of keys, and its values' names where they can be
    seen.
    """

    def __init__(self, where: str, key: str, exact: bool, given: set[str] | None) -> None:
        self.where = where
        self.key = key
        self.exact = exact
        self.given = given


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path, tree in parsed().items():
        yield str(path.relative_to(ROOT)), tree


@functools.cache
def all_uses() -> list[Use]:
    return [use for where, tree in trees() for use in uses(where, tree)]


def uses(where: str, tree: ast.AST) -> Iterator[Use]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        place = {"translate": 1, "Sentence": 0}.get(name)
        if place is None or len(node.args) <= place:
            continue
        here = f"{where}:{node.lineno}"
        for key in _alternatives(node.args[place]):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield Use(here, key.value, True, _given(node, name))
            elif isinstance(key, ast.JoinedStr):
                parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in key.values]
                yield Use(here, "".join(parts), False, None)


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """`a if x else b` is both."""
    if isinstance(node, ast.IfExp):
        return _alternatives(node.body) + _alternatives(node.orelse)
    return [node]


def _given(call: ast.Call, name: str) -> set[str] | None:
    """Names of the values given to a call; None where they cannot be read off."""
    if name == "translate":
        names = [keyword.arg for keyword in call.keywords]
        return None if None in names else {name for name in names if name is not None}
    values = call.args[1] if len(call.args) > 1 else next((k.value for k in call.keywords if k.arg == "values"), None)
    if values is None:
        return set()
    if not isinstance(values, ast.Dict) or not all(isinstance(key, ast.Constant) for key in values.keys):
        return None
    return {str(key.value) for key in values.keys if isinstance(key, ast.Constant)}


def test_every_key_that_the_sources_say_is_in_the_catalogue() -> None:
    """A misspelt key fails here, not in front of a person."""
    missing = []
    for use in all_uses():
        found = use.key in sentences() if use.exact else any(re.fullmatch(use.key, key) for key in sentences())
        if not found:
            missing.append(f"{use.where}: {use.key}")
    assert not missing, "not in common/sentences/:\n" + "\n".join(missing)


def test_every_placeholder_is_given_its_value() -> None:
    """Where a call's values can be read off the source, none that the sentence needs is missing."""
    missing = []
    for use in all_uses():
        if use.exact and use.given is not None and use.key in sentences():
            lacking = set(placeholders(sentences()[use.key]["en"])) - use.given
            if lacking:
                missing.append(f"{use.where}: {use.key} without {', '.join(sorted(lacking))}")
    assert not missing, "\n".join(missing)


def is_said(key: str, constants: set[str]) -> bool:
    """Whether the key stands in the sources, whole or as a beginning and an ending such as `_other`."""
    cuts = [at for at, char in enumerate(key) if char == "_"]
    return key in constants or any({key[:at], key[at:]} <= constants for at in cuts)


def test_every_sentence_is_said_somewhere() -> None:
    """A key that no source mentions is dead, or the one that was meant is misspelt."""
    constants: set[str] = set()
    patterns = {use.key for use in all_uses() if not use.exact}
    for _, tree in trees():
        constants.update(
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
    unused = [
        key
        for key in sorted(sentences())
        if not is_said(key, constants) and not any(re.fullmatch(pattern, key) for pattern in patterns)
    ]
    assert not unused, "said nowhere: " + ", ".join(unused)


def test_the_search_for_keys_finds_them() -> None:
    """Calls in every form are seen; without this the checks above could pass by seeing nothing."""
    source = """
translate("en", "one", a=1)
catalogue.translate(lang, "two" if x else "three", **values)
Sentence("four", {"b": 1})
Sentence(f"five_{kind}_form", {**values, "c": 1})
Sentence("six")
self.render("en")
Sentence(key)
"""
    found: list[tuple[Any, ...]] = [(use.key, use.exact, use.given) for use in uses("x", ast.parse(source))]
    assert found == [
        ("one", True, {"a"}),
        ("two", True, None),
        ("three", True, None),
        ("four", True, {"b"}),
        ("five_.+_form", False, None),
        ("six", True, set()),
    ]
    assert is_said("ask_one_other", {"ask_one", "_other"})
    assert not is_said("ask_one_other", {"ask_one", "other"})
    assert len(all_uses()) > 20


HOSTILE = "\x07\x1b\x7f\x85\x9b\xad\u061c\u200b\u202e\u2028\u2066\u3164\ufe0f\ufeff\U000e0041\ud800"


def test_no_value_brings_hidden_characters_into_a_sentence() -> None:
    """Trust (A3 B6, invisible Unicode; hostile text): every sentence, in both languages, with every value hostile and
    with one inside another sentence. Lines of a value stay lines, and what people write stays as it is.
    """
    for key, texts in sentences().items():
        for language in LANGUAGES:
            names = [name for _, name, spec, _ in string.Formatter().parse(texts[language]) if name and not spec]
            numbers = [name for _, name, spec, _ in string.Formatter().parse(texts[language]) if name and spec]
            values = dict.fromkeys(names, f"a{HOSTILE}b") | dict.fromkeys(numbers, 1)
            assert not set(translate(language, key, **values)) & set(HOSTILE), (key, language)
    inner = Sentence("unknown_person", {"identity": f"ops:{HOSTILE}", "admins": "alice"})
    told = Sentence("who_may", {"why": inner, "names": HOSTILE}).render("zh")
    assert not set(told) & set(HOSTILE)
    kept = "naïve café 名字　全角 émoji 🙂\nsecond line"
    assert kept in translate("en", "who_may", why=kept, names="x")
