// Keeps a page current without reloading it, and shows times in the reader's time zone.
"use strict";

const POLL_SECONDS = 5;
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = time.textContent;
    time.textContent = format.format(new Date(time.dateTime));
  }
}

async function update() {
  // Not in a hidden tab, and not while a button is pressed.
  if (document.hidden || document.querySelector("[data-live] :active")) return;
  const response = await fetch(location.href, { headers: { "X-Live": "1" } });
  if (response.redirected) return location.assign(response.url);
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  document.title = page.title;
  for (const old of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(old.id);
    if (!fresh) continue;
    showTimes(fresh);
    if (fresh.textContent === old.textContent) continue;
    const focused = old.contains(document.activeElement) && document.activeElement.id;
    old.replaceChildren(...fresh.childNodes);
    if (focused) document.getElementById(focused)?.focus();
  }
}

async function keepUpdating() {
  try {
    await update();
  } catch {
    // The server may be unavailable for a moment.
  }
  setTimeout(keepUpdating, POLL_SECONDS * 1000);
}

showTimes(document);
if (document.querySelector("[data-live]")) setTimeout(keepUpdating, POLL_SECONDS * 1000);
