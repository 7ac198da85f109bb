// Keeps a page up to date without reloading it, and shows times in the reader's zone.
"use strict";

const SECONDS = 5;
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = time.textContent;
    time.textContent = format.format(new Date(time.dateTime));
  }
}

async function update() {
  // Nobody looks, or somebody is about to press a button.
  if (document.hidden || document.querySelector("[data-live] :active")) return;
  const answer = await fetch(location.href, { headers: { "X-Live": "1" } });
  if (answer.redirected) return location.assign(answer.url);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = page.title;
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = page.getElementById(old.id);
    if (!now) continue;
    showTimes(now);
    if (now.textContent === old.textContent) continue;
    const focused = old.contains(document.activeElement) && document.activeElement.id;
    old.replaceChildren(...now.childNodes);
    if (focused) document.getElementById(focused)?.focus();
  }
}

async function keepUpdating() {
  try {
    await update();
  } catch {
    // The server is away for a moment.
  }
  setTimeout(keepUpdating, SECONDS * 1000);
}

showTimes(document);
if (document.querySelector("[data-live]")) setTimeout(keepUpdating, SECONDS * 1000);
