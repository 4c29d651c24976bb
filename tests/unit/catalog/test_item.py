"""What makes an item fit for trade."""

import pytest

from chassis.kernel.errors import FailedPrecondition, InvalidArgument
from services.catalog.domain.item import Lifecycle, after, missing_attributes, normal_gtin, normal_sku


def test_normal_forms() -> None:
    assert normal_sku("  ab-1 ") == "AB-1"
    assert normal_gtin("4006381333931") == "4006381333931"
    assert normal_gtin("  ") is None
    with pytest.raises(InvalidArgument):
        normal_sku("   ")
    for wrong in ("4006381333930", "123", "abc", "40063813339311"):
        with pytest.raises(InvalidArgument, match="is no GTIN"):
            normal_gtin(wrong)


def test_the_governed_life_goes_one_way() -> None:
    state = Lifecycle.DRAFT
    for step, following in (("submit", Lifecycle.IN_REVIEW), ("approve", Lifecycle.APPROVED), ("publish", Lifecycle.PUBLISHED)):
        with pytest.raises(FailedPrecondition, match="an item must be"):
            after("publish" if step != "publish" else "submit", state)
        state = after(step, state)
        assert state is following
    assert after("retire", state) is Lifecycle.RETIRED
    for step in ("submit", "approve", "publish", "retire"):
        with pytest.raises(FailedPrecondition):
            after(step, Lifecycle.RETIRED)


def test_missing_attributes_are_named_in_order() -> None:
    given = {"name": "x", "brand": "", "tax_class": "s", "weight_g": 0, "origin_country_code": "DE", "hs_code": ""}
    assert missing_attributes(given) == ["brand", "weight_g", "hs_code"]
