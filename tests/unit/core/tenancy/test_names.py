"""Names of tenants: what is one tenant, what is refused, and what their slugs can be used for."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from collegium_core.errors import BadRequest
from collegium_core.tenancy.names import MAX_CODE_POINTS, RESERVED, TenantName, is_slug, parse_name

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Letters that have several spellings come often, so that two names often are one tenant.
LETTERS = "aAbFIsS\u00dfE\u0301\u00e9\ufb01\u00c5\u212b\u03c3\u03c2\u03a3\u5b66\uff21\uff111 -_"
names = st.text(
    st.sampled_from(LETTERS)
    | st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"], exclude_characters='/\\%?#."<>'),
    min_size=1,
    max_size=24,
).map(str.strip)
pairs = st.tuples(names, names) | names.flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from([name.upper(), name.casefold(), name + name[-1:], name[1:]]))
)


def parsed(text: str) -> TenantName:
    """Return the forms of *text*, leaving out what is no name."""
    try:
        return parse_name(text)
    except BadRequest:
        assume(False)
        raise


@given(text=names)
@example("学び")
@example("a" * MAX_CODE_POINTS)
@example("\ufdfa" * 14)
def test_a_slug_is_a_label(text: str) -> None:
    """It fits everything named after a tenant: at most 63 of a to z, digits and hyphens, none at an end."""
    slug = parsed(text).slug

    assert LABEL.fullmatch(slug)
    assert is_slug(slug)
    assert len(slug) <= 63


@given(pair=pairs)
@example(("straße", "STRASSE"))
@example(("a b", "a-b"))
@example(("学", "学 学"))
def test_slugs_are_equal_where_the_compared_forms_are(pair: tuple[str, str]) -> None:
    """One tenant has one slug, two tenants have two, whatever of their names a slug can show."""
    left, right = map(parsed, pair)

    assert (left.canonical == right.canonical) == (left.slug == right.slug)


@given(text=names)
def test_spellings_of_a_name_are_one_tenant(text: str) -> None:
    """Composed or not, wide or narrow, upper or lower case: what people take for the same word is the same tenant."""
    name = parsed(text)

    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        spelling = unicodedata.normalize(form, text)
        if spelling == spelling.strip() and len(unicodedata.normalize("NFC", spelling)) <= MAX_CODE_POINTS:
            assert name.slug == parsed(spelling).slug
    if len(unicodedata.normalize("NFC", text.casefold())) <= MAX_CODE_POINTS:
        assert name.slug == parsed(text.casefold()).slug


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("acme", "ACME"),
        ("acme", "ＡＣＭＥ"),  # noqa: RUF001 - full width, on purpose
        ("Caf\u00e9", "cafe\u0301"),
        ("ﬁrm", "FIRM"),
        ("Straße", "strasse"),
        ("ΟΔΟΣ", "οδος"),
        ("\u212bngstrom", "a\u030angstrom"),
    ],
)
def test_one_tenant_in_two_spellings(one: str, other: str) -> None:
    """The shown form stays as it was given, in NFC; the others are one."""
    left, right = parse_name(one), parse_name(other)

    assert (left.canonical, left.slug) == (right.canonical, right.slug)
    assert unicodedata.normalize("NFC", one) == left.display


@given(text=names)
def test_the_compared_form_names_the_same_tenant(text: str) -> None:
    """Normalising again changes nothing."""
    name = parsed(text)
    assume(len(name.canonical) <= MAX_CODE_POINTS)

    assert (name.canonical, name.slug) == (parsed(name.canonical).canonical, parsed(name.canonical).slug)


def test_a_slug_shows_what_can_be_read_of_a_name() -> None:
    """Twenty characters of it, then a digest; the digest alone where nothing can be read."""
    assert parse_name("Acme Learning & Development Ltd").slug.startswith("t-acme-learning-develo-")
    assert re.fullmatch(r"t-[a-z2-7]{16}", parse_name("学び").slug)


def test_slugs_stay() -> None:
    """Stores and clusters are full of them: a change of the rule would lose every tenant."""
    assert "t-default-5ubhdavq6mi45wsx" == parse_name("default").slug
    assert "t-acme-rq3shlbl4cuwnrkb" == parse_name("acme").slug


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_reserved_words_are_refused_in_every_spelling(word: str) -> None:
    """The first element of a path must mean one thing."""
    wide = "".join(chr(ord(c) + 0xFEE0) if "a" <= c <= "z" else c for c in word)
    for spelling in (word, word.upper(), wide):
        with pytest.raises(BadRequest, match="reserved"):
            parse_name(spelling)


@pytest.mark.parametrize(
    "character", [*'/\\%?#."<>', "\0", "\n", "\x7f", "\u200b", "\u202e", "\u2028", "\ue000", "\ud800"]
)
def test_characters_that_mislead_are_refused(character: str) -> None:
    """Separators of paths and queries, quotes, and what cannot be seen; the message shows which."""
    with pytest.raises(BadRequest, match="must not contain") as raised:
        parse_name(f"a{character}b")

    assert raised.value.detail.isascii()


@pytest.mark.parametrize("text", ["", " a", "a ", "\u3000a", "a" * (MAX_CODE_POINTS + 1), "\ufdfa" * 20])
def test_what_is_no_name(text: str) -> None:
    """Empty, with white space at an end, too long, or too long in its compared form."""
    with pytest.raises(BadRequest):
        parse_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t",
        "t-",
        "pool",
        "acme",
        "-t-a",
        "t-a-",
        "T-a",
        "t-A",
        "t-a.b",
        "t-a/b",
        "..",
        "t-*",
        "t-a,t-b",
        "t-a\n",
        "t-é",
        "t-" + "a" * 62,
    ],
)
def test_what_is_no_slug(text: str) -> None:
    """A path, a pattern, a list or a store's own name never passes for one."""
    assert not is_slug(text)


@given(text=st.text(st.sampled_from("t-a1Z./*,\n é"), max_size=66))
@example("t-" + "a" * 61)
def test_a_slug_is_a_label_that_begins_with_its_mark(text: str) -> None:
    """The form is that and no more."""
    assert (bool(LABEL.fullmatch(text)) and text.startswith("t-")) == is_slug(text)
