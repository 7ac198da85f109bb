"""Attacks on people in Chromium: text from users, websites and models, and pages of other websites."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page

from mojodex.clock import utc_now
from tests.api import served
from tests.browser import launched_browser
from tests.http_server import QuietHandler, serve
from tests.integration.operate.conftest import CREDENTIALS, Operated

# Texts that break out of each context with a script.
HACKS = (
    "<script>window.hacked = 1</script>",
    "\"'><img src=x onerror=window.hacked=1>",
    "</pre></textarea></title></dl><svg onload=window.hacked=1>",
    '" autofocus onfocus=window.hacked=1 x="',
    "javascript:window.hacked=1",
    "{{ ''.__class__ }}{% raw %}${7*7}<!--<base href=//evil.example>",
    '<iframe srcdoc="<script>parent.hacked=1</script>">',
    "<form action=//evil.example><input name=csrf><meta http-equiv=refresh content='0;url=//evil.example'>",
    "\u2028<style>@import '//evil.example'</style>\x1b]0;x\x07<x onclick=window.hacked=1>",
)
ALL = " ".join(HACKS)
# Elements of a page that do not come from its templates.
INJECTED = """
() => {
  const tags = ["img", "svg", "iframe", "object", "embed", "base", "style", "textarea", "x"];
  tags.push("meta[http-equiv]", "script:not([src])");
  const found = [...document.querySelectorAll(tags.join())].map((element) => element.outerHTML);
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on") || name === "autofocus" && element.id !== "name") found.push(name);
      if (!["href", "src", "action"].includes(name)) continue;
      if (new URL(value, location).origin !== location.origin) found.push(value);
    }
  }
  if (window.hacked) found.push("hacked");
  if (document.scripts.length !== 1) found.push("scripts");
  return found;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched_browser() as browser:
        yield browser


@dataclass
class Console:
    """The console in a logged-in browser."""

    url: str
    page: Page
    # Refusals, requests to other hosts and console messages of the browser.
    complaints: list[str] = field(default_factory=list)

    def shows(self, path: str, *texts: str) -> str:
        """Open a page, check that it has no injected element and shows these texts, and return its text."""
        answer = self.page.goto(self.url + path)
        assert answer is not None
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        return self.check_texts(*texts)

    def check_texts(self, *texts: str) -> str:
        """Check that the page has no injected element and shows these texts, and return its text."""
        assert self.page.evaluate(INJECTED) == []
        assert self.complaints == []
        text: str = self.page.evaluate(
            "() => document.title + document.body.textContent"
            " + [...document.querySelectorAll('input')].map((input) => input.value).join(' ')"
        )
        for expected in texts:
            assert expected in text, expected
        return text


@contextmanager
def console(browser: Browser, **options: Any) -> Iterator[Console]:
    """A browser's page on the API."""
    with served() as url:
        context = browser.new_context(**options)
        page = context.new_page()
        opened = Console(url, page)

        def listen(request: Any) -> None:
            if not request.url.startswith((url, "data:", "about:")):
                opened.complaints.append(request.url)

        def hear(said: Any) -> None:
            # Some requests, and the one for an icon, are answered with an error.
            if said.type == "error" and "Failed to load resource" not in said.text:
                opened.complaints.append(said.text)

        page.on("request", listen)
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.on("dialog", lambda dialog: opened.complaints.append(dialog.message))
        page.on("console", hear)
        yield opened
        context.close()


def log_in(console: Console, name: str = "operator") -> None:
    """Log in with the form."""
    console.page.goto(f"{console.url}/login")
    console.page.fill("#name", name)
    console.page.fill("#secret", CREDENTIALS[name])
    console.page.click("text=Log in >> nth=-1")
    console.page.wait_for_url("**/console")


@pytest.fixture
def opened(operated: Operated, browser: Browser) -> Iterator[Console]:
    with console(browser) as ready:
        log_in(ready)
        yield ready


# Shown texts.


def fill(operated: Operated) -> dict[str, str]:
    """Add a job of each kind with hacks in each field, and return their ids."""
    now, ours = utc_now().isoformat(), operated.mojodex
    ids = {
        "job": operated.add_job(
            "events",
            f"subject {ALL}",
            f"occasion {ALL}",
            user_id=f"user {HACKS[0]} {HACKS[1]} {HACKS[3]}",
            outcome={"reason": f"reason {ALL}", f"key {ALL}": f"value {ALL}", "nested": [{ALL: [ALL]}]},
            history=[{"started": now, "ended": now, "error": f"class {ALL}", "reason": f"earlier {ALL}"}],
            spent=[{"model": f"model {ALL}", "tier": f"tier {ALL}", "calls": 1, "usd": 0.1}],
        ),
        "website": operated.add_job(
            "create_from_website",
            f"u https://e.example/{ALL}",
            "request",
            user_id="u",
            outcome={"reason": "r", "found": 1, "waiting": 0, "stored": 0, "unchanged": 0, "skipped": 0,
                     "failed": 1, "retried_as": f"again {ALL}"},
        ),
    }  # fmt: skip
    ours.run(
        "INSERT INTO md_background_page"
        " (subject, occasion, user_id, key, url, state, reason, change, depth, found_at)"
        " VALUES (:s, 'request', 'u', :k, :u, 'failed', :r, NULL, 0, now())",
        s=f"u https://e.example/{ALL}", k=ALL, u=f"page {ALL}", r=f"because {ALL}",
    )  # fmt: skip
    for target in ids.values():
        ours.run(
            "INSERT INTO md_background_audit (at, who, action, target) VALUES (now(), :w, :a, :t)",
            w=f"who {ALL}", a=f"did {ALL}", t=target,
        )  # fmt: skip
    ours.run(
        "INSERT INTO md_background_audit (at, who, action, target) VALUES (now(), 'x', 'y', :t)",
        t=f"target {ALL}",
    )
    ours.run(
        "INSERT INTO md_background_paused_process VALUES ('events', now(), :w)"
        " ON CONFLICT DO NOTHING", w=f"paused by {ALL}",
    )  # fmt: skip
    ours.run(
        "INSERT INTO md_background_circuit (provider, opened_at, probe_at, reason)"
        " VALUES (:p, now(), now(), :r)",
        p=f"provider {ALL}", r=f"away {ALL}",
    )  # fmt: skip
    return ids


def test_no_text_runs_on_the_first_page(operated: Operated, opened: Console) -> None:
    """It shows subject, occasion, user, reason (twice), circuits, pauses and the audit."""
    fill(operated)

    opened.shows(
        "/console",
        *(f"{what} {HACKS[0]}" for what in ("subject", "occasion", "user", "reason", "provider", "away")),
        *(f"{what} {HACKS[0]}" for what in ("paused by", "who", "did", "target")),
    )


def test_no_text_runs_on_the_page_of_a_job(operated: Operated, opened: Console) -> None:
    """It shows subject, occasion, user, outcome, history, models' names and the audit."""
    ids = fill(operated)

    text = opened.shows(
        f"/console/jobs/{ids['job']}",
        *(f"{what} {HACKS[0]}" for what in ("subject", "occasion", "user", "reason", "class", "earlier")),
        *(f"{what} {HACKS[0]}" for what in ("model", "(tier", "who", "did", '"key', '"value')),
    )
    assert text.count("window.hacked = 1") >= 14


def test_no_text_runs_on_the_page_of_a_website(operated: Operated, opened: Console) -> None:
    """It shows the user's address, and addresses and reasons of the website's pages."""
    ids = fill(operated)

    opened.shows(
        f"/console/jobs/{ids['website']}",
        f"u https://e.example/{HACKS[0]}",
        *(f"{what} {HACKS[0]}" for what in ("page", "because", "who", "did")),
    )
    again = opened.page.get_attribute("text=retried >> nth=0", "href") or ""
    assert again.startswith("../../console/jobs/create_from_website.")
    assert re.fullmatch(r"../../[A-Za-z0-9_./-]+", again)


@pytest.mark.parametrize("hack", HACKS)
def test_no_filter_runs_where_it_is_shown(operated: Operated, opened: Console, hack: str) -> None:
    """An attacker sends an operator a link to the console with any filter."""
    for n in range(3):
        operated.add_job(subject=str(n), outcome={"reason": hack.lower()}, user_id="u")
    hack = hack.replace("\x1b", "").replace("\x07", "")

    opened.shows("/console?" + urlencode({"user": hack, "reason": hack, "url": hack}))
    assert opened.page.input_value("input[name=user]") == hack.strip()
    opened.shows("/console/retry?" + urlencode({"reason": hack}), hack.strip())


def test_no_text_runs_where_a_users_mail_is_shown(operated: Operated, opened: Console) -> None:
    """It shows the user's id and websites, and the reason of their mail block."""
    user_id, email = f"user {HACKS[1]}", "a@example.com"
    operated.mojodex.user(email=email, name=HACKS[0])
    operated.mojodex.run("UPDATE md_user SET user_id = :u", u=user_id)
    operated.mojodex.run(
        "INSERT INTO md_background_mail_block (user_id, address, kind, reason, since, lifted_at, lifted_by)"
        " VALUES (:u, :e, :k, :r, now(), now() + interval '1 hour', :b)",
        u=user_id, e=email, k=f"kind {ALL}", r=f"bounce {ALL}", b=f"lifted by {ALL}",
    )  # fmt: skip
    operated.mojodex.run(
        "INSERT INTO md_background_website (user_id, site, website_url, repeated_lines)"
        " VALUES (:u, :s, :w, '{}')",
        u=user_id, s=f"site {ALL}"[:200], w=f"website {ALL}",
    )  # fmt: skip

    text = opened.shows("/console?" + urlencode({"user": user_id}), user_id, f"website {HACKS[0]}")
    assert f"kind {HACKS[0]}" in text
    assert f"bounce {HACKS[0]}" in text
    assert email not in text


def test_a_link_leads_to_the_value_that_it_shows(operated: Operated, opened: Console) -> None:
    """A value in a link stays a single value."""
    for user_id in ("a&state=done", "a#b", "a+b", "a%26b", "a b", "../x", "//evil.example"):
        operated.add_job(subject=user_id, user_id=user_id, outcome={"reason": f"of {user_id}"})
        opened.shows("/console")
        opened.page.click(f'td[data-label="User"] >> text="{user_id}"')
        assert opened.page.input_value("input[name=user]") == user_id
        opened.shows("/console")
        opened.page.click(f'.rows a.grows:has-text("of {user_id}") >> nth=0')
        assert opened.page.input_value("input[name=reason]") == f"of {user_id}"


PATHS = (
    "/console/jobs/%3Cscript%3Ewindow.hacked=1%3C/script%3E",
    "/console/%22%3E%3Cimg%20src=x%20onerror=hacked=1%3E",
    "/console?process=%3Cscript%3E",
    "/console?after=%3Cscript%3E",
    "/console/retry?since=%3Cscript%3E",
)


@pytest.mark.parametrize("path", PATHS)
def test_no_path_runs_in_an_error_page(operated: Operated, opened: Console, path: str) -> None:
    opened.page.goto(opened.url + path)

    opened.check_texts()
    assert "script" not in opened.page.text_content("main")  # type: ignore[operator]


def test_no_name_runs_in_the_login_form(operated: Operated, browser: Browser) -> None:
    with console(browser) as opened:
        opened.page.goto(f"{opened.url}/login")
        opened.page.fill("#name", ALL.replace("\u2028", ""))
        opened.page.fill("#secret", ALL.replace("\u2028", ""))
        opened.page.click("text=Log in >> nth=-1")
        opened.page.wait_for_selector("[role=alert]")
        opened.check_texts("The name or the secret is wrong.")


def test_no_text_runs_when_a_page_refreshes_itself(operated: Operated, opened: Console) -> None:
    """Our only script copies parts of a new page into the old one."""
    opened.shows("/console")
    fill(operated)

    opened.page.evaluate("update()")

    opened.check_texts(f"provider {HACKS[0]}", f"reason {HACKS[0]}")


def test_the_policy_stops_unescaped_scripts(operated: Operated, opened: Console) -> None:
    """The Content-Security-Policy is a second defence: even unescaped texts do not run."""
    opened.page.goto(f"{opened.url}/console")
    opened.page.evaluate("html => document.querySelector('main').innerHTML = html", ALL)
    opened.page.evaluate(
        "() => { const script = document.createElement('script'); script.textContent = 'window.hacked = 1';"
        " document.body.append(script); }"
    )
    opened.page.wait_for_timeout(200)

    assert opened.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in said for said in opened.complaints)


def test_no_answer_of_the_api_is_shown_as_a_page(operated: Operated, opened: Console) -> None:
    """Answers that quote the request are JSON, and browsers must not sniff their type."""
    job_id = fill(operated)["job"]
    script = urlencode({"limit": "<script>window.hacked=1</script>"})
    for path in (f"/jobs/{job_id}", "/jobs?reason=%3Cscript%3E", f"/jobs?{script}"):
        opened.page.goto(opened.url + path)
        assert opened.page.evaluate("window.hacked") is None
        assert opened.page.query_selector("img, svg, iframe, script") is None


# Requests that other websites cause. For a browser, localhost and 127.0.0.1 are two websites.


@contextmanager
def evil_website(html: str) -> Iterator[str]:
    """Serve a website with one page."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            body = html.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serve(Handler) as url:
        yield url.replace("127.0.0.1", "localhost")


FORM = (
    '<form id=f method=post action="{url}/console/processes/events/pause" enctype="{enctype}">'
    "<input name=csrf value=x></form><script>f.submit()</script>"
)
FETCHES = """
<script>
(async () => {
  window.read = [];
  for (const path of ["/jobs", "/console", "/openapi.json", "/healthz", "/console.js"]) {
    try { window.read.push(await (await fetch("{url}" + path, { credentials: "include" })).text()); } catch {}
  }
  const posts = ["/processes/events/pause", "/console/processes/events/pause", "/jobs/retry", "/logout"];
  for (const path of posts) for (const mode of ["no-cors", "cors"]) {
    const body = new Blob(["{}"], { type: "text/plain" });
    try { await fetch("{url}" + path, { method: "POST", mode, body, credentials: "include" }); } catch {}
  }
  window.done = true;
})();
</script>
"""


@pytest.fixture(params=["a session", "HTTP Basic"])
def victim(request: pytest.FixtureRequest, operated: Operated, browser: Browser) -> Iterator[Console]:
    """An operator's browser, with a session or remembered HTTP Basic credentials."""
    if request.param == "a session":
        with console(browser) as ready:
            log_in(ready)
            yield ready
        return
    remembered = {"username": "operator", "password": CREDENTIALS["operator"]}
    with console(browser, http_credentials=remembered) as ready:
        # After the first answer, a browser sends the credentials to every path.
        for path in ("/jobs", "/console"):
            ready.page.goto(ready.url + path)
            assert ready.page.url == ready.url + path
        yield ready


def nothing_was_done(operated: Operated) -> bool:
    """Return whether no change was made."""
    return operated.calls == [] and not operated.mojodex.rows("SELECT * FROM md_background_audit")


@pytest.mark.parametrize(
    "enctype", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]
)
def test_no_form_of_another_website_changes_anything(
    operated: Operated, victim: Console, enctype: str
) -> None:
    with evil_website(FORM.format(url=victim.url, enctype=enctype)) as url:
        victim.page.goto(url, wait_until="commit")
        victim.page.wait_for_url(f"{victim.url}/**")

    assert nothing_was_done(operated)
    # The operator's own click works, so only the website is refused.
    victim.page.goto(f"{victim.url}/console")
    victim.page.click("#events-pause")
    victim.page.wait_for_url("**/console")
    assert not nothing_was_done(operated)


def test_no_script_of_another_website_reads_or_changes_anything(operated: Operated, victim: Console) -> None:
    operated.add_job(user_id="user-1")
    with evil_website(FETCHES.replace("{url}", victim.url)) as url:
        victim.page.goto(url)
        victim.page.wait_for_function("window.done")

        assert victim.page.evaluate("window.read") == []
    assert nothing_was_done(operated)
    answer = victim.page.goto(f"{victim.url}/console")
    assert answer is not None
    assert answer.status == 200


def test_no_other_website_frames_the_console(operated: Operated, victim: Console) -> None:
    """Clickjacking: the operator would click our button under the attacker's."""
    frame = f'<iframe src="{victim.url}/console"></iframe><object data="{victim.url}/console"></object>'
    with evil_website(frame) as url:
        victim.page.goto(url)
        victim.page.wait_for_timeout(300)

        inside = [frame for frame in victim.page.frames if frame != victim.page.main_frame]
        assert inside
        # No frame shows the console, nor the login form that a frame without the cookie would get.
        assert not [frame for frame in inside if "Mojodex Background" in frame.content()]


def test_a_link_on_another_website_sends_no_session(operated: Operated, opened: Console) -> None:
    """SameSite=Strict: even a harmless link sends no cookie."""
    with evil_website(f'<a href="{opened.url}/console">x</a>') as url:
        opened.page.goto(url)
        opened.page.click("a")
        opened.page.wait_for_url("**/login")


def test_no_script_reads_the_cookie(operated: Operated, opened: Console) -> None:
    assert opened.page.evaluate("document.cookie") == ""
    (cookie,) = opened.page.context.cookies()
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
