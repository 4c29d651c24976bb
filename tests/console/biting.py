"""Strings that bite where somebody forgot to escape, to bound or to parse."""

BITING = (
    '"><script>alert(1)</script>', "'); DROP TABLE orders; --", "{{ 7 * 7 }} ${7*7} <%= 7 %>", "<img src=x onerror=alert(1)>",
    "\u202egnirts thgir-ot-thgiL", "Ω≈ç√∫ 😀", "=HYPERLINK(\"http://evil.example\")", "javascript:alert(1)", "%00%0d%0aSet-Cookie:x=1",
)  # fmt: skip
