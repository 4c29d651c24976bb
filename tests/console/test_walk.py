"""Every page in a real browser: happy, empty, forbidden and in conflict; strings that bite in every field; axe finds nothing."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from argosy.gateway.v1 import access_service_pb2
from chassis.kernel.ids import new_id
from gateway.calls import Calls
from tests.console.biting import BITING
from tests.console.conftest import House
from tests.console.house import bury_event, jobs_ended, order_from_a_provider, order_to_collect, settled, stock_up
from tests.console.walk import LISTS, PAGES, Person, person


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_shows_itself_and_axe_finds_nothing(browser: Any, house: House, dark: bool) -> None:
    with person(browser, house, "olivia", dark=dark) as olivia:
        found = {}
        for name in PAGES:
            assert olivia.open(name) == 200, name
            assert olivia.page.locator("h1").count() == 1, name
            found[name] = olivia.violations("color-contrast" if dark else "")
        assert not any(found.values()), found


def test_signing_in_and_out(browser: Any, empty_house: House) -> None:
    context = browser.new_context()
    visitor = Person(context.new_page(), empty_house)
    visitor.go("/console/stock?sku=A")
    assert visitor.violations() == []
    visitor.page.fill("[name=user_id]", "olivia")
    visitor.page.fill("[name=password]", "not hers at all")
    assert visitor.press("Sign in") == 401
    assert visitor.violations() == []
    visitor.page.fill("[name=user_id]", "olivia")
    visitor.page.fill("[name=password]", empty_house.password)
    assert visitor.press("Sign in") == 200
    assert visitor.page.url.endswith("/console/stock?sku=A")
    assert visitor.press("Sign out") == 200
    visitor.go("/console/stock")
    assert "/sign-in" in visitor.page.url
    assert [one for one in visitor.wrong if "status of 401" not in one] == []
    context.close()


def test_narrow_pages_do_not_scroll_sideways(browser: Any, house: House) -> None:
    with person(browser, house, "olivia", width=420) as olivia:
        wide = {}
        for name in PAGES:
            olivia.open(name)
            if name == "notification":
                # What it is called is as long as an event's name is.
                olivia.page.evaluate("document.querySelector('h1').firstChild.textContent = 'FulfillmentOrderRecalled'.repeat(3)")
            wide[name] = olivia.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert max(wide.values()) <= 0, wide


def test_an_empty_house_says_so(browser: Any, empty_house: House) -> None:
    with person(browser, empty_house, "olivia") as olivia:
        for name in LISTS:
            assert olivia.open(name) == 200, name
            assert olivia.violations() == [], name
            if name not in ("overview", "new order"):
                assert olivia.page.locator(".empty").count() >= 1, name
    with person(browser, empty_house, "ada") as ada:
        assert ada.go("/console/people") == 200
        assert ada.violations() == []


def test_what_is_forbidden_says_which_permission_is_needed(browser: Any, house: House) -> None:
    with person(browser, house, "ada") as ada:
        for path, permission in (
            ("/console/orders", "orders.orders.read"), ("/console/stock", "catalog.items.read"),
            ("/console/fulfilment", "fulfillment.orders.read"), ("/console/returns", "returns.returns.read"),
            ("/console/ledger", "finance.journal.read"), ("/console/holds", "ops.holds.read"),
        ):  # fmt: skip
            assert ada.go(path) == 403, path
            assert permission in ada.page.inner_text("main")
            assert ada.violations() == []
        assert ada.go("/console/orders/none") == 403
        ada.wrong = [one for one in ada.wrong if "403" not in one]  # the browser itself notes them
    with person(browser, house, "olivia") as olivia:
        assert olivia.go("/console/orders/none") == 404
        assert olivia.violations() == []
        olivia.wrong = [one for one in olivia.wrong if "404" not in one]


def enter_order(visitor: Person, number: str, sku: str, quantity: str = "1", **fields: str) -> int:
    visitor.go("/console/orders/new")
    given = {
        "number": number, "name": "A. Customer", "street": "Main Street 1", "postal_code": "10115", "locality": "Berlin",
        "country_code": "DE", "sku-0": sku, "quantity-0": quantity, "amount-0": "10.00", "paid": "11.90", "method": "card", **fields,
    }  # fmt: skip
    for name, value in given.items():
        visitor.page.fill(f"[name='{name}']", value)
    return visitor.press("Take the order")


def test_the_last_unit_is_bought_once(browser: Any, house: House) -> None:
    with person(browser, house, "olivia") as olivia:
        olivia.go("/console/stock?sku=LAST-1")
        # One, unless more came in before.
        left = olivia.page.inner_text("main").split("web ")[1].split()[0]
        orders = []
        for number, quantity in (("L-1", left), ("L-2", "1")):
            assert enter_order(olivia, number, "LAST-1", quantity) == 200
            assert "The order was taken" in olivia.told()
            orders.append(olivia.page.url.split("?")[0].rsplit("/", 1)[1])
        house.door.run(settled(house.door.suite))
        shown = []
        for one in orders:
            olivia.go(f"/console/orders/{one}")
            shown.append(olivia.page.inner_text("h1 .chip"))
        assert sorted(shown) == ["on hold", "open"]
        olivia.go("/console/stock?sku=LAST-1")
        assert "web 0" in olivia.page.inner_text("main")
        # The same number again is the same order, not another one.
        assert enter_order(olivia, "L-1", "LAST-1", quantity="9") in (409, 422)
        olivia.wrong = [one for one in olivia.wrong if "40" not in one and "42" not in one]


def test_two_who_resolve_one_hold(browser: Any, house: House) -> None:
    with person(browser, house, "olivia") as olivia, person(browser, house, "sam") as sam:
        for one in (olivia, sam):
            one.go("/console/holds?queue=payment")
        assert olivia.press("Claim") == 200
        assert "The hold is yours" in olivia.told()
        assert sam.press("Claim") == 422
        assert "olivia has claimed this hold" in sam.told()
        olivia.go("/console/holds?queue=payment")
        sam.go("/console/holds?queue=payment")
        for one, status in ((olivia, 200), (sam, 422)):
            one.page.locator("[name=resolution]").first.fill("the customer paid by transfer")
            assert one.press("Release") == status
        assert "released already" in sam.told()
        assert sam.violations() == []
        sam.wrong = [one for one in sam.wrong if "422" not in one]


def test_people_let_go_of_the_holds_of_their_roles(browser: Any, house: House) -> None:
    with person(browser, house, "sam") as sam:
        sam.go("/console/holds")
        rows = sam.page.locator("main table").first.locator("tbody tr")
        buttons = {}
        for number in range(rows.count()):
            row = rows.nth(number)
            own = "support" in row.locator("td").nth(5).inner_text()
            buttons.setdefault(own, set()).add(row.get_by_role("button", name="Release").count())
        assert buttons == {True: {1}, False: {0}}
        sam.page.select_option("[name=role]", "operations")
        sam.press("Filter")
        shown = sam.page.locator("main table").first.locator("tbody").inner_text()
        assert "operations" in shown and "support" not in shown
        sam.page.check("[name=mine]")
        sam.press("Filter")
        assert "Nothing waits for a person" in sam.page.inner_text("main")
        assert sam.violations() == []


def test_two_who_correct_one_balance(browser: Any, house: House) -> None:
    with person(browser, house, "olivia") as olivia, person(browser, house, "olivia") as again:
        for one in (olivia, again):
            one.open("item")
            one.page.fill("form[action$=adjust] [name=quantity]", "3")
            one.page.fill("form[action$=adjust] [name=reason]", "counted")
        assert olivia.press("Adjust") == 200
        assert "was corrected" in olivia.told()
        assert again.press("Adjust") == 409
        assert "Somebody was faster" in again.told()
        again.wrong = [one for one in again.wrong if "409" not in one]
    with person(browser, house, "pavel") as pavel:
        pavel.open("item")
        pavel.page.fill("form[action$=receive] [name=quantity]", "4")
        pavel.page.fill("form[action$=receive] [name=value]", "12.50")
        assert pavel.press("Receive") == 200
        assert "€12.50" in pavel.page.inner_text("section:has(#h-ledger)")


def test_what_is_worth_much_waits_for_another_person(browser: Any, house: House) -> None:
    with person(browser, house, "olivia") as olivia, person(browser, house, "fiona") as fiona:
        olivia.open("item")
        olivia.page.fill("form[action$=adjust] [name=quantity]", "90000")
        olivia.page.fill("form[action$=adjust] [name=reason]", "found a warehouse")
        assert olivia.press("Adjust") == 200
        assert "another person must approve" in olivia.told()
        olivia.go("/console/approvals")
        assert "found a warehouse" in olivia.page.inner_text("main")
        assert olivia.page.get_by_role("button", name="Approve").count() == 0
        fiona.go("/console/approvals")
        fiona.page.locator("[name=note]").first.fill("no such warehouse")
        assert fiona.press("Reject") == 200
        assert "nothing was done" in fiona.told()
        fiona.go("/console/approvals?all=1")
        assert "no such warehouse" in fiona.page.inner_text("main")
        assert olivia.press("Take back") in (400, 409, 422)
        assert "decided already" in olivia.told()
        olivia.wrong = [one for one in olivia.wrong if "status of 4" not in one]


def test_what_runs_low_is_proposed_ordered_and_dismissed(browser: Any, house: House) -> None:
    with person(browser, house, "pavel") as pavel:
        pavel.open("planning")
        assert pavel.press("Plan now") == 200
        assert "Planning has begun" in pavel.told()
        house.door.run(jobs_ended(house.door.calls, "inventory"))
        pavel.go("/console/planning")
        assert "forecast and" in pavel.page.inner_text("tr:has-text('SOAP-1')")
        assert pavel.press("Draft purchase orders of what is ticked") == 400
        assert "tick the proposals" in pavel.told()
        pavel.page.check("tr:has-text('SOAP-1') [name=proposal]")
        pavel.page.fill("tr:has-text('SOAP-1') [name^=quantity-]", "60")
        assert pavel.press("Draft purchase orders of what is ticked") == 200
        assert "are drafted" in pavel.told()
        pavel.page.fill("tr:has-text('LAMP-9') [name=reason]", "nobody buys lamps now")
        assert pavel.press("Dismiss", "tr:has-text('LAMP-9')") == 200
        assert "dismissed" in pavel.told()
        pavel.go("/console/planning?all=1")
        assert "purchase order" in pavel.page.inner_text("tr:has-text('SOAP-1')")
        pavel.wrong = [one for one in pavel.wrong if "status of 4" not in one]


def test_a_warehouse_picks_short_and_ships_and_another_is_told(browser: Any, house: House) -> None:
    with person(browser, house, "olivia") as olivia:
        house.door.run(stock_up(house.door.calls, "LAST-1", 5))
        house.door.run(settled(house.door.suite))
        enter_order(olivia, "W-1", "LAST-1", "2")
        house.door.run(settled(house.door.suite))
        olivia.page.reload()
        there = str(olivia.page.locator("section:has(#h-work) a").first.get_attribute("href"))
    with person(browser, house, "wanda") as wanda, person(browser, house, "olivia") as other:
        for one in (wanda, other):
            assert one.go(there) == 200
            assert "10115 Berlin" in one.page.inner_text("main")
        wanda.page.locator("[name^=picked-]").first.fill("1")
        wanda.page.locator("[name^=short-]").first.fill("1")
        assert wanda.press("Record the pick") == 200
        assert other.press("Ship") == 412
        assert "Somebody was faster" in other.told()
        other.wrong = [one for one in other.wrong if "412" not in one]
        wanda.page.fill("[name=tracking_number]", "T-CONSOLE")
        left = wanda.page.locator("[name^=shipped-]").first
        units = left.input_value()
        left.fill("0")
        assert wanda.press("Ship") == 400
        assert "at least one line" in wanda.told()
        wanda.wrong = [one for one in wanda.wrong if "status of 4" not in one]
        wanda.page.fill("[name=tracking_number]", "T-CONSOLE")
        wanda.page.locator("[name^=shipped-]").first.fill(units)
        assert wanda.press("Ship") == 200
        assert "T-CONSOLE" in wanda.page.inner_text("section:has(#h-parcels)")


def test_a_worker_walks_a_list_with_a_scanner_packs_and_lets_it_go(browser: Any, house: House) -> None:
    with person(browser, house, "wanda") as wanda:
        wanda.open("pick list")
        assert wanda.press("Take this list") == 200
        assert "The list is yours" in wanda.told()
        with person(browser, house, "olivia") as olivia:
            olivia.go(urlsplit(wanda.page.url).path)
            assert olivia.press("Take it over from wanda") == 200
            assert "The list is yours" in olivia.told()
        wanda.page.reload()
        assert wanda.press("Take it over from olivia") == 200
        assert wanda.violations() == []
        wanda.page.fill("[name=bin]", "A-01")
        wanda.page.fill("[name=code]", "SOMETHING-ELSE")
        assert wanda.press("Record the pick") == 400
        assert "here BIN-1 is picked" in wanda.told()
        # How many were found stays; what was scanned is scanned again.
        left = wanda.page.input_value("[name=picked]")
        for name, value in (("bin", "A-01"), ("code", "BIN-1"), ("picked", "99")):
            wanda.page.fill(f"[name={name}]", value)
        assert wanda.press("Record the pick") == 422
        assert [wanda.page.input_value(f"[name={name}]") for name in ("picked", "bin", "code")] == ["99", "", ""]
        wanda.page.fill("[name=picked]", left)
        for _ in range(2):
            wanda.page.fill("[name=bin]", "a-01")
            wanda.page.fill("[name=code]", "BIN-1")
            assert wanda.press("Record the pick") == 200
        assert "done" in wanda.page.inner_text("h1")
        there = str(wanda.page.locator("section:has(#h-picks) tbody td a[href*=fulfilment]").first.get_attribute("href"))
        wanda.go(there)
        assert "Fits in S" in wanda.page.inner_text("section:has(#h-pack)")
        wanda.page.fill("[name=weight_g]", "90")
        assert wanda.press("Pack") == 422
        assert "it should weigh" in wanda.told()
        assert wanda.page.input_value("[name=weight_g]") == "90"
        wanda.page.check("[name=weight_confirmed]")
        assert wanda.press("Pack") == 200
        assert "90 g" in wanda.page.inner_text("section:has(#h-pack)")
        assert wanda.press("Buy a label") == 200
        house.door.run(settled(house.door.suite))
        wanda.go(there)
        assert wanda.violations() == []
        assert wanda.press("It has left") == 200
        assert wanda.page.locator("section:has(#h-parcels) p:not(.empty)").count() == 1
        wanda.go("/console/warehouse?location=BER")
        row = "section:has(#h-dock) tbody tr:first-child"
        wanda.page.fill(f"{row} [name=to_bin]", "NOWHERE")
        assert wanda.press("Put away", row) == 404
        assert wanda.page.input_value(f"{row} [name=to_bin]") == "NOWHERE"
        wanda.page.fill(f"{row} [name=to_bin]", "A-02")
        assert wanda.press("Put away", row) == 200
        assert "put away" in wanda.told()
        assert wanda.press("Make the wave") in (200, 422)
        wanda.wrong = [one for one in wanda.wrong if "status of 4" not in one]


def test_a_provider_accepts_is_asked_back_and_ships_nevertheless(browser: Any, house: House) -> None:
    order_id, fulfillment_order_id = house.door.run(order_from_a_provider(Calls(house.door.suite.channels)))
    there = f"/console/fulfilment/{fulfillment_order_id}"
    with person(browser, house, "wanda") as wanda, person(browser, house, "olivia") as olivia:
        wanda.go(there)
        assert "Will 3PL ship it?" in wanda.page.inner_text("main")
        assert wanda.violations() == []
        assert wanda.press("It will") == 200
        assert "accepted" in wanda.page.inner_text("h1")
        olivia.go(f"/console/orders/{order_id}")
        olivia.page.fill("form[action$=cancel] [name=reason]", "the customer called")
        assert olivia.press("Cancel") == 200
        for _ in range(200):
            wanda.go(there)
            if "are asked back" in wanda.page.inner_text("main"):
                break
        assert wanda.violations() == []
        wanda.page.fill("[name^=back-]", "99")
        assert wanda.press("Give back") == 422
        assert wanda.page.input_value("[name^=back-]") == "99"
        wanda.page.fill("[name^=back-]", "2")
        assert wanda.press("Give back") == 200
        assert "cancellation accepted" in wanda.page.inner_text("h1")
        wanda.page.fill("form:has-text('nevertheless') [name^=shipped-]", "99")
        wanda.page.fill("form:has-text('nevertheless') [name=tracking_number]", "T-1")
        assert wanda.press("It has left") == 422
        assert wanda.page.input_value("form:has-text('nevertheless') [name=tracking_number]") == "T-1"
        wanda.page.fill("form:has-text('nevertheless') [name^=shipped-]", "2")
        assert wanda.press("It has left") == 200
        assert wanda.page.locator("section:has(#h-parcels) p:not(.empty)").count() == 1
        house.door.run(settled(house.door.suite))
        olivia.go(f"/console/orders/{order_id}")
        assert "shipped-unasked" in olivia.page.inner_text("main").lower().replace(" ", "-").replace("_", "-")
        wanda.wrong = [one for one in wanda.wrong if "status of 4" not in one]


def test_a_customer_collects(browser: Any, house: House) -> None:
    there = f"/console/fulfilment/{house.door.run(order_to_collect(Calls(house.door.suite.channels)))}"
    with person(browser, house, "wanda") as wanda:
        wanda.go(there)
        assert wanda.violations() == []
        assert wanda.press("It is ready") == 200
        assert "ready for pickup" in wanda.page.inner_text("h1")
        wanda.page.fill("[name^=taken-]", "99")
        assert wanda.press("The customer has it") == 422
        assert wanda.page.input_value("[name^=taken-]") == "99"
        wanda.page.fill("[name^=taken-]", "1")
        assert wanda.violations() == []
        assert wanda.press("The customer has it") == 200
        assert "ready for pickup" in wanda.page.inner_text("h1")
        assert wanda.press("The customer has it") == 200
        assert "collected" in wanda.page.inner_text("h1")
        wanda.wrong = [one for one in wanda.wrong if "status of 4" not in one]


def test_words_are_tried_with_a_real_order_then_kept_and_dropped(browser: Any, house: House) -> None:
    assert house.tour is not None
    with person(browser, house, "ines") as ines:
        ines.open("notices")
        assert "Harbour Goods" in ines.page.inner_text("section:has(#h-routes)")
        assert ines.go("/console/notices?of=web") == 200
        assert "Guten Tag" in ines.page.inner_text("section:has(#h-words)")
        ines.page.fill("[name=subject]", "Danke für {{ order.colour }}")
        assert ines.press("Save for web") == 400
        assert "has no attribute 'colour'" in ines.told()
        ines.page.fill("[name=subject]", "Danke für {{ order.number }}")
        ines.page.fill("[name=order_id]", house.tour.open_order_id)
        assert ines.press("Preview") == 200
        assert "Danke für " in ines.page.inner_text("section:has(#h-words) h3")
        assert "W-10023" not in ines.page.inner_text("section:has(#h-words) h3")
        assert ines.violations() == []
        assert ines.press("Save for web") == 200
        assert "Version 1 by ines" in ines.page.inner_text("section:has(#h-words)")
        assert ines.press("Drop") == 200
        assert "These come with Argosy" in ines.page.inner_text("section:has(#h-words)")
        ines.wrong = [one for one in ines.wrong if "status of 4" not in one]


def test_an_order_comes_back_and_is_followed_to_the_journal(browser: Any, house: House) -> None:
    assert house.tour is not None
    with person(browser, house, "olivia") as olivia:
        there = f"/console/orders/{house.tour.open_order_id}"
        olivia.go(there)
        olivia.page.locator("form[action$=return] [name^=quantity-]").first.fill("1")
        assert olivia.press("Open the return") == 200
        assert "The return was opened" in olivia.told()
        back = olivia.page.url.split("?")[0].removeprefix(house.door.url)
        assert olivia.press("Receive") == 200
        assert olivia.press("Record the judgement") == 200
        assert "the refund follows" in olivia.told()
        for _ in range(200):
            olivia.go(back)
            if "refund issued" in olivia.page.inner_text("main"):
                break
        assert "refund issued" in olivia.page.inner_text("main")
        for _ in range(200):
            olivia.go(there)
            if olivia.page.get_by_role("link", name="refund-paid").count():
                break
        olivia.page.get_by_role("link", name="refund-paid").first.click()
        assert "RefundPaid" in olivia.page.inner_text("main")
        assert olivia.page.get_by_role("link", name=house.tour.open_order_id).count() == 1


def test_cancelling_what_somebody_else_changed(browser: Any, house: House) -> None:
    with person(browser, house, "olivia") as olivia, person(browser, house, "sam") as sam:
        enter_order(olivia, "C-1", "AR-1000", "100")
        order_id = olivia.page.url.split("?")[0].rsplit("/", 1)[1]
        house.door.run(settled(house.door.suite))
        for one in (olivia, sam):
            one.go(f"/console/orders/{order_id}")
            one.page.fill("form[action$=cancel] [name=reason]", "the customer called")
        assert olivia.press("Cancel") == 200
        assert sam.press("Cancel") in (409, 412, 422)
        assert sam.page.locator(".notice.bad").count() == 1
        sam.wrong = [one for one in sam.wrong if "status of 4" not in one]


def test_an_order_goes_elsewhere_after_a_look_at_what_that_does(browser: Any, house: House) -> None:
    with person(browser, house, "sam") as sam:
        assert enter_order(sam, "M-1", "AR-1000", "1", paid="0") == 200
        there = sam.page.url.split("?")[0].removeprefix(house.door.url)
        sam.page.fill("form[action$=contact] [name=email]", "ada@example.com")
        assert sam.press("Set it") == 200
        assert "ada@example.com" in sam.page.inner_text("section:has(#h-to)")
        house.door.run(settled(house.door.suite))
        sam.go(there)
        form = sam.page.locator("form#change")
        form.locator("[name=locality]").fill("Hamburg")
        form.locator("[name=postal_code]").fill("20095")
        form.locator("[name=reason]").fill("the customer moved")
        assert sam.press("Show what it would do") == 200
        assert "Of that, tax" in sam.page.inner_text("form#change")
        assert sam.page.input_value("form#change [name=locality]") == "Hamburg"
        assert sam.violations() == []
        assert sam.press("Change") == 200
        assert "The change is on its way" in sam.told()
        house.door.run(settled(house.door.suite))
        sam.go(there)
        assert "Hamburg" in sam.page.inner_text("section:has(#h-to)")
        assert "it was changed by" in sam.page.inner_text("section:has(#h-story)")


def test_an_order_that_waits_is_changed_and_paid_from_its_hold(browser: Any, house: House) -> None:
    with person(browser, house, "olivia") as olivia:
        assert enter_order(olivia, "M-2", "NOBODY-KNOWS", "1") == 200
        there = olivia.page.url.split("?")[0].removeprefix(house.door.url)
        house.door.run(settled(house.door.suite))
        olivia.go(there)
        olivia.page.get_by_role("link", name="replace the article").click()
        assert olivia.page.url.endswith("#change")
        olivia.page.fill("form#change [name^=sku-]:not([name=sku-new])", "AR-1000")
        olivia.page.fill("form#change [name^=amount-]:not([name=amount-new])", "200")
        olivia.page.fill("form#change [name=reason]", "they meant the jug")
        assert olivia.press("Show what it would do") == 200
        assert olivia.page.input_value("form#change [name^=sku-]:not([name=sku-new])") == "AR-1000"
        olivia.page.fill("form#change [name^=amount-]:not([name=amount-new])", "40")
        assert olivia.press("Change") == 200
        house.door.run(settled(house.door.suite))
        olivia.go(there)
        assert "AR-1000" in olivia.page.inner_text("section:has(#h-lines)")
        assert olivia.page.get_by_role("link", name="replace the article").count() == 0
        olivia.page.fill("form#pay [name=method]", "card")
        olivia.page.fill("form#pay [name=amount]", "40")
        olivia.page.select_option("form#pay [name=state]", label="captured")
        assert olivia.press("Add the payment") == 200
        assert "The payment is added" in olivia.told()
        assert "€40.00" in olivia.page.inner_text("section:has(#h-pay)")
        assert olivia.violations() == []


async def hire(house: House, user_id: str) -> None:
    """Lets somebody else into operations."""
    operations = access_service_pb2.ROLE_OPERATIONS
    request = access_service_pb2.SetUserRequest(request_id=new_id(), user_id=user_id, role=operations, password=house.password)
    await Calls(house.door.suite.channels).access.SetUser(request)


def test_a_rule_is_drafted_tried_proposed_and_put_back(browser: Any, house: House) -> None:
    house.door.run(hire(house, "oscar"))
    with person(browser, house, "olivia") as olivia, person(browser, house, "oscar") as oscar:
        olivia.open("rules")
        before = olivia.page.inner_text("h1")
        olivia.page.fill("#draft [name=rule_id]", "many-units")
        olivia.page.fill("#draft [name=reason]", "needs_approval")
        olivia.page.fill("#draft [name=condition]", "units > 'many'")
        olivia.page.fill("#draft [name=why]", "large orders are looked at")
        assert olivia.press("Draft it") == 400
        assert "condition" in olivia.told()
        assert olivia.page.input_value("#draft [name=rule_id]") == "many-units"
        olivia.page.fill("#draft [name=condition]", "units > 2")
        assert olivia.press("Draft it") == 200
        assert "draft" in olivia.page.inner_text("h1")
        here = olivia.page.url.split("&")[0].removeprefix(house.door.url)
        assert olivia.press("Try it on past orders") == 200
        house.door.run(jobs_ended(house.door.calls, "orders"))
        olivia.go(here)
        assert "orders of 28 days judged again" in olivia.page.inner_text("section:has(#h-trial)")
        assert "many-units" in olivia.page.inner_text("section:has(#h-trial)")
        assert olivia.violations() == []
        olivia.page.locator("form[action$=propose] [name=why]").fill("it holds what it should")
        olivia.page.locator("form[action$=propose] button").click()
        assert "another person must approve it" in olivia.told()
        oscar.go("/console/approvals")
        oscar.page.locator("[name=note]").first.fill("looked at")
        assert oscar.press("Approve") == 200
        oscar.open("rules")
        assert oscar.page.inner_text("h1") != before
        oscar.page.locator("form[action$=back] [name=why]").fill("it holds too much")
        oscar.page.locator("form[action$=back] button").click()
        assert oscar.page.inner_text("h1") == before
        olivia.wrong = [one for one in olivia.wrong if "400" not in one]


def test_a_sourcing_policy_is_drafted_and_replayed(browser: Any, house: House) -> None:
    with person(browser, house, "olivia") as olivia:
        olivia.open("sourcing")
        olivia.page.fill("#strategy [name=name]", "together")
        olivia.page.fill("#strategy [name=place]", "1")
        olivia.page.fill("#strategy [name=why]", "fewer parcels")
        olivia.page.locator("#strategy [name=complete]").check()
        assert olivia.press("Draft it", "#strategy") == 200
        assert "together" in olivia.page.locator("section:has(#h-ways) tbody tr").first.inner_text()
        here = olivia.page.url.split("&")[0].removeprefix(house.door.url)
        olivia.page.fill("#weights [name=split_penalty_minor]", "900")
        olivia.page.fill("#weights [name=why]", "splits annoy")
        assert olivia.press("Draft it", "#weights") == 200
        assert "900" in olivia.page.inner_text("section:has(#h-ways)")
        olivia.go(here)
        assert olivia.press("Replay past days") == 200
        house.door.run(settled(house.door.suite))
        olivia.go(here)
        assert "would have shipped from elsewhere" in olivia.page.inner_text("section:has(#h-trial)")
        assert olivia.violations() == []
        olivia.page.get_by_role("link", name="What the last replay").click()
        assert "Parcels from" in olivia.page.inner_text("main")
        assert olivia.violations() == []


def test_a_dead_letter_is_replayed_once_and_another_given_up(browser: Any, house: House) -> None:
    house.door.run(bury_event(house.door.suite))
    with person(browser, house, "olivia") as olivia, person(browser, house, "olivia") as other:
        for one in (olivia, other):
            one.open("integrations")
        letters = olivia.page.locator("article.dead").count()
        assert letters >= 1
        olivia.page.locator("article.dead").first.locator("summary").click()
        assert "order_id" in olivia.page.locator("article.dead pre").first.inner_text()
        olivia.page.locator("article.dead [name=reason]").first.fill("made by a test")
        assert olivia.press("Discard", "article.dead") == 200
        other.page.locator("article.dead [name=reason]").first.fill("made by a test")
        assert other.press("Discard", "article.dead") == 404
        other.wrong = [one for one in other.wrong if "status of 4" not in one]
        while olivia.page.locator("article.dead").count():
            olivia.page.locator("article.dead [name=reason]").first.fill("made by a test")
            olivia.press("Discard", "article.dead")


def test_the_suite_is_proved_from_the_page(browser: Any, house: House) -> None:
    with person(browser, house, "olivia") as olivia:
        assert olivia.press("Prove now") == 200
        assert "The suite was proved" in olivia.told()


def test_strings_that_bite_do_not(browser: Any, house: House) -> None:
    """Every text field of every kind of form gets them; the page says what is wrong, or shows them as what they are."""
    with person(browser, house, "olivia") as olivia:
        for name in (
            "new order",
            "orders",
            "holds",
            "stock",
            "item",
            "order on hold",
            "order",
            "return",
            "integrations",
            "ledger",
            "warehouse",
            "rules",
            "sourcing",
        ):
            olivia.open(name)
            for form in range(kinds_of_forms(olivia)):
                olivia.open(name)
                assert submit_biting(olivia, form) < 500, f"{name}, form {form}"
                assert olivia.page.locator("script, img[src=x]").count() == 0
        olivia.wrong = [one for one in olivia.wrong if "status of 4" not in one]


# Marks the first form of each kind (the same but for ids) that has something to write into, and says how many there are.
KINDS = """() => { const seen = new Set(); let number = 0;
  for (const form of document.querySelectorAll('main form')) {
    const kind = (form.getAttribute('action') || '').replace(/[0-9a-f-]{36}/g, '') + form.method;
    if (seen.has(kind) || !form.querySelector('input:not([type=hidden]):not([type=checkbox]):not([type=date])')) continue;
    seen.add(kind); form.dataset.kind = String(number++); }
  return number }"""
FILL = """(form, texts) => { form.noValidate = true; let n = 0;
  for (const field of form.querySelectorAll('input:not([type=hidden]):not([type=checkbox]):not([type=date])')) {
    field.removeAttribute('maxlength'); field.value = texts[n++ % texts.length]; } }"""


def kinds_of_forms(visitor: Person) -> int:
    return int(visitor.page.evaluate(KINDS))


def submit_biting(visitor: Person, number: int) -> int:
    visitor.page.evaluate(KINDS)
    form = visitor.page.locator(f"form[data-kind='{number}']")
    if not form.count():
        # What was sent before changed the page; there are fewer forms now.
        return 200
    form.evaluate(FILL, list(BITING))
    with visitor.page.expect_navigation():
        form.locator("button").last.click()
    return int(visitor.page.evaluate("performance.getEntriesByType('navigation')[0].responseStatus"))
