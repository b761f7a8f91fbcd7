// Pages stay as they are in the world: when something changed, the page is fetched again and put in place of the shown one, differences only.
"use strict";

(() => {
  const said = document.getElementById("live");
  const page = () => document.getElementById("page");
  let asked = false;
  let asking = false;

  const tell = (words) => { if (said.textContent !== words) said.textContent = words; };

  // What somebody is typing into stays, and what was typed; what was unfolded stays so.
  const untouched = (old, fresh) => {
    if (old instanceof HTMLDetailsElement && fresh instanceof HTMLDetailsElement) fresh.open = old.open;
    if (old instanceof HTMLInputElement) return old.type === "hidden" || (old.value === old.defaultValue && old.checked === old.defaultChecked);
    return !(old instanceof HTMLSelectElement);
  };

  async function again(due = false) {
    asked = true;
    if ("still" in page().dataset && !due) return; // a form to be filled in, or what costs much to make
    if (asking || document.hidden) return;
    asking = true;
    while (asked) {
      asked = false;
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) { tell(`the page could not be read again (${answer.status})`); break; }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("page");
      if (fresh) Idiomorph.morph(page(), fresh, { ignoreActiveValue: true, morphStyle: "outerHTML", callbacks: { beforeNodeMorphed: untouched } });
    }
    asking = false;
    wait();
  }

  // What is still being worked out says after how many milliseconds to look again.
  let due = 0;
  function wait() {
    const working = page().querySelector("[data-again]");
    clearTimeout(due);
    if (working) due = setTimeout(() => look(true), Number(working.dataset.again));
  }

  const look = (due) => again(due).catch(() => { asking = false; tell("not live: waiting for the bridge"); });

  // What moved while the page was on its way is in no stream: the first look is taken at once. A stream that was refused, not broken, is
  // not asked for again by the browser itself. A page that nobody sees does not listen: a browser opens but a few connections to one place,
  // and pages behind would leave none to the one in front.
  let last = "";
  let changes = null;
  function listen() {
    if (changes || document.hidden) return;
    const heard = changes = new EventSource(`/api/v1/changes?after=${last}`);
    heard.addEventListener("open", () => { tell("live"); if (!last) look(); });
    heard.addEventListener("changed", (event) => { last = event.lastEventId; look(); });
    heard.addEventListener("error", () => {
      tell("not live: waiting for the bridge");
      if (heard.readyState === EventSource.CLOSED) { changes = null; setTimeout(listen, 5000); }
    });
  }
  function rest() {
    if (changes) changes.close();
    changes = null;
  }
  listen();
  wait();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return rest();
    listen();
    wait();
    if (asked) look();
  });
})();
