// Pages that are told of changes look again when something changed. Everything else works without a script.
"use strict";
(() => {
  // What went wrong takes the page's place, and whoever has to log in again goes there.
  document.addEventListener("htmx:after:request", ({ detail }) => {
    const answer = detail.ctx.response.raw;
    if (answer.redirected && new URL(answer.url).pathname.endsWith("/login")) location.assign(answer.url);
  });
  document.addEventListener("htmx:response:error", ({ detail }) => {
    detail.ctx.select = detail.ctx.target = "#main";
    detail.ctx.swap = "outerHTML";
  });
  // What took something's place is told in short to whoever cannot see it.
  document.addEventListener("htmx:after:swap", () => {
    const said = document.getElementById("said");
    const told = document.querySelector("[data-said]")?.dataset.said ?? "";
    if (said && said.textContent !== told) said.textContent = told;
  });

  const live = () => document.getElementById("live");
  if (!live() || !window.EventSource) return;
  const news = document.getElementById("news");
  let waits = false;
  const show = () => {
    waits = false;
    news.replaceChildren();
    live()?.dispatchEvent(new CustomEvent("news"));
  };
  // Where there is something to press, to write or to read on from, nothing moves unless somebody wants it to.
  const isInHand = (here) =>
    here.querySelector("form, :is(a, button, summary):is(:hover, :active)") !== null ||
    (document.activeElement !== here && here.contains(document.activeElement));
  const look = () => {
    const here = live();
    if (!here) return;
    waits = isInHand(here);
    if (!waits) return show();
    if (news.childNodes.length) return;
    news.append(document.getElementById("news-text").content.cloneNode(true));
    news.querySelector("button").addEventListener("click", () => {
      show();
      live().focus({ preventScroll: true });
    });
  };
  for (const left of ["focusout", "pointerout"]) {
    document.addEventListener(left, () => {
      if (waits) setTimeout(() => waits && look(), 500);
    });
  }

  // A page that nobody looks at is told of nothing, and makes up for it when it is looked at again.
  let events = null;
  let seen = live().dataset.seen ?? "";
  const close = () => {
    events?.close();
    events = null;
  };
  const open = () => {
    if (events || document.hidden || !live()) return;
    const opened = new EventSource("events?" + new URLSearchParams({ page: live().dataset.live, seen }));
    events = opened;
    opened.addEventListener("seen", ({ lastEventId }) => (seen = lastEventId));
    opened.addEventListener("changed", ({ lastEventId }) => {
      seen = lastEventId;
      look();
    });
    // Where there was no room, there may be some later.
    opened.addEventListener("error", () => {
      if (opened.readyState !== EventSource.CLOSED || events !== opened) return;
      close();
      setTimeout(open, 60_000);
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
})();
