"""Unsubscribing through the API, and blocked addresses."""

import dataclasses
import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from mojodex import mail_ledger, secrets, unsubscribing
from mojodex.clock import utc_now
from mojodex.feedback import Mail
from operate import environment
from tests.integration.operate.conftest import Operated

KEY = "a-key-that-signs-links"
EVENT = "todo_daily_emails"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
NOW = utc_now()


@pytest.fixture
def mails(operated: Operated, monkeypatch: pytest.MonkeyPatch) -> Operated:
    """The API with the secret that signs links."""
    secret = json.dumps({"signing_keys": [KEY]})
    boto3.client("secretsmanager").create_secret(Name="unsubscribe", SecretString=secret)
    secrets._provider.cache_clear()
    settings = operated.settings.model_copy(update={"unsubscribe_secret_arn": "unsubscribe"})
    monkeypatch.setattr(environment, "settings", settings)
    return dataclasses.replace(operated, settings=settings)


def token_of(operated: Operated, user_id: str) -> str:
    token = unsubscribing.make_token([KEY], user_id, EVENT)
    with environment.database.session() as session:
        unsubscribing.remember(session, token.id, user_id, EVENT, NOW)
        session.commit()
    return token.text


def wants_mail(operated: Operated, user_id: str) -> bool:
    return bool(
        operated.mojodex.run("SELECT todo_email_reception FROM md_user WHERE user_id = :u", u=user_id)
    )


def bounced(operated: Operated, user_id: str) -> None:
    address = operated.mojodex.run("SELECT email FROM md_user WHERE user_id = :u", u=user_id)
    at = utc_now() - timedelta(minutes=1)
    reasons = frozenset(["bounce: General 5.1.1"])
    with environment.database.session() as session:
        mail_ledger.record(session, [Mail("message", at, user_id, address)])
        mail_ledger.record(session, [Mail("message", at, bounced_at=at, reasons=reasons)])
        session.commit()


def test_a_mail_client_unsubscribes_with_one_click_from_any_origin(mails: Operated) -> None:
    user = mails.mojodex.user()
    nobody = mails.client.as_(None)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}

    looked = nobody.get("/unsubscribe", token=token_of(mails, user))
    still = wants_mail(mails, user)
    for _ in range(2):
        clicked = nobody.send(
            "POST", "/unsubscribe", form=ONE_CLICK, headers=elsewhere, token=token_of(mails, user)
        )
        assert clicked.status == 200

    assert (looked.status, still, wants_mail(mails, user)) == (200, True, False)
    assert user not in looked.body + clicked.body
    assert looked.headers["referrer-policy"] == "no-referrer"
    undone = nobody.send("POST", "/unsubscribe", form={"mails": "again"}, token=token_of(mails, user))
    assert (undone.status, wants_mail(mails, user)) == (200, True)


@pytest.mark.parametrize("token", ["", "x", "x.y", "a" * 5000])
def test_an_invalid_link_changes_nothing_and_is_reported(mails: Operated, token: str) -> None:
    user = mails.mojodex.user()
    token_of(mails, user)

    for method in ("GET", "POST"):
        found = mails.client.as_(None).send(method, "/unsubscribe", form=ONE_CLICK, token=token)
        assert found.status == 400

    assert wants_mail(mails, user)


def test_without_a_key_there_is_no_page(operated: Operated) -> None:
    assert operated.client.as_(None).get("/unsubscribe", token="x").status == 404


def test_a_bounced_address_is_shown_and_an_operator_can_unblock_it(mails: Operated) -> None:
    user = mails.mojodex.user()
    bounced(mails, user)

    activity = mails.client.get(f"/users/{user}/activity").json()
    console = mails.client.get("/console", user=user)
    refused = mails.client.as_("reader").send("DELETE", f"/users/{user}/mail-block")
    lifted = mails.client.send("DELETE", f"/users/{user}/mail-block")
    again = mails.client.send("DELETE", f"/users/{user}/mail-block")

    assert (activity["mail_block"]["kind"], activity["mail_block"]["reason"]) == ("bounce", "General 5.1.1")
    assert [mail["state"] for mail in activity["mails"]] == ["bounced"]
    assert "General 5.1.1" in console.body
    assert "@" not in console.body
    assert (refused.status, lifted.status, again.status) == (403, 200, 404)
    block: Any = mails.client.get(f"/users/{user}/activity").json()["mail_block"]
    assert block["lifted_by"] == "operator"
    (line,) = mails.mojodex.rows("SELECT * FROM md_background_audit")
    assert (line.who, line.action, line.target) == ("operator", "lift mail block", user)


def test_a_website_that_is_never_refreshed_is_shown(mails: Operated) -> None:
    user = mails.mojodex.user()
    mails.mojodex.run(
        "INSERT INTO md_background_website (user_id, site, repeated_lines, refresh_at)"
        " VALUES (:u, 'example.com', '{}', 'infinity')",
        u=user,
    )

    assert mails.client.get("/console", user=user).status == 200
    (website,) = mails.client.get(f"/users/{user}/activity").json()["websites"]
    assert website["refresh_at"] is None
