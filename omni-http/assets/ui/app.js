// Pages that are told of changes look again when something changed. Everything else works without a script.
"use strict";
(() => {
  document.querySelector("nav [aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "center" });
  // What went wrong takes the page's place, and whoever has to log in again goes there.
  document.addEventListener("htmx:after:request", ({ detail }) => {
    const answer = detail.ctx.response.raw;
    if (answer.redirected && new URL(answer.url).pathname.endsWith("/login")) location.assign(answer.url);
  });
  document.addEventListener("htmx:response:error", ({ detail }) => {
    detail.ctx.select = detail.ctx.target = "#main";
    detail.ctx.swap = "outerHTML";
  });
  const live = () => document.getElementById("live");
  if (!live() || !window.EventSource) return;
  const writes = (element) => element?.matches?.("input, textarea, select");
  let waits = false;
  const look = () => {
    const here = live();
    if (!here) return;
    // Nobody loses what they are writing.
    if (writes(document.activeElement) && here.contains(document.activeElement)) {
      waits = true;
      return;
    }
    waits = false;
    here.dispatchEvent(new CustomEvent("news"));
  };
  document.addEventListener("focusout", () => {
    if (waits) setTimeout(look, 0);
  });
  const events = new EventSource("events?page=" + encodeURIComponent(live().dataset.live));
  events.addEventListener("changed", look);
  window.addEventListener("pagehide", () => events.close());
})();
