"""How notices are worded: what comes with Argosy, plain words in a frame, and what a template may not do."""

import pytest

from chassis.kernel.errors import InvalidArgument
from gateway.app.notice_templates import KINDS, name_of
from gateway.voice.facts import facts_of, made_up, made_up_event, made_up_link
from gateway.voice.mail import Letter, Mail, as_message
from gateway.voice.wording import LANGUAGES, Words, choices, own_words, render


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_comes_with_argosy_can_be_told(language: str) -> None:
    for kind in KINDS:
        made = render(own_words(name_of(kind), language), facts_of(kind, made_up_event(kind), made_up(), "Harbour", language, made_up_link))
        assert made.subject
        assert "{" not in made.subject + made.text + made.html.partition("<h1")[2]
        assert "\n\n\n" not in made.text
        assert made.text.endswith("Harbour\n")


def test_amounts_and_days_are_written_as_the_language_does() -> None:
    facts = {language: facts_of(2, made_up_event(2), made_up(), "Harbour", language, made_up_link) for language in ("en", "de-AT", "xx")}
    assert facts["en"]["order"]["total"] == "€99.96"
    assert facts["de-AT"]["order"]["total"] == "€\xa099,96"
    assert facts["xx"]["order"]["total"] == "€99.96"
    # What arrives by midnight arrives on the day before.
    assert facts["en"]["delay"] == {"promised_on": "March 5, 2026", "expected_on": "March 8, 2026"}


def test_plain_words_become_paragraphs_and_points_and_nothing_else() -> None:
    made = render(Words("Hi", "Dear {{ name }},\n\n- one\n- two\nend\n"), {"name": "<script>"})
    assert '<p style="margin:0 0 1rem">Dear &lt;script&gt;,</p>' in made.html
    assert "<li>one</li><li>two</li></ul>" in made.html
    assert "<script>" in made.text


def test_a_subject_is_one_line_whatever_is_in_it() -> None:
    made = render(Words("For {{ name }}", "x"), {"name": "Eve\r\nBcc: all@example.com"})
    letter = Letter("n", "a@shop.example", "Müller & Söhne", "", "b@example.com", made.subject, made.text, made.html, "de")
    message = as_message(letter)
    assert message["Subject"] == "For Eve Bcc: all@example.com"
    assert "Bcc" not in message


@pytest.mark.parametrize(
    "text", ["{% for a in order %}{% for b in order %}x{% endfor %}", "{{ 2 ** 9999999 }}", "{{ ''.__class__ }}", "{{ nothing }}"]
)
def test_a_template_that_cannot_be_told_is_refused_by_part(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        render(Words("fine", text), {"order": [1, 2]})
    assert (caught.value.reason, caught.value.field) == ("INVALID_TEMPLATE", "text")


def test_a_template_that_says_too_much_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="characters come of it"):
        render(Words("fine", "{% for a in order %}{% for b in order %}{{ a }}{% endfor %}{% endfor %}"), {"order": ["x" * 100] * 100})


def test_languages_are_looked_for_from_the_most_to_the_least_fitting() -> None:
    assert choices("de-AT", "fr") == ["de-AT", "de", "fr", "en"]
    assert choices("", "") == ["en"]


def test_a_mail_server_of_no_known_kind_is_named() -> None:
    with pytest.raises(ValueError, match="smtps://, smtp://, smtp\\+plain://"):
        Mail().set_up("http://mail.example")
