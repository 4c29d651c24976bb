"""Who gets in, what a form must bring, and what every answer carries."""

import re

import httpx
import pytest

from chassis.kernel.ids import new_id
from gateway.console.app import DONE, POLICY, SHOWN, place_of
from gateway.console.session import form_token
from tests.console.biting import BITING
from tests.console.conftest import House


def own(client: httpx.Client, **fields: str) -> dict[str, str]:
    """A form as our own page sends it."""
    return {"csrf": form_token(client.cookies["argosy_session"]), "request_id": new_id(), **fields}


def test_nobody_gets_in_without_signing_in(empty_house: House) -> None:
    with httpx.Client(base_url=empty_house.door.url, timeout=20) as client:
        for path in SHOWN:
            there = "/console" + re.sub(r"\{\w+\}", "x", path)
            answer = client.get(there)
            assert answer.status_code == 303 and answer.headers["location"].startswith("/console/sign-in"), there
        for path in DONE:
            assert client.post("/console" + re.sub(r"\{\w+\}", "x", path), data={}).status_code == 303
        assert client.get("/").headers["location"] == "/console/"
        forged = client.get("/console/", headers={"Cookie": "argosy_session=ak_0123456789abcdef_guess"})
        assert forged.status_code == 303


def test_a_wrong_password_says_nothing_more_and_guessing_is_slowed(empty_house: House) -> None:
    with httpx.Client(base_url=empty_house.door.url, timeout=20) as client:
        texts = set()
        for name, password in (("mara", "wrong"), ("nobody", "wrong"), ("'; DROP TABLE users", "x"), ("m" * 90, "x" * 200)):
            answer = client.post("/console/sign-in", data={"user_id": name, "password": password})
            assert answer.status_code == 401
            texts.add(re.sub(r"\s+", " ", re.sub("<[^>]+>", "", answer.text)))
        assert len(texts) == 1
        statuses = [client.post("/console/sign-in", data={"user_id": "pavel", "password": "guess"}).status_code for _ in range(12)]
        assert statuses[-1] == 429
        assert client.post("/console/sign-in", data={"user_id": "", "password": ""}).status_code == 400


def test_the_way_on_after_signing_in_stays_in_the_house(empty_house: House) -> None:
    with httpx.Client(base_url=empty_house.door.url, timeout=20) as client:
        for wanted, leads in (
            ("/console/stock", "/console/stock"),
            ("https://evil.example/", "/console/"),
            ("//evil.example", "/console/"),
        ):
            form = {"user_id": "olivia", "password": empty_house.password}
            answer = client.post("/console/sign-in", params={"next": wanted}, data=form)
            assert (answer.status_code, answer.headers["location"]) == (303, leads)


def test_a_form_must_be_ours(empty_house: House) -> None:
    with empty_house.client("ada") as client:
        person = {"user_id": "newcomer", "role": "5", "password": "long enough for this"}
        assert client.post("/console/people", data=person).status_code == 403
        assert client.post("/console/people", data={**person, "csrf": "0" * 64}).status_code == 403
        foreign = {"Origin": "https://evil.example"}
        assert client.post("/console/people", data=own(client, **person), headers=foreign).status_code == 403
        crossed = {"Sec-Fetch-Site": "cross-site"}
        assert client.post("/console/people", data=own(client, **person), headers=crossed).status_code == 403
        assert client.post("/console/people", content=b"\xff", headers={"content-type": "text/plain"}).status_code == 415
        assert "newcomer" not in client.get("/console/people").text
        assert client.post("/console/people", data=own(client, **person)).status_code == 200
        assert "newcomer" in client.get("/console/people").text


def checked(page: str, form: str) -> set[tuple[str, str]]:
    """Returns (name, value) of the boxes that are ticked in a form of a page."""
    start = page.index(form)
    boxes = re.findall(r'<input type="checkbox" name="(\w+)"(?: value="(\w+)")?( checked)?>', page[start : page.index("</form>", start)])
    return {(name, value) for name, value, ticked in boxes if ticked}


def test_who_is_changed_keeps_what_was_not(empty_house: House) -> None:
    with empty_house.client("ada") as client:
        person = {"user_id": "kept", "role": "5", "password": "long enough for this", "channels": "web, shop", "disabled": "on"}
        client.post("/console/people", data=own(client, **person, fresh="1"))
        taken = client.post("/console/people", data=own(client, **person, fresh="1"))
        assert taken.status_code == 409 and "somebody called kept already" in taken.text
        page = client.get("/console/people", params={"user": "kept"}).text
        assert 'name="channels" value="shop, web"' in page and checked(page, 'id="person"') == {("disabled", "")}
        assert 'name="fresh"' not in page and '<input type="hidden" name="user_id" value="kept">' in page
        assert "Change kept</h2>" not in client.get("/console/people").text


def test_a_channel_that_is_changed_tells_of_what_it_told(empty_house: House) -> None:
    with empty_house.client("ines") as client:
        route = {"channel": "web", "via": "2", "url": "https://hooks.example.com/tell", "sender_name": "Shop", "disabled": "1"}
        form = {**own(client, **route, language="de"), "kinds": ["1", "3"]}
        assert "The channel&#39;s secret" in client.post("/console/notices/routes", data=form).text
        ticked = {("kinds", "1"), ("kinds", "3"), ("disabled", "1")}
        page = client.get("/console/notices", params={"route": "web"}).text
        assert checked(page, 'id="route"') == ticked and 'value="Shop"' in page
        # What was refused is asked again as it was typed, and the page's own ways lead on from it.
        answer = client.post("/console/notices/routes?route=web", data={**form, **own(client, url="nowhere")})
        assert answer.status_code == 400 and checked(answer.text, 'id="route"') == ticked
        assert 'method="get" action="/console/notices"' in answer.text and "/console/notices/routes?route=web" in answer.text
        assert 'href="/console/notices?route=web#route"' in answer.text


def test_proposals_that_could_not_be_ordered_are_still_ticked(house: House) -> None:
    with house.client("pavel") as client:
        one, other = re.findall(r'name="proposal" value="([\w-]+)"', client.get("/console/planning").text)[:2]
        form = own(client, proposal=one, **{f"quantity-{one}": "1.5", f"quantity-{other}": "77"})
        answer = client.post("/console/planning/accept", data=form)
        assert answer.status_code == 400
        assert re.findall(r'name="proposal" value="([\w-]+)" checked', answer.text) == [one]
        assert f'name="quantity-{other}" value="77"' in answer.text


def test_what_was_typed_stays_in_the_form_that_was_refused(house: House) -> None:
    with house.client("olivia") as client:
        item = re.findall(r'href="(/console/stock/[\w-]{20,})"', client.get("/console/stock").text)[0]
        typed = {"location": "BER", "quantity": "7,5", "value": "12.50", "lot": "L-9", "reference": "D-1", "quarantine": "on"}
        answer = client.post(f"{item}/receive", data=own(client, **typed))
        assert answer.status_code == 400
        for name in ("quantity", "value", "lot", "reference"):
            assert f'name="{name}"' in answer.text and f'value="{typed[name]}"' in answer.text, name
        assert answer.text.count('value="7,5"') == 1 and checked(answer.text, f'action="{item}/receive"') == {("quarantine", "")}
        # Where somebody was faster, what stands now is shown.
        balance = re.findall(r'<option value="(BER\|[^"]*)"', client.get(item).text)[0]
        stale = own(client, balance=f"{balance.rpartition('|')[0]}|999999", quantity="-1", reason="counted anew")
        overtaken = client.post(f"{item}/adjust", data=stale)
        assert overtaken.status_code == 409 and 'value="counted anew"' not in overtaken.text


def fields(page: str, form: str) -> dict[str, str]:
    """Returns what stands in the text fields of a form of a page, those that are not shown included."""
    start = page.index(form)
    found = re.findall(r'<input (?:type="hidden" )?name="([\w-]+)"[^>]* value="([^"]*)"', page[start : page.index("</form>", start)])
    return {name: value for name, value in found if name != "request_id"}


def test_what_was_typed_into_one_form_stands_in_no_other(house: House) -> None:
    with house.client("olivia") as client:
        order = re.findall(r'href="(/console/orders/[\w-]{20,})"', client.get("/console/orders?status=3").text)[0]
        before = client.get(order).text
        payment = {"method": "wire", "amount": "12.x", "currency": "EUR", "state": "1", "adapter": "1", "reference": "P-1"}
        refused = client.post(f"{order}/pay", data=own(client, **payment))
        assert refused.status_code == 400
        assert fields(refused.text, f'action="{order}/pay"').items() >= {"method": "wire", "amount": "12.x", "reference": "P-1"}.items()
        for form in ("offer", "change", "cancel"):
            assert fields(refused.text, f'action="{order}/{form}"') == fields(before, f'action="{order}/{form}"'), form
        # What was emptied stays empty, and what the person saw is what they change.
        change = {**fields(before, f'action="{order}/change"'), "street": "St 1", "policy": "", "name": "", "step": "preview"}
        assert fields(before, f'action="{order}/change"')["name"]
        preview = client.post(f"{order}/change", data=own(client, **{**change, "etag": "7"}))
        assert preview.status_code == 200
        assert fields(preview.text, f'action="{order}/change"').items() >= {"name": "", "etag": "7"}.items()
        assert fields(client.get(order).text, f'action="{order}/change"') == fields(before, f'action="{order}/change"')


def test_a_condition_that_was_refused_is_still_there(house: House) -> None:
    with house.client("olivia") as client:
        typed = {"what": "exclusion", "name": "not-there", "condition": "no such fact &lt;", "why": "because"}
        drafted = client.post("/console/rules/sourcing/draft", data=own(client, version="0", step="save", **typed))
        assert drafted.status_code == 400 and "no such fact &amp;lt;</textarea>" in drafted.text
        forms = [part.split("</form>")[0] for part in drafted.text.split('action="/console/rules/sourcing/draft"')[1:]]
        assert ['value="because"' in form for form in forms] == [False, True, False]
        assert ['value="not-there"' in form for form in forms] == [False, True, False]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/console/people", "/console/people"),
        ("/console/notices/n-1/send", "/console/notices"),
        ("/console/stock/i-1/adjust", "/console/stock/i-1"),
        ("/console/rules/sourcing/draft", "/console/rules/sourcing"),
        ("/console/integrations/notifications/n-1/send", "/console/integrations/notifications/n-1"),
        ("/console/holds/orders/h-1/claim", "/console/holds"),
    ],
)
def test_a_form_that_is_shown_again_is_on_its_page(path: str, place: str) -> None:
    assert place_of(path) == place


def test_a_session_ends_for_good(empty_house: House) -> None:
    with empty_house.client("ada") as client:
        secret = empty_house.sessions.pop("ada")
        answer = client.post("/console/sign-out", data=own(client), follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
        assert 'argosy_session=""' in answer.headers["set-cookie"]
    known = empty_house.door.suite.running["gateway"].component.pipeline.authenticator
    known._known.clear()  # what a minute does
    with httpx.Client(base_url=empty_house.door.url, cookies={"argosy_session": secret}) as client:
        assert client.get("/console/").status_code == 303


def test_who_is_kept_out_or_changed_is_out_within_a_minute(empty_house: House) -> None:
    with empty_house.client("ada") as admin:
        person = {"user_id": "leaver", "role": "5", "password": "long enough for this"}
        admin.post("/console/people", data=own(admin, **person))
        with httpx.Client(base_url=empty_house.door.url, timeout=20, follow_redirects=True) as client:
            client.post("/console/sign-in", data=person)
            assert client.get("/console/orders").url.path == "/console/orders"
            admin.post("/console/people", data=own(admin, user_id="leaver", role="5", disabled="on"))
            for running in empty_house.door.suite.running.values():
                running.component.pipeline.authenticator._known.clear()  # what a minute does
            assert client.get("/console/orders").url.path == "/console/sign-in"
            assert client.post("/console/sign-in", data=person).status_code == 401


def test_every_answer_carries_the_policy(empty_house: House) -> None:
    with empty_house.client("olivia") as client:
        for path in ("/console/", "/console/orders.csv", "/console/static/console.css", "/console/nowhere", "/console/sign-in"):
            answer = client.get(path)
            assert answer.headers["content-security-policy"] == POLICY, path
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "<script" not in answer.text
        assert client.get("/console/nowhere").status_code == 404
        cookie = client.post("/console/sign-in", data={"user_id": "olivia", "password": empty_house.password}, follow_redirects=False)
        said = cookie.headers["set-cookie"].lower()
        assert "httponly" in said and "samesite=lax" in said and "path=/console" in said


@pytest.mark.parametrize("name", ["wanda", "mara", "pavel", "fiona", "sam", "olivia", "ines", "ada"])
def test_a_role_sees_its_own_pages_and_no_others(house: House, name: str) -> None:
    allowed = {
        "orders": {"wanda", "mara", "pavel", "fiona", "sam", "olivia", "ines"},
        "holds": {"wanda", "mara", "pavel", "fiona", "sam", "olivia", "ines"},
        "stock": {"wanda", "mara", "pavel", "fiona", "sam", "olivia", "ines"},
        "approvals": {"wanda", "mara", "pavel", "fiona", "olivia", "ada"},
        "planning": {"pavel", "olivia"},
        "fulfilment": {"wanda", "fiona", "sam", "olivia"},
        "returns": {"wanda", "fiona", "sam", "olivia"},
        "ledger": {"fiona", "olivia"},
        "rules": {"olivia"},
        "notices": {"sam", "olivia", "ines"},
        "people": {"ada"},
    }
    with house.client(name) as client:
        shown = client.get("/console/")
        assert shown.status_code == 200
        for page, names in allowed.items():
            answer = client.get(f"/console/{page}")
            assert answer.status_code == (200 if name in names else 403), page
            assert (f'href="/console/{page}"' in shown.text) == (name in names), page


def test_the_service_judges_not_the_page(house: House) -> None:
    """Buttons that a role does not see are refused when they are pressed all the same."""
    assert house.tour is not None
    with house.client("wanda") as client:
        order = f"/console/orders/{house.tour.shipped_order_id}"
        assert "Cancel what has not shipped" not in client.get(order).text
        assert client.post(f"{order}/cancel", data=own(client, reason="no right to")).status_code == 403
        assert client.post("/console/people", data=own(client, user_id="x-y", role="8", password="long enough yes")).status_code == 403
        assert client.post("/console/prove", data=own(client)).status_code == 403


@pytest.mark.parametrize("path", sorted(DONE))
def test_no_form_breaks_a_page(house: House, path: str) -> None:
    """Every field of every form, with strings that bite: a clear answer, and nothing of them comes back unescaped."""
    fields = (
        "channel", "number", "policy", "note", "name", "street", "postal_code", "locality", "country_code", "email", "sku-0",
        "quantity-0", "amount-0", "shipping", "method", "paid", "payment", "reason", "etag", "resolution", "location", "quantity",
        "value", "lot", "reference", "balance", "picked-x", "short-x", "shipped-x", "carrier", "tracking_number", "quantity-x",
        "disposition-x", "user_id", "role", "password", "channels",
    )  # fmt: skip
    there = "/console" + re.sub(r"\{\w+\}", "orders", path)
    with house.client("olivia") as client:
        for biting in BITING[:2] if path == "/prove" else BITING:
            answer = client.post(there, data=own(client, **dict.fromkeys(fields, biting)))
            assert answer.status_code < 500, biting
            assert "<script" not in answer.text and "<img src=x" not in answer.text
        assert client.post(there, data=own(client, reason="x\x00y")).status_code == 400
