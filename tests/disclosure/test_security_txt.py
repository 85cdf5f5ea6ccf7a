from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wellstreak_trust.core import FixedClock
from wellstreak_trust.disclosure import SecurityTxt, SecurityTxtExpired, SecurityTxtInvalid

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CLOCK = FixedClock(NOW)
GOOD = "Contact: mailto:security@example.com\nExpires: 2027-05-01T00:00:00Z\n"


def make(**fields: Any) -> SecurityTxt:
    return SecurityTxt(**{"contact": ("mailto:s@example.com",), "reviewed_at": NOW, "clock": CLOCK, **fields})


def test_render_and_parse_are_inverse() -> None:
    full = make(
        encryption=("dns:x._openpgpkey.example.com",),
        policy=("https://example.com/policy",),
        canonical=("https://example.com/.well-known/security.txt",),
        preferred_languages=("en", "de-CH"),
        csaf=("https://example.com/.well-known/csaf/provider-metadata.json",),
    )
    text = full.render()
    assert SecurityTxt.parse(text, NOW).render(NOW) == text
    assert SecurityTxt.parse(text.replace("\n", "\r\n").encode(), NOW).render(NOW) == text
    assert text.startswith("Contact: mailto:s@example.com\nExpires: 2027-05-23T00:00:00Z\n")


def test_it_rolls_only_when_somebody_reviews() -> None:
    file = make(valid_for=timedelta(days=10))
    assert "2026-12-04" in file.render(NOW + timedelta(days=9))
    with pytest.raises(SecurityTxtExpired):
        file.render(NOW + timedelta(days=10))


@pytest.mark.parametrize(
    "fields",
    [
        {"contact": ()},
        {"contact": ("security@example.com",)},
        {"contact": ("http://example.com",)},
        {"contact": ("mailto:a@b\nPolicy: https://evil",)},
        {"contact": "mailto:a@b"},
        {"contact": ("mailto:a b",)},
        {"expires": NOW + timedelta(days=5)},
        {"reviewed_at": None},
        {"reviewed_at": None, "expires": NOW + timedelta(days=400)},
        {"preferred_languages": ("e",)},
        {"preferred_languages": "en"},
        {"policy": ("http://example.com",)},
        {"csaf": ("https://example.com/x.json",)},
        {"contact": None},
        {"preferred_languages": None},
        {"reviewed_at": datetime(2026, 11, 24)},
        {"reviewed_at": None, "expires": "2027-01-01T00:00:00Z"},
        {"valid_for": 180},
        {"valid_for": timedelta.max},
        {"valid_for": timedelta()},
    ],
)
def test_constructor_refusals(fields: dict[str, Any]) -> None:
    with pytest.raises(SecurityTxtInvalid):
        make(**fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Contact: mailto:a@b\n",
        GOOD + "Expires: 2027-05-01T00:00:00Z\n",
        GOOD.replace("T00:00:00Z", ""),
        GOOD.replace("Z\n", "\n"),
        GOOD.replace("2027-05-01", "2027-13-01"),
        GOOD + "Policy:https://example.com\n",
        GOOD + "Policy: \n",
        GOOD + ": x\n",
        GOOD + "no colon\n",
        GOOD + "Contact: http://example.com\n",
        GOOD + "Preferred-Languages: en\nPreferred-Languages: de\n",
        "\ufeff" + GOOD,
        b"\xff\xfe",
        GOOD.replace("Contact", "Kontakt"),
    ],
)
def test_parse_refusals(text: str | bytes) -> None:
    with pytest.raises(SecurityTxtInvalid):
        SecurityTxt.parse(text, NOW)


def test_parse_is_lenient_where_the_rfc_is() -> None:
    text = "# hello\n\ncontact: tel:+1-201-555-0123\nFuture: x\nexpires: 2027-01-01t00:00:00+01:00\n"
    parsed = SecurityTxt.parse(text, NOW)
    assert parsed.contact == ("tel:+1-201-555-0123",)
    with pytest.raises(SecurityTxtExpired):
        SecurityTxt.parse(GOOD, NOW + timedelta(days=300))


SIGNED = f"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

- # a comment
{GOOD}- Hiring: https://example.com/jobs
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQ
-----END PGP SIGNATURE-----
"""


def test_a_signed_file_is_what_was_signed() -> None:
    found = SecurityTxt.parse(SIGNED, NOW)
    assert (found.contact, found.hiring) == (("mailto:security@example.com",), ("https://example.com/jobs",))
    with pytest.raises(SecurityTxtInvalid) as caught:
        SecurityTxt.parse(SIGNED.replace("- Hiring", "- Hiring "), NOW)
    assert caught.value.line == 7


@pytest.mark.parametrize(
    "text",
    [
        SIGNED + "Contact: mailto:evil@example.org\n",
        SIGNED.replace("Hash: SHA512", "Contact: mailto:evil@example.org"),
        SIGNED.replace("- Hiring", "-Hiring"),
        SIGNED.replace("-----END PGP SIGNATURE-----", ""),
        "# first\n" + SIGNED,
        "-----BEGIN PGP SIGNED MESSAGE-----",
    ],
    ids=["after", "header", "dash", "open", "before", "alone"],
)
def test_nothing_stands_beside_what_was_signed(text: str) -> None:
    with pytest.raises(SecurityTxtInvalid):
        SecurityTxt.parse(text, NOW)
